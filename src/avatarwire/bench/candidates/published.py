"""The published SDKs of both platforms."""

from importlib import import_module
from typing import Any

from avatarwire.bench.candidates.masking import masked_text
from avatarwire.bench.reference import Fields, Image
from avatarwire.bench.workloads import Call

__all__ = ["AkoolSdk", "LiveAvatarSdk"]


class LiveAvatarSdk:
    """Live Avatar's; it masks by websockets."""

    name = "published SDK"
    distributions: tuple[str, ...] = ("liveavatar-channel-sdk", "websockets")

    def __init__(self) -> None:
        self._sdk = import_module("liveavatar_channel_sdk")
        self._events = import_module("liveavatar_channel_sdk.message_builder").MessageBuilder

    def header_pack(self, fields: Fields) -> Call:
        """Construct from keywords, as programs do, and pack."""
        return self.frame_pack(fields)

    def header_unpack(self, message: bytes) -> Call:
        """Unpack; it copies the payload."""
        kind = self._sdk.AudioFrame
        return lambda: kind.unpack(message)

    def frame_pack(self, fields: Fields) -> Call:
        """Construct from keywords, as programs do, and pack."""
        channel, key, seq, timestamp, sample_rate, samples, codec, payload = fields
        kind = self._sdk.AudioFrame

        def call() -> Any:  # noqa: ANN401
            return kind(
                channel=channel, key=key, seq=seq, timestamp=timestamp, sample_rate=sample_rate,
                samples=samples, codec=codec, payload=payload,
            ).pack()  # fmt: skip

        return call

    def frame_repack(self, fields: Fields) -> Call:
        """Pack."""
        call: Call = self._sdk.AudioFrame(*fields).pack
        return call

    def frame_unpack(self, message: bytes) -> Call:
        """Unpack."""
        kind = self._sdk.AudioFrame

        def call() -> tuple[Any, Any]:
            frame = kind.unpack(message)
            return frame, frame.payload

        return call

    def frame_builder(self, fields: Fields) -> Call:
        """Build."""
        seq, timestamp, samples, payload = (
            fields.seq, fields.timestamp, fields.samples, fields.payload,
        )  # fmt: skip
        builder = self._sdk.AudioFrameBuilder
        return lambda: (
            builder().mono().keyframe().seq(seq).timestamp(timestamp).sample_rate_24k()
            .samples(samples).pcm().payload(payload).build()
        )  # fmt: skip

    def image_pack(self, image: Image) -> Call:
        """Construct and pack."""
        format_, quality, image_id, width, height, payload = image
        kind = self._sdk.ImageFrame

        def call() -> Any:  # noqa: ANN401
            return kind(
                format=format_, quality=quality, image_id=image_id, width=width, height=height,
                payload=payload,
            ).pack()  # fmt: skip

        return call

    def image_unpack(self, message: bytes) -> Call:
        """Unpack; it copies the payload."""
        kind = self._sdk.ImageFrame
        return lambda: kind.unpack(message)

    def pcm_frames(self, pcm: bytes) -> Call:
        """Make frame after frame, as its users do: there is no framer in it."""
        kind = self._sdk.AudioFrame

        def call() -> list[Any]:
            messages = []
            for seq, start in enumerate(range(0, len(pcm), 1920)):
                frame = kind(
                    channel=0, key=int(not seq), seq=seq, timestamp=seq * 40, sample_rate=1,
                    samples=960, codec=0, payload=pcm[start : start + 1920],
                )  # fmt: skip
                messages.append(frame.pack())
            return messages

        return call

    def pcm_into(self, pcm: bytes, out: bytearray) -> Call:
        """Make frame after frame, and put each into the buffer."""
        frames = self.pcm_frames(pcm)

        def call() -> None:
            at = 0
            for message in frames():
                out[at : at + len(message)] = message
                at += len(message)

        return call

    def pcm_websocket(self, pcm: bytes) -> Call:
        """Make frame after frame, and mask each by websockets."""
        from websockets.frames import Frame, Opcode  # noqa: PLC0415 - heavy

        frames = self.pcm_frames(pcm)
        return lambda: [Frame(Opcode.BINARY, message).serialize(mask=True) for message in frames()]

    def flood_unpack(self, messages: list[bytes]) -> Call:
        """Unpack each."""
        kind = self._sdk.AudioFrame

        def call() -> list[tuple[Any, Any]]:
            unpack = kind.unpack
            return [((frame := unpack(message)), frame.payload) for message in messages]

        return call

    def chunk_json(self, *arguments: Any) -> Call:  # noqa: ANN401
        """Build the event, and encode it by the standard library, as it does."""
        from json import dumps  # noqa: PLC0415

        build = self._events.response_chunk
        return lambda: dumps(build(*arguments))

    def chunk_websocket(self, *arguments: Any) -> Call:  # noqa: ANN401
        """Build the event, encode it, and mask it by websockets."""
        return masked_text(self.chunk_json(*arguments))

    def partial_websocket(self, *arguments: Any) -> Call:  # noqa: ANN401
        """Build the event, encode it, and mask it by websockets."""
        from json import dumps  # noqa: PLC0415

        build = self._events.input_asr_partial
        return masked_text(lambda: dumps(build(*arguments)))


class _NoSocket:
    """Keeps what the client has built."""

    message = ""

    async def send(self, message: str) -> None:
        """Keep a message."""
        self.message = message


class AkoolSdk:
    """Akool's; its message is taken before its WebSocket library, websockets, which masks it."""

    name = "published SDK (Akool)"
    distributions: tuple[str, ...] = ("akool-streaming-avatar", "websockets")

    def __init__(self) -> None:
        self._client = import_module("akool_streaming_avatar.websocket_client").WebSocketClient

    def akool_json(self, pcm: bytes) -> Call:
        """Have the client build a message.

        Its coroutine never waits, so it is run to its end without an event loop.
        """
        client, socket = self._client("key"), _NoSocket()
        client.connected, client.websocket = True, socket

        def call() -> str:
            try:
                client.send_audio(pcm).send(None)
            except StopIteration:
                return socket.message
            raise RuntimeError("the published client waited for something")

        return call

    def akool_websocket(self, pcm: bytes) -> Call:
        """Have the client build a message, and mask it by websockets."""
        return masked_text(self.akool_json(pcm))
