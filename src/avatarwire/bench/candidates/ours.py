"""This package."""

from typing import Any

from avatarwire.bench.reference import External, Fields, Image
from avatarwire.bench.workloads import Call
from avatarwire.codec import (
    AudioFrame,
    AudioFrameBuilder,
    ExternalAudioFrame,
    ImageFrame,
    JitterBuffer,
    PcmFramer,
    client_message,
    level,
)

__all__ = ["Avatarwire"]


class Avatarwire:
    """The codec, the messages and the resampler of this package."""

    name = "avatarwire"
    distributions: tuple[str, ...] = ("avatarwire",)

    def header_pack(self, fields: Fields) -> Call:
        """Construct from keywords, as programs do, and pack."""
        return self.frame_pack(fields)

    def header_unpack(self, message: bytes) -> Call:
        """Unpack; the payload stays in the message."""
        return lambda: AudioFrame.unpack(message)

    def frame_pack(self, fields: Fields) -> Call:
        """Construct from keywords, as programs do, and pack."""
        channel, key, seq, timestamp, sample_rate, samples, codec, payload = fields

        def call() -> bytes:
            return AudioFrame(
                channel=channel, key=key, seq=seq, timestamp=timestamp, sample_rate=sample_rate,
                samples=samples, codec=codec, payload=payload,
            ).pack()  # fmt: skip

        return call

    def frame_repack(self, fields: Fields) -> Call:
        """Pack."""
        return AudioFrame(*fields).pack

    def frame_unpack(self, message: bytes) -> Call:
        """Unpack, and take the payload out."""

        def call() -> tuple[AudioFrame, bytes]:
            frame = AudioFrame.unpack(message)
            return frame, frame.payload

        return call

    def frame_builder(self, fields: Fields) -> Call:
        """Build."""
        seq, timestamp, samples, payload = (
            fields.seq, fields.timestamp, fields.samples, fields.payload,
        )  # fmt: skip
        return lambda: (
            AudioFrameBuilder().mono().keyframe().seq(seq).timestamp(timestamp).sample_rate_24k()
            .samples(samples).pcm().payload(payload).build()
        )  # fmt: skip

    def image_pack(self, image: Image) -> Call:
        """Construct and pack."""
        format_, quality, image_id, width, height, payload = image

        def call() -> bytes:
            return ImageFrame(
                format=format_, quality=quality, image_id=image_id, width=width, height=height,
                payload=payload,
            ).pack()  # fmt: skip

        return call

    def image_unpack(self, message: bytes) -> Call:
        """Unpack; the payload stays in the message."""
        return lambda: ImageFrame.unpack(message)

    def external_pack(self, external: External) -> Call:
        """Construct and pack."""
        sequence, timestamp_us, payload = external
        return lambda: ExternalAudioFrame(sequence, timestamp_us, payload).pack()

    def external_unpack(self, message: bytes) -> Call:
        """Unpack; the payload stays in the message."""
        return lambda: ExternalAudioFrame.unpack(message)

    def pcm_frames(self, pcm: bytes) -> Call:
        """Cut a second; the stream goes on from call to call."""
        framer = PcmFramer(sample_rate=24000)
        return lambda: framer.frames(pcm)

    def pcm_into(self, pcm: bytes, out: bytearray) -> Call:
        """Cut a second into a buffer; the stream goes on from call to call."""
        framer = PcmFramer(sample_rate=24000)
        return lambda: framer.pack_into(pcm, out)

    def pcm_websocket(self, pcm: bytes) -> Call:
        """Cut and mask a second; the stream goes on from call to call."""
        framer = PcmFramer(sample_rate=24000)
        return lambda: framer.websocket(pcm)

    def flood_unpack(self, messages: list[bytes]) -> Call:
        """Unpack each, and take its payload out."""

        def call() -> list[tuple[AudioFrame, bytes]]:
            unpack = AudioFrame.unpack
            return [((frame := unpack(message)), frame.payload) for message in messages]

        return call

    def message_mask(self, message: bytes) -> Call:
        """Mask with a key of the system's entropy."""
        return lambda: client_message(message)

    def chunk_json(self, *arguments: Any) -> Call:  # noqa: ANN401
        """Check the arguments, and encode."""
        from avatarwire.liveavatar.messages import MessageBuilder, encode  # noqa: PLC0415

        return lambda: encode(MessageBuilder.response_chunk(*arguments))

    def chunk_websocket(self, *arguments: Any) -> Call:  # noqa: ANN401
        """Check the arguments, encode, and mask."""
        from avatarwire.liveavatar.messages import MessageBuilder, encode  # noqa: PLC0415

        return lambda: client_message(encode(MessageBuilder.response_chunk(*arguments)), text=True)

    def partial_websocket(self, *arguments: Any) -> Call:  # noqa: ANN401
        """Check the arguments, encode, and mask."""
        from avatarwire.liveavatar.messages import MessageBuilder, encode  # noqa: PLC0415

        return lambda: client_message(
            encode(MessageBuilder.input_asr_partial(*arguments)), text=True
        )

    def akool_json(self, pcm: bytes) -> Call:
        """Build the envelope."""
        from avatarwire.akool.messages import EnvelopeWire  # noqa: PLC0415

        wire = EnvelopeWire()
        return lambda: wire.audio(pcm)

    def akool_websocket(self, pcm: bytes) -> Call:
        """Build the envelope, and mask."""
        from avatarwire.akool.messages import EnvelopeWire  # noqa: PLC0415

        wire = EnvelopeWire()
        return lambda: client_message(wire.audio(pcm), text=True)

    def jitter(self, frames: list[Fields], window_ms: int) -> Call:
        """Push all through a buffer."""
        arriving = [AudioFrame(*fields) for fields in frames]
        buffer = JitterBuffer(window_ms=window_ms)

        def call() -> list[Any]:
            buffer.reset()
            push = buffer.push
            released: list[Any] = []
            for frame in arriving:
                released += push(frame)
            return released + buffer.flush()

        return call

    def level(self, pcm: bytes) -> Call:
        """Measure."""
        return lambda: level(pcm)

    def resample(self, pcm: bytes) -> Call:
        """Convert a stream that consists of one chunk; needs the extra "audio"."""
        from avatarwire.audio import Resampler  # noqa: PLC0415

        resampler = Resampler(rate_in=24000, rate_out=16000)
        return lambda: resampler.push(pcm) + resampler.flush()
