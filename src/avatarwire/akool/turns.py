"""Turns of speech in Akool's words: the client's open one, and those still being played.

Akool never says when it has played something, so the clock alone decides. Its interrupt names no
turn: it stops all that is playing.
"""

import logging
from collections.abc import AsyncIterable, Callable
from typing import TYPE_CHECKING, Any

from avatarwire.akool.acks import Acks
from avatarwire.akool.exceptions import AkoolStreamingAvatarError, AudioStreamError
from avatarwire.akool.messages import EnvelopeWire, Wire
from avatarwire.akool.protocol import Received
from avatarwire.audio import Beginning, PcmFormat, converter_between, pcm_bytes
from avatarwire.errors import SessionLostError
from avatarwire.session.dialect import Part
from avatarwire.session.outbox import Outbox, SoundLine
from avatarwire.streaming import (
    NO_OBSERVERS,
    AudioStream,
    Callbacks,
    Playout,
    Timing,
    TurnObservers,
    TurnRegister,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["FORMAT", "NO_INTERRUPT", "Turns"]

logger: logging.Logger = logging.getLogger("avatarwire.akool")

#: What the platform takes.
FORMAT = PcmFormat(16000, 1)
NO_INTERRUPT = (
    'interrupt() needs wire="envelope": the flat form has none; what was queued is dropped, what'
    " was sent is still played"
)


class Turns(TurnRegister, Part[Received]):
    """The turns of one client.

    Args:
        wire: how messages are built.
        outbox: what they are sent through.
        acks: sends a single message.
        require_open: raises ConnectionError when there is no connection.
        lost: returns why there is no connection any more.
        observers: who looks at them.

    Attributes:
        interrupts: how often everything was interrupted.
    """

    def __init__(
        self,
        wire: Wire,
        outbox: Outbox,
        acks: Acks,
        *,
        require_open: Callable[[], None],
        lost: Callable[[], AkoolStreamingAvatarError],
        observers: TurnObservers[Any] = NO_OBSERVERS,
    ) -> None:
        super().__init__(observers)
        self.interrupts: int = 0
        self._wire = wire
        self._outbox = outbox
        self._acks = acks
        self._require_open = require_open
        self._lost = lost
        self._made = 0
        # Of what is sent unpaced, up to the next interrupt.
        self._beginning = Beginning("what is sent as audio", logger)

    def new_stream(self, written: PcmFormat, timing: Timing, callbacks: Callbacks) -> AudioStream:
        """Make a turn; everything about it is checked here, and nothing is sent yet.

        Args:
            written: what will be written to it.
            timing: when it leaves; a frame is the sound of one message.
            callbacks: what the program is told.

        Raises:
            MissingExtraError: conversion is needed and its extra is not installed.
        """
        self._made += 1
        speaker = _AkoolSpeaker(self, self._wire, self._outbox, self._require_open, timing.frame_ms)
        kind = AudioStream if isinstance(self._wire, EnvelopeWire) else _FlatStream
        speaker.stream = kind(
            speaker,
            written=written,
            sent=FORMAT,
            converter=converter_between(written, FORMAT),
            timing=timing,
            request_id="",
            response_id=f"turn-{self._made}",
            lateness=self.lateness,
            callbacks=callbacks,
            observers=self.observers,
        )
        return speaker.stream

    def gap(self, lost: SessionLostError) -> None:
        """End all turns as lost: no turn outlives its connection."""
        self.ended(lost)

    def ended(self, lost: SessionLostError) -> None:
        """End all turns: nothing can be sent any more."""
        del lost
        self.lose()

    async def send_unpaced(self, chunks: AsyncIterable[bytes]) -> int:
        """Send each chunk as a message, until an interrupt; return how many bytes were sent.

        Raises:
            ConnectionError: not, or no longer, connected.
            RuntimeError: a turn is open.
        """
        interrupts, sent_bytes = self.interrupts, 0
        self._require_open_for("send_audio_stream")
        async for pcm in chunks:
            if interrupts != self.interrupts:
                break
            self._require_open_for("send_audio_stream")
            self.look_at(pcm)
            await self._acks.send(self._wire.audio(pcm))
            sent_bytes += len(pcm)
        return sent_bytes

    async def send_paced(self, stream: AudioStream, chunks: AsyncIterable[bytes]) -> int:
        """Send chunks as a turn; return how many bytes of it were sent.

        Raises:
            ConnectionError: not, or no longer, connected.
            RuntimeError: a turn is open.
            AudioStreamError: what ``chunks`` raises; the sound before it is sent.
        """
        refused = None
        self._require_open_for("send_audio_stream")
        async with stream:
            try:
                async for pcm in chunks:
                    if not await stream.write(pcm):
                        break
            except AudioStreamError as exc:
                refused = exc
        if (await stream.wait_playout(0)).reason == "lost":
            raise self._lost()
        if refused is not None:
            raise refused
        return FORMAT.frame_bytes * round(stream.sent_ms * FORMAT.sample_rate / 1000)

    def look_at(self, pcm: "Buffer") -> None:
        """Tell, once until the next interrupt, that what is sent unpaced begins as no sound."""
        if not self._beginning.is_known:
            self._beginning.look_at(pcm_bytes(pcm))

    def interrupted(self, by: AudioStream | None = None) -> None:
        """End every turn, because all that plays stops; ``by`` ends itself."""
        self.interrupts += 1
        self._beginning.begin()
        for stream in self.playing:
            if stream is not by:
                stream.end("interrupted", notify=False)

    def drop_queued(self) -> None:
        """End the open turn; what has been sent is still played."""
        self.interrupts += 1
        if self.open_turn is not None:
            self.open_turn.end("interrupted", notify=False)

    def _require_open_for(self, call: str) -> None:
        self._require_open()
        self.require_none(call)


class _AkoolSpeaker(SoundLine):
    """Says one turn: audio messages, and nothing around them."""

    __slots__ = ("_message_bytes", "_require_open", "_turns", "_wire", "stream")

    def __init__(
        self,
        turns: Turns,
        wire: Wire,
        outbox: Outbox,
        require_open: Callable[[], None],
        message_ms: int,
    ) -> None:
        super().__init__(outbox)
        self.stream: AudioStream
        self._turns = turns
        self._wire = wire
        self._require_open = require_open
        self._message_bytes = FORMAT.bytes_per_second * message_ms // 1000

    async def ready(self) -> None:
        """Return at once: without a connection, start() raises."""

    def start(self) -> bool:
        self._turns.require_none("a second audio stream")
        self._require_open()
        self._connection = self._outbox.connection
        self._turns.opened(self.stream)
        return True

    def restart(self) -> bool:
        return True  # after a pause: no turn outlives its connection, and nothing is said to begin

    def pause(self) -> bool:
        if not isinstance(self._wire, EnvelopeWire):
            return False
        self._turns.paused(self.stream)
        self._turns.interrupted(by=self.stream)
        self._outbox.write_text_now(self._wire.interrupt().json)
        return True

    def say(self, pcm: bytes | memoryview) -> bool:
        audio, size_bytes = self._wire.audio, self._message_bytes
        with memoryview(pcm) as view:
            messages = [
                audio(view[start : start + size_bytes]) for start in range(0, len(view), size_bytes)
            ]
        return self._outbox.write_texts_now(messages)

    def finish(self) -> bool:
        self._turns.closed(self.stream)
        return True

    def abandon(self) -> bool:
        return self.finish()

    def interrupt(self, scope: str | None) -> bool:
        if scope is not None:
            raise ValueError(f"Akool's interrupt stops everything and has no scope, not {scope!r}")
        self._turns.closed(self.stream)
        if not isinstance(self._wire, EnvelopeWire):
            return True
        self._turns.interrupted(by=self.stream)
        return self._outbox.write_text_now(self._wire.interrupt().json)


class _FlatStream(AudioStream):
    """A turn in the wire form that has no interrupt."""

    def interrupt_nowait(self, *, scope: str | None = None, notify: bool = True) -> Playout:
        """Drop what is queued; with ``notify``, then raise, since playback goes on.

        Raises:
            AudioStreamError: the turn had not ended, and its playback cannot be stopped.
        """
        was_over = self.is_resolved
        playout = super().interrupt_nowait(scope=scope, notify=notify)
        if notify and not was_over:
            raise AudioStreamError(NO_INTERRUPT)
        return playout
