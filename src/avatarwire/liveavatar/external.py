"""Sound beside the avatar's voice: accompaniment, in clips and in streams.

Source: the wire protocol, "External audio frame".
"""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from avatarwire.audio import Beginning, PcmFormat, converter_between, pcm_bytes
from avatarwire.codec import ExternalAudioFrame, client_message
from avatarwire.errors import SessionLostError
from avatarwire.liveavatar.config import AvatarAgentConfig
from avatarwire.liveavatar.messages import MessageBuilder
from avatarwire.liveavatar.protocol import Received
from avatarwire.liveavatar.sending import EventOutbox, Sender
from avatarwire.liveavatar.turns import MUSIC_ONLY, USUAL_RATE, hold_or_lose, kept_ms
from avatarwire.session.dialect import Part
from avatarwire.session.outbox import BINARY, SoundLine
from avatarwire.streaming import AudioStream, StreamRegister, Timing

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Accompaniment", "ExternalAudioStream", "ExternalCalls"]

logger: logging.Logger = logging.getLogger("avatarwire.liveavatar")

#: Most PCM in a message of 65,536 bytes: whole samples of two channels as of one.
MAX_PCM_BYTES = 65_508
#: An interrupt of these scopes clears the accompaniment (protocol section 4).
_MUSIC_SCOPES = {MUSIC_ONLY, "VOICE_AND_ACCOMPANIMENT"}
#: What may be queued before a write waits, in milliseconds of sound.
BUFFER_MS = 2000


class Accompaniment(StreamRegister, Part[Received]):
    """Numbers the external audio of one session, and knows the streams of it.

    Args:
        config: whose ``on_gap`` decides what becomes of the streams in a gap.
    """

    def __init__(self, config: AvatarAgentConfig) -> None:
        super().__init__()
        self._config = config
        self._sequence = 0

    def send(
        self,
        pcm: "Buffer",
        timestamp_us: int,
        format_: PcmFormat,
        write: Callable[[bytes, str, int, Sequence[bytes]], bool],
    ) -> bool:
        """Write a clip, in as many messages as it takes; return what ``write`` returns.

        Raises:
            TypeError: ``pcm`` is not a buffer of bytes or of 16-bit little-endian integers.
            ValueError: it is empty or not whole samples, or a timestamp has no 64 bits.
        """
        messages = []
        sequence = self._sequence
        data = pcm_bytes(pcm)
        if not data or len(data) % format_.frame_bytes:
            raise ValueError(
                f"pcm must be whole 16-bit samples of {format_.channels} channel(s), at least"
                f" one, not {len(data)} bytes"
            )
        for start in range(0, len(data), MAX_PCM_BYTES):
            sequence += 1
            passed_us = start // format_.frame_bytes * 1_000_000 // format_.sample_rate
            frame = ExternalAudioFrame(
                sequence,
                timestamp_us + passed_us if timestamp_us else 0,
                data[start : start + MAX_PCM_BYTES],
            )
            messages.append(frame.pack())
        wire = b"".join(map(client_message, messages))
        has_room = write(wire, BINARY, len(messages), messages)
        self._sequence = sequence
        return has_room

    def interrupted(self, scope: str | None) -> None:
        """End what an interrupt that the agent has sent ends."""
        if scope is not None and scope.strip() in _MUSIC_SCOPES:
            for stream in self.playing:
                stream.end("interrupted", notify=False)

    def gap(self, lost: SessionLostError) -> None:
        """Do what ``on_gap`` says to the streams: the connection is lost, another may follow."""
        del lost
        hold_or_lose(self, self._config)

    def connected(self) -> None:
        """Resume the streams that were held: there is a connection again."""
        self.go_on()

    def ended(self, lost: SessionLostError) -> None:
        """End what is still open, because the session has ended."""
        del lost
        self.lose()
        self._sequence = 0


class _Player(SoundLine):
    """Plays one stream of accompaniment, as a turn is spoken."""

    _outbox: EventOutbox

    def __init__(self, outbox: EventOutbox, music: Accompaniment, format_: PcmFormat) -> None:
        super().__init__(outbox)
        self.stream: ExternalAudioStream
        self._music = music
        self._format = format_

    def start(self) -> bool:
        self.restart()
        self._music.opened(self.stream)
        return True

    def restart(self) -> bool:
        self._connection = self._outbox.connection
        if self._connection is None:
            raise SessionLostError(reason="the connection is being restored")
        return True

    def pause(self) -> bool:
        self._outbox.write_event_now(MessageBuilder.control_interrupt(interrupt_scope=MUSIC_ONLY))
        return True

    def say(self, pcm: bytes | memoryview) -> bool:
        # Sent now or never: kept in the backlog, it would overtake what is resumed.
        return self._music.send(pcm, 0, self._format, self._outbox.write_now)

    def finish(self) -> bool:
        return True

    def abandon(self) -> bool:
        return True

    def interrupt(self, scope: str | None) -> bool:
        event = MessageBuilder.control_interrupt(interrupt_scope=scope or MUSIC_ONLY)
        return self._outbox.write_event(event)


class ExternalAudioStream(AudioStream):
    """Accompaniment in time; an agent's ``external_audio_stream()`` makes it.

    Example::

        async with agent.external_audio_stream(sample_rate=48000, channels=2) as music:
            await music.play(chunks)

    It is used like a turn of speech. Leaving normally sends what is queued, in time; the platform
    then has up to ``first_ms`` left to play. It says nothing of the end: ``wait_playout`` goes by
    the clock. Leaving by an exception drops what is queued and has the platform stop what it plays;
    the voice goes on.
    """

    def __init__(
        self,
        player: _Player,
        *,
        written: PcmFormat,
        sent: PcmFormat,
        first_ms: float,
        batch_ms: float,
        keep_ms: float | None,
    ) -> None:
        super().__init__(
            player,
            written=written,
            sent=sent,
            converter=converter_between(written, sent),
            timing=Timing(
                lead_ms=first_ms, batch_ms=batch_ms, buffer_ms=max(BUFFER_MS, 2 * first_ms)
            ),
            request_id="",
            response_id="accompaniment",
            keep_ms=keep_ms,
        )
        self._first_ms = first_ms

    def tick(self, now_s: float) -> float | None:
        """Do what is due at ``now_s``: nothing before the first packet is full."""
        if self.is_open and not self.sent_ms and self.queued_ms < self._first_ms:
            return None
        return super().tick(now_s)


class ExternalCalls(Sender):
    """Sound beside the avatar's voice."""

    _accompaniment: Accompaniment

    async def send_external_audio(self, pcm: "Buffer", *, timestamp_us: int = 0) -> None:
        """Send a clip of accompaniment, at once: it is played, not lip-synced.

        Its format is that of ``config.external_audio_config``, or of the voice. A clip that is too
        long for one message is split on whole samples, and a timestamp advanced along it.

        Args:
            pcm: 16-bit little-endian samples, interleaved when stereo; any buffer of bytes or of
                16-bit integers.
            timestamp_us: when to play it, in microseconds; 0: the platform chooses.

        Raises:
            TypeError: ``pcm`` is not a buffer of bytes or of 16-bit little-endian integers, or the
                timestamp no integer.
            ValueError: ``pcm`` is empty or not whole samples, or the timestamp has no 64 bits.
        """
        format_ = _format(self._config, None, None)
        data = pcm_bytes(pcm)
        has_room = self._accompaniment.send(data, timestamp_us, format_, self._outbox.write)
        Beginning("the accompaniment", logger).look_at(data)
        await self._settle(has_room)

    def external_audio_stream(
        self,
        *,
        sample_rate: int | None = None,
        channels: int | None = None,
        first_ms: float = 400,
        batch_ms: float = 200,
    ) -> ExternalAudioStream:
        """Make a stream of accompaniment, paced like a turn of speech.

        Example::

            async with agent.external_audio_stream() as music:
                async for pcm in player:
                    await music.write(pcm)

        Args:
            sample_rate: of what will be written, in Hz; by default that of
                ``config.external_audio_config``, or of the voice. Another rate than configured is
                converted, which takes the ``audio`` extra.
            channels: of what will be written; by default as configured, or 1.
            first_ms: how much goes out first, in milliseconds: it is how far the platform stays
                ahead.
            batch_ms: how much is sent at a time after that.

        Raises:
            TypeError, ValueError: a format or a duration that cannot be.
            MissingExtraError: the sound has to be converted and the extra is not installed.
        """
        sent = _format(self._config, sample_rate, channels)
        written = PcmFormat(sample_rate or sent.sample_rate, channels or sent.channels)
        player = _Player(self._outbox, self._accompaniment, sent)
        player.stream = ExternalAudioStream(
            player,
            written=written,
            sent=sent,
            first_ms=first_ms,
            batch_ms=batch_ms,
            keep_ms=kept_ms(self._config),
        )
        return player.stream


def _format(config: AvatarAgentConfig, sample_rate: int | None, channels: int | None) -> PcmFormat:
    """Return the format that the platform expects: the one it was told, else the one written."""
    told = config.external_audio_config or {}
    return PcmFormat(
        told.get("sampleRate") or sample_rate or config.tts_sample_rate or USUAL_RATE,
        told.get("channels") or channels or 1,
    )
