"""An agent's calls for speech that the backend recognises, and their flood control."""

import asyncio
from dataclasses import dataclass

from avatarwire.errors import SessionLostError
from avatarwire.liveavatar.messages import Event, MessageBuilder
from avatarwire.liveavatar.protocol import Received
from avatarwire.liveavatar.sending import EventOutbox, Metadata, Sender
from avatarwire.session.dialect import Part

__all__ = ["Partials", "RecogniserCalls"]


@dataclass(frozen=True, slots=True)
class _Partial:
    key: tuple[str, str]  # request id and text
    event: Event
    interval_ms: float


class Partials(Part[Received]):
    """Results that may still change, thinned out: recognisers repeat them dozens of times a second.

    Args:
        outbox: where they go.

    Attributes:
        dropped: how many were not sent: unchanged, or superseded before their time came.
    """

    def __init__(self, outbox: EventOutbox) -> None:
        self._outbox = outbox
        self._last: tuple[str, str] | None = None
        self._next_s = 0.0
        self._waiting: _Partial | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.dropped: int = 0

    def add(self, request_id: str, text: str, event: Event, interval_ms: float) -> bool:
        """Send a result now or in its time, or drop it; False when the connection is full."""
        this = (request_id, text)
        if this == self._last or (self._waiting is not None and this == self._waiting.key):
            self._outbox.require_open()
            if this == self._last:
                self.discard()
            self.dropped += 1
            return True
        loop = asyncio.get_running_loop()
        same_request = self._last is not None and self._last[0] == request_id
        if interval_ms and same_request and loop.time() < self._next_s:
            self._outbox.require_open()
            self.discard()
            self._waiting = _Partial(this, event, interval_ms)
            self._timer = loop.call_at(self._next_s, self._tick)
            return True
        has_room = self._send(_Partial(this, event, interval_ms))
        self.discard()
        return has_room

    def flush(self) -> None:
        """Send what waits, before something that must follow it."""
        if self._waiting is not None:
            self._send(self._waiting)
            self._forget()

    def discard(self) -> None:
        """Drop what waits: something newer says it."""
        if self._waiting is not None:
            self.dropped += 1
            self._forget()

    def ended(self, lost: SessionLostError) -> None:
        """End what is still open, because the session has ended."""
        del lost
        self.end_utterance()

    def end_utterance(self) -> None:
        """Forget what the ended utterance has sent."""
        self.discard()
        self._last = None

    def _send(self, partial: _Partial) -> bool:
        has_room = self._outbox.write_event(partial.event)
        self._last = partial.key
        self._next_s = asyncio.get_running_loop().time() + partial.interval_ms / 1000
        return has_room

    def _tick(self) -> None:
        try:
            self.flush()
        except (ConnectionError, RuntimeError):
            self.discard()  # the session has ended: whoever sends next is told

    def _forget(self) -> None:
        self._waiting = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class RecogniserCalls(Sender):
    """What the user said, as the backend heard it."""

    _partials: Partials

    @property
    def dropped_asr_partials(self) -> int:
        """How many partial results were not sent: unchanged, or superseded within the interval."""
        return self._partials.dropped

    async def send_voice_start(self, request_id: str, metadata: Metadata = None) -> None:
        """Say that the user began to speak."""
        await self._send_event(MessageBuilder.input_voice_start(request_id, metadata))

    async def send_asr_partial(
        self, request_id: str, text: str, seq: int, metadata: Metadata = None
    ) -> None:
        """Send a recognition result that may still change.

        A text that has not changed is dropped. With ``config.asr_partial_min_interval_ms`` an
        utterance sends one in that time at the most, always the latest; what it supersedes is
        dropped, and so is one that waits when the final result comes. ``dropped_asr_partials``
        counts them.
        """
        event = MessageBuilder.input_asr_partial(request_id, text, seq, metadata)
        interval_ms = self._config.asr_partial_min_interval_ms
        await self._settle(self._partials.add(request_id, text, event, interval_ms))

    async def send_voice_finish(self, request_id: str, metadata: Metadata = None) -> None:
        """Say that the user stopped speaking."""
        event = MessageBuilder.input_voice_finish(request_id, metadata)
        self._partials.flush()
        await self._send_event(event)

    async def send_asr_final(self, request_id: str, text: str, metadata: Metadata = None) -> None:
        """Send the final recognition result."""
        event = MessageBuilder.input_asr_final(request_id, text, metadata)
        has_room = self._outbox.write_event(event)
        self._partials.end_utterance()
        await self._settle(has_room)
