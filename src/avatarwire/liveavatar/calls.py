"""Every ``send_*`` call of an agent, as what it puts on the wire.

Each call returns once its message has been handed to the connection; it waits only while the
connection's buffer is over its high-water mark. Bad arguments are a ``TypeError`` or a
``ValueError`` before anything is sent. Before ``start()`` and after ``stop()`` every call raises
``NotConnectedError`` (a RuntimeError); after the session was lost, ``SessionLostError`` (a
ConnectionError). Source: the wire protocol, "Text events" and the sections on frames.
"""

import asyncio
import logging
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from avatarwire import _json
from avatarwire.audio import (
    Beginning,
    is_one_piece,
    kind_of_content,
    pcm_bytes,
    pieces_of,
)
from avatarwire.codec import (
    AudioFrame,
    FrameType,
    ImageFrame,
    PcmFramer,
    client_message,
    frame_type,
)
from avatarwire.errors import AvatarwireError
from avatarwire.liveavatar.external import ExternalCalls
from avatarwire.liveavatar.messages import Event, MessageBuilder
from avatarwire.liveavatar.recognition import RecogniserCalls
from avatarwire.liveavatar.response_calls import ResponseCalls
from avatarwire.liveavatar.sending import MAX_BINARY_BYTES, Metadata, framed_audio
from avatarwire.liveavatar.turns import FramerKeeper, Turns
from avatarwire.session.outbox import AUDIO, BINARY

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["AgentCalls"]

logger: logging.Logger = logging.getLogger("avatarwire.liveavatar")

#: What tells the platform that a turn's sound is not of its TTS (protocol section 7).
EXTERNAL_MARKER = {"purpose": "external"}
EXTERNAL_FRAME_MS = 40
#: What is put before a message of more than 65,535 bytes, on a WebSocket.
LONG_HEADER_BYTES = 14

_AUDIO_LIMIT = "an audio frame", "use send_audio"

_IMAGES = {"JPEG", "PNG", "GIF", "WebP", "AVIF", "BMP"}
_HOW_TO_PACK = {
    AudioFrame: "raw PCM goes to send_audio",
    ImageFrame: "an image file goes as send_image_frame(ImageFrame(format=…, width=…, height=…,"
    " payload=data)), where format is 0 for JPEG, 1 PNG, 2 WebP, 3 GIF, 4 AVIF",
}


class AgentCalls(ResponseCalls, RecogniserCalls, ExternalCalls):
    """The calls that need nothing but a way to send."""

    _framers: FramerKeeper
    _turns: Turns
    _beginning: Beginning  # of the turn

    # Speech that the backend makes

    async def send_response_audio_start(
        self, request_id: str, response_id: str, metadata: Metadata = None
    ) -> None:
        """Begin an audio turn; the next ``send_audio`` starts with a key frame."""
        event = MessageBuilder.response_audio_start(request_id, response_id, metadata)
        await self._start_audio(event)

    async def send_response_audio_finish(
        self, request_id: str, response_id: str, metadata: Metadata = None
    ) -> None:
        """Complete an audio turn."""
        event = MessageBuilder.response_audio_finish(request_id, response_id, metadata)
        self._turns.require_none("send_response_audio_finish")
        await self._send_event(event)

    async def send_prompt_audio_start(self) -> None:
        """Begin the audio of an idle prompt; the next ``send_audio`` starts with a key frame."""
        await self._start_audio(MessageBuilder.response_audio_prompt_start())

    async def send_prompt_audio_finish(self) -> None:
        """Complete the audio of an idle prompt."""
        self._turns.require_none("send_prompt_audio_finish")
        await self._send_event(MessageBuilder.response_audio_prompt_finish())

    async def send_audio(
        self,
        pcm: "Buffer",
        *,
        sample_rate: int = 24000,
        channels: int = 1,
        frame_ms: int = 40,
    ) -> None:
        """Cut PCM into frames and send them all in one write, at once and unpaced.

        Nothing is held back: the last frame may be short. Sequence numbers and timestamps run on
        across calls and turns; the first frame after a start event or a change of format carries
        the key bit. What begins like a file, or like text, is told in the log, once a turn.

        Args:
            pcm: 16-bit little-endian samples, interleaved when stereo; any buffer of bytes or of
                16-bit integers.
            sample_rate: 16000, 24000 or 48000 Hz.
            channels: 1 or 2.
            frame_ms: milliseconds of sound in a frame.

        Raises:
            TypeError: ``pcm`` is not a buffer of bytes or of 16-bit little-endian integers.
            ValueError: ``pcm`` is not whole samples, or the format cannot be framed.
            RuntimeError: an audio stream is open.
        """
        self._outbox.require_open()
        self._turns.require_none("send_audio")
        sound = pcm_bytes(pcm)
        if len(sound) % (2 * channels if channels in {1, 2} else 2):
            raise ValueError(
                f"pcm must be whole 16-bit samples of {channels} channel(s), "
                f"not {len(sound)} bytes: keep the odd bytes for the next call"
            )
        framer = self._framers.get(sample_rate, channels, frame_ms)
        self._beginning.look_at(sound)
        wire, frames, messages = framed_audio(
            framer, sound, ends=True, is_shown=bool(self._outbox.taps)
        )
        if wire:
            await self._send_wire(wire, AUDIO, frames, messages)

    async def send_audio_frame(self, frame: "AudioFrame | Buffer") -> None:
        """Send one audio frame: an ``AudioFrame``, or the bytes that a builder made.

        Raises:
            TypeError: neither a frame nor a buffer.
            ValueError: the bytes are no whole audio frame, or more than 65,536 in all.
            RuntimeError: an audio stream is open.
        """
        outbox = self._outbox
        self._turns.require_none("send_audio_frame")
        # Here and not in what it would call: a program does this for each frame of its sound.
        if isinstance(frame, AudioFrame) and not outbox.taps:
            wire = frame.websocket()
            if len(wire) > MAX_BINARY_BYTES + LONG_HEADER_BYTES:
                raise _over_limit(len(wire) - LONG_HEADER_BYTES, *_AUDIO_LIMIT)
            if not outbox.write(wire, BINARY):
                await outbox.writable()
            return
        outbox.require_open()
        message = frame.pack() if isinstance(frame, AudioFrame) else _packed(frame, AudioFrame)
        await self._send_binary(_within_limit(message, *_AUDIO_LIMIT))

    async def send_image_frame(self, frame: "ImageFrame | Buffer") -> None:
        """Send one image: an ``ImageFrame``, or the bytes that a builder made.

        Raises:
            TypeError: neither a frame nor a buffer.
            ValueError: the bytes are no whole image frame, or more than 65,536 in all.
        """
        self._outbox.require_open()
        message = frame.pack() if isinstance(frame, ImageFrame) else _packed(frame, ImageFrame)
        await self._send_binary(
            _within_limit(message, "an image frame", "scale or compress the image")
        )

    async def send_external_playback(
        self,
        request_id: str,
        response_id: str,
        frames: "AsyncIterable[AudioFrame | Buffer] | Iterable[AudioFrame | Buffer]",
        *,
        sample_rate: int = 24000,
    ) -> None:
        """Play recorded speech as a turn of the voice, also where the platform does the TTS.

        It goes out at once and unpaced; the turn is completed even when ``frames`` fails.

        Args:
            request_id: what it answers.
            response_id: its own id.
            frames: an iterable, or async iterable, of ``AudioFrame`` or of 16-bit little-endian
                mono PCM in pieces of any size. A file, or the stream of a process, is read in
                pieces.
            sample_rate: of the PCM: 16000, 24000 or 48000 Hz.

        Raises:
            TypeError: ``frames`` is no iterable, or gives something else.
            ValueError: the rate cannot be framed, or a frame is too long.
            RuntimeError: an audio stream is open.
        """
        if is_one_piece(frames) or not isinstance(frames, AsyncIterable | Iterable):
            raise TypeError(
                "frames must be an iterable of AudioFrame or PCM, such as a list,"
                f" not {type(frames).__name__}"
            )
        start = MessageBuilder.response_audio_start(request_id, response_id, EXTERNAL_MARKER)
        finish = MessageBuilder.response_audio_finish(request_id, response_id, EXTERNAL_MARKER)
        framer = self._framers.get(sample_rate, 1, EXTERNAL_FRAME_MS)
        frames = pieces_of(frames)
        await self._start_audio(start)
        try:
            if isinstance(frames, AsyncIterable):
                async for frame in frames:
                    await self._play(frame, framer)
            else:
                for frame in frames:
                    await self._play(frame, framer)
                    await asyncio.sleep(0)  # a source that never waits must not stop everyone else
            if framer.pending_bytes % 2:
                logger.warning(
                    "turn %s: the last byte of its sound is no whole sample: dropped", response_id
                )
            await self._send_frames(framer.flush())
        except BaseException as exc:
            framer.reset()
            try:
                self._outbox.write_event(finish)
            except AvatarwireError as failure:
                exc.add_note(f"the turn {response_id!r} could not be completed: {failure}")
            raise
        await self._send_event(finish)

    async def _play(self, frame: "AudioFrame | Buffer", framer: PcmFramer) -> None:
        self._turns.require_none("send_external_playback")
        if isinstance(frame, AudioFrame):
            message = _within_limit(frame.pack(), "an audio frame", "give PCM instead")
            await self._send_frames([*framer.flush(), message])
        else:
            sound = pcm_bytes(frame)
            self._beginning.look_at(sound)
            await self._send_frames(framer.frames(sound))

    async def _send_frames(self, frames: list[bytes]) -> None:
        if frames:
            wire = b"".join(map(client_message, frames))
            await self._send_wire(wire, BINARY, len(frames), frames)

    # Control

    async def send_interrupt(
        self,
        request_id: str | None = None,
        metadata: Metadata = None,
        *,
        interrupt_scope: str | None = None,
    ) -> None:
        """Stop what is playing; with a request id, only what answers that request.

        A stream of audio that it stops ends as interrupted; one of text goes on until it is
        completed or cancelled. ``interrupt_scope`` is ``VOICE_ONLY``
        (the default), ``VOICE_AND_ACCOMPANIMENT``, or ``BGM_ONLY``, which leaves the voice alone.

        Raises:
            ValueError: an unknown scope, or metadata under a reserved key.
        """
        event = MessageBuilder.control_interrupt(request_id, metadata, interrupt_scope)
        has_room = self._outbox.write_event(event)
        # Before anything is awaited: not a frame may leave behind the interrupt.
        self._turns.interrupted(request_id, interrupt_scope)
        self._accompaniment.interrupted(interrupt_scope)
        await self._settle(has_room)

    async def send_error(self, code: str, message: str, request_id: str | None = None) -> None:
        """Report a fault to the platform."""
        await self._send_event(MessageBuilder.error(code, message, request_id))

    async def send_custom_event(
        self, request_id: str | None, event: str, data: Mapping[str, Any] | None = None
    ) -> None:
        """Send an event that the protocol does not define, with ``data`` as it is.

        Raises:
            TypeError: a wrong type, or ``data`` that JSON cannot carry.
            ValueError: an empty event name, or a number or a depth that JSON cannot carry.
        """
        if not isinstance(event, str):
            raise TypeError(f"event must be str, not {type(event).__name__}")
        if not event:
            raise ValueError("event must be a name such as my.custom.event, not empty")
        message: Event = {"event": event}
        if request_id is not None:
            if not isinstance(request_id, str):
                raise TypeError(f"request_id must be str, not {type(request_id).__name__}")
            message["requestId"] = request_id
        if data is not None:
            if not isinstance(data, Mapping):
                raise TypeError(f"data must be a dict, not {type(data).__name__}")
            _json.require_writable("data", data)
            message["data"] = dict(data)
        await self._send_event(message)

    async def _start_audio(self, event: Event) -> None:
        self._outbox.require_open()
        self._turns.require_none(f"sending {event['event']}")
        # Before the event: sending may wait for room, and a cancelled wait must not lose the key.
        self._framers.begin()
        self._beginning.begin()
        await self._send_event(event)


def _packed(message: "Buffer", kind: type[AudioFrame] | type[ImageFrame]) -> bytes:
    """Check that bytes are one whole frame of ``kind``."""
    try:
        data = bytes(memoryview(message))
    except TypeError:
        raise TypeError(
            f"frame must be {kind.__name__} or its packed bytes, not {type(message).__name__}"
        ) from None
    wanted = FrameType.AUDIO if kind is AudioFrame else FrameType.IMAGE
    found = frame_type(data)
    if found is wanted:
        try:
            size_bytes = len(kind.unpack(data).pack())
        except ValueError as exc:
            raise _not_packed(data, kind, str(exc)) from exc
        if size_bytes == len(data):
            return data
        what = f"a frame with {len(data) - size_bytes} bytes after the {kind.__name__}"
    else:
        what = "no known frame" if found is None else f"an {found.name.lower()} frame"
    raise _not_packed(data, kind, what)


def _not_packed(data: bytes, kind: type[AudioFrame] | type[ImageFrame], what: str) -> ValueError:
    """Return the error for bytes that are no frame: what they are in truth, or else ``what``."""
    # Two bytes tell a BMP: too few to take sound for one, and enough here.
    content = kind_of_content(data) or ("BMP" if data.startswith(b"BM") else None)
    if content is None:
        return ValueError(f"not a packed {kind.__name__} but {what}: {_HOW_TO_PACK[kind]}")
    is_image = content in _IMAGES
    advice = _HOW_TO_PACK[ImageFrame if is_image else kind]
    return ValueError(f"the bytes are a {content} file, not a packed {kind.__name__}: {advice}")


def _within_limit(message: bytes, what: str, advice: str) -> bytes:
    if len(message) > MAX_BINARY_BYTES:
        raise _over_limit(len(message), what, advice)
    return message


def _over_limit(size_bytes: int, what: str, advice: str) -> ValueError:
    return ValueError(
        f"{what} of {size_bytes:,} bytes is over the platform's limit of "
        f"{MAX_BINARY_BYTES:,}: {advice}"
    )
