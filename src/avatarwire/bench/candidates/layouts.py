"""General-purpose ways to lay out bits; they check less than a codec of frames does."""

import ctypes
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from avatarwire.bench import reference
from avatarwire.bench.reference import External, Fields, Image, second
from avatarwire.bench.workloads import Call

__all__ = ["Bitstruct", "Construct", "Ctypes", "Struct"]

_AUDIO = "type", "channel", "key", "seq", "timestamp", "sample_rate", "samples", "codec", "length"
_WIDTHS = dict(zip(_AUDIO, (2, 1, 1, 12, 20, 2, 12, 2, 16), strict=True))


class _Layout:
    """All that follows from one function that packs, and one that unpacks.

    ``pack`` takes the fields and the payload in the header's order, ``unpack`` returns something
    that has the fields, and the payload.
    """

    def __init__(
        self, pack: Callable[..., bytes], unpack: Callable[[bytes], tuple[Any, bytes]]
    ) -> None:
        self._to_message, self._to_fields = pack, unpack

    def header_pack(self, fields: Fields) -> Call:
        """Pack."""
        return partial(self._to_message, *fields)

    def frame_pack(self, fields: Fields) -> Call:
        """Pack."""
        return partial(self._to_message, *fields)

    def frame_unpack(self, message: bytes) -> Call:
        """Unpack."""
        return partial(self._to_fields, message)

    def pcm_frames(self, pcm: bytes) -> Call:
        """Pack frame after frame."""
        pack = self._to_message
        return lambda: [pack(*fields) for fields in second(pcm)]

    def pcm_into(self, pcm: bytes, out: bytearray) -> Call:
        """Pack frame after frame, and put each into the buffer."""
        pack = self._to_message

        def call() -> None:
            at = 0
            for fields in second(pcm):
                message = pack(*fields)
                out[at : at + len(message)] = message
                at += len(message)

        return call

    def flood_unpack(self, messages: list[bytes]) -> Call:
        """Unpack each."""
        unpack = self._to_fields
        return lambda: [unpack(message) for message in messages]


class Struct(_Layout):
    """``struct``, and shifts by hand."""

    name = "struct by hand"
    distributions: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__(reference.audio, reference.read_audio)

    def header_unpack(self, message: bytes) -> Call:
        """Unpack; the payload is copied."""

        def call() -> dict[str, int]:
            fields, _ = reference.read_audio(message)
            return fields

        return call

    def image_pack(self, image: Image) -> Call:
        """Pack."""
        return partial(reference.image, *image)

    def image_unpack(self, message: bytes) -> Call:
        """Unpack; the payload is copied."""

        def call() -> dict[str, int]:
            fields, _ = reference.read_image(message)
            return fields

        return call

    def external_pack(self, external: External) -> Call:
        """Pack."""
        return partial(reference.external, *external)

    def external_unpack(self, message: bytes) -> Call:
        """Unpack; the payload is copied."""

        def call() -> dict[str, int]:
            fields, _ = reference.read_external(message)
            return fields

        return call


class Bitstruct(_Layout):
    """bitstruct's compiled implementation in C."""

    name = "bitstruct"
    distributions: tuple[str, ...] = ("bitstruct",)

    def __init__(self) -> None:
        compiled = import_module("bitstruct.c").compile
        self._audio: Any = compiled("u2u1u1u12u20u2u12u2p4u16", list(_AUDIO))
        images = ["type", *Image._fields[:-1], "length"]
        self._image: Any = compiled("u2p2u4u8u16u16u16u32", images)
        externals = ["magic", "version", *External._fields[:-1], "length"]
        self._external: Any = compiled("u32u8u64s64u32", externals)
        super().__init__(self._pack, self._unpack)

    def _pack(self, *frame: Any) -> bytes:  # noqa: ANN401
        channel, key, seq, timestamp, sample_rate, samples, codec, payload = frame
        fields = {
            "type": 1, "channel": channel, "key": key, "seq": seq, "timestamp": timestamp,
            "sample_rate": sample_rate, "samples": samples, "codec": codec,
            "length": len(payload),
        }  # fmt: skip
        message: bytes = self._audio.pack(fields) + payload
        return message

    def _unpack(self, message: bytes) -> tuple[Any, bytes]:
        fields = self._audio.unpack(message)
        return fields, message[9 : 9 + fields["length"]]

    def header_unpack(self, message: bytes) -> Call:
        """Unpack the header alone."""
        return partial(self._audio.unpack, message)

    def frame_repack(self, fields: Fields) -> Call:
        """Pack a dict."""
        payload, pack = fields.payload, self._audio.pack
        made = {"type": 1, **fields._asdict(), "length": len(payload)}
        del made["payload"]
        return lambda: pack(made) + payload

    def image_pack(self, image: Image) -> Call:
        """Pack."""
        format_, quality, image_id, width, height, payload = image
        pack = self._image.pack

        def call() -> Any:  # noqa: ANN401
            fields = {
                "type": 2, "format": format_, "quality": quality, "image_id": image_id,
                "width": width, "height": height, "length": len(payload),
            }  # fmt: skip
            return pack(fields) + payload

        return call

    def image_unpack(self, message: bytes) -> Call:
        """Unpack the header alone."""
        return partial(self._image.unpack, message)

    def external_pack(self, external: External) -> Call:
        """Pack."""
        sequence, timestamp_us, payload = external
        pack = self._external.pack

        def call() -> Any:  # noqa: ANN401
            fields = {
                "magic": 0x45584155, "version": 1, "sequence": sequence,
                "timestamp_us": timestamp_us, "length": len(payload),
            }  # fmt: skip
            return pack(fields) + payload

        return call

    def external_unpack(self, message: bytes) -> Call:
        """Unpack the header alone."""
        return partial(self._external.unpack, message)


class Construct(_Layout):
    """construct's declarations; it also refuses a message of another type."""

    name = "construct"
    distributions: tuple[str, ...] = ("construct",)

    def __init__(self) -> None:
        c: Any = import_module("construct")
        bits = c.BitsInteger
        body = c.Bytes(c.this.header.length)
        audio = c.BitStruct(
            "type" / c.Const(1, bits(2)),
            *(name / bits(_WIDTHS[name]) for name in _AUDIO[1:-1]),
            c.Padding(4),
            "length" / bits(16),
        )
        image = c.BitStruct(
            "type" / c.Const(2, bits(2)),
            c.Padding(2),
            "format" / bits(4),
            "quality" / bits(8),
            *(name / bits(16) for name in ("image_id", "width", "height")),
            "length" / bits(32),
        )
        external = c.Struct(
            c.Const(b"EXAU\x01"),
            "sequence" / c.Int64ub,
            "timestamp_us" / c.Int64sb,
            "length" / c.Int32ub,
        )
        self._audio, self._image, self._external = (
            c.Struct("header" / header, "payload" / body) for header in (audio, image, external)
        )
        super().__init__(self._pack, self._unpack)

    def _pack(self, *frame: Any) -> bytes:  # noqa: ANN401
        channel, key, seq, timestamp, sample_rate, samples, codec, payload = frame
        fields = {
            "channel": channel, "key": key, "seq": seq, "timestamp": timestamp,
            "sample_rate": sample_rate, "samples": samples, "codec": codec,
            "length": len(payload),
        }  # fmt: skip
        message: bytes = self._audio.build({"header": fields, "payload": payload})
        return message

    def _unpack(self, message: bytes) -> tuple[Any, bytes]:
        frame = self._audio.parse(message)
        return frame.header, frame.payload

    def header_unpack(self, message: bytes) -> Call:
        """Parse; the payload is copied."""
        parse = self._audio.parse
        return lambda: parse(message).header

    def frame_repack(self, fields: Fields) -> Call:
        """Build from a dict."""
        return _built(self._audio, fields)

    def image_pack(self, image: Image) -> Call:
        """Build from a dict that was made before."""
        return _built(self._image, image)

    def image_unpack(self, message: bytes) -> Call:
        """Parse; the payload is copied."""
        parse = self._image.parse
        return lambda: parse(message).header

    def external_pack(self, external: External) -> Call:
        """Build from a dict that was made before."""
        return _built(self._external, external)

    def external_unpack(self, message: bytes) -> Call:
        """Parse; the payload is copied."""
        parse = self._external.parse
        return lambda: parse(message).header


def _built(layout: Any, frame: Fields | Image | External) -> Call:  # noqa: ANN401
    made: dict[str, Any] = {**frame._asdict(), "length": len(frame.payload)}
    payload = made.pop("payload")
    return partial(layout.build, {"header": made, "payload": payload})


class _Head(ctypes.BigEndianStructure):
    """All fields up to the reserved bits, in the upper 56 bits of a word."""

    _fields_ = (
        *((name, ctypes.c_uint64, _WIDTHS[name]) for name in _AUDIO[:-1]),
        ("reserved", ctypes.c_uint64, 12),
    )


class Ctypes(_Layout):
    """ctypes' bit fields; reading a field is what costs, and that comes later."""

    name = "ctypes"
    distributions: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__(self._pack, self._unpack)

    @staticmethod
    def _pack(
        channel: int,
        key: int,
        seq: int,
        timestamp: int,
        sample_rate: int,
        samples: int,
        codec: int,
        payload: bytes,
    ) -> bytes:
        head = _Head(
            type=1, channel=channel, key=key, seq=seq, timestamp=timestamp,
            sample_rate=sample_rate, samples=samples, codec=codec,
        )  # fmt: skip
        return bytes(head)[:7] + len(payload).to_bytes(2, "big") + payload

    @staticmethod
    def _unpack(message: bytes) -> tuple[_Head, bytes]:
        length = int.from_bytes(message[7:9], "big")
        return _Head.from_buffer_copy(message), message[9 : 9 + length]

    def header_unpack(self, message: bytes) -> Call:
        """Lay the structure over a copy of the header."""
        return partial(_Head.from_buffer_copy, message)

    def frame_repack(self, fields: Fields) -> Call:
        """Copy a filled structure out."""
        payload = fields.payload
        head = _Head(
            type=1, channel=fields.channel, key=fields.key, seq=fields.seq,
            timestamp=fields.timestamp, sample_rate=fields.sample_rate, samples=fields.samples,
            codec=fields.codec,
        )  # fmt: skip
        return lambda: bytes(head)[:7] + len(payload).to_bytes(2, "big") + payload
