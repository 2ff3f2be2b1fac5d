"""The codec beside general-purpose ways to lay out bits, and beside a plain copy."""

import ctypes
import struct
from collections.abc import Callable

import bitstruct
import bitstruct.c
import construct
from codec import (
    CHUNK,
    SECOND,
    construct_pack_ours,
    construct_pack_seed,
    frames_seed,
    seed,
    websocket_seed,
)
from ratios import best_times
from report import Panel, write

from avatarwire.codec import AudioFrame, PcmFramer

NOTES = """\
One frame is 40 ms of 24 kHz PCM: 9 bytes of header and 1,920 of payload. Each way starts from the
fields and ends with one `bytes`, or goes from there to the fields and the payload. The
general-purpose ways check less: `struct` is given fields shifted by hand, and of them only
`construct` refuses a message of another type. *One copy* is what no framing can beat: of the
payload by a slice, of the second by `memoryview(target)[:] = source`."""

_FIELDS = "type", "channel", "key", "seq", "timestamp", "sample_rate", "samples", "codec", "length"
_WIDTHS = dict(zip(_FIELDS, (2, 1, 1, 12, 20, 2, 12, 2, 16), strict=True))


def by_struct(seq: int, timestamp: int, key: int, payload: bytes) -> bytes:
    """Pack a frame by hand-written shifts and ``struct``."""
    return struct.pack(
        ">HIBH",
        0x4000 | key << 12 | seq,
        timestamp << 12 | 1 << 10 | 960 >> 2,
        (960 & 3) << 6,
        len(payload),
    ) + payload  # fmt: skip


def from_struct(message: bytes) -> tuple[dict[str, int], bytes]:
    """Unpack a frame by ``struct`` and hand-written shifts."""
    first, middle, last, length = struct.unpack_from(">HIBH", message)
    fields = {
        "type": first >> 14,
        "channel": first >> 13 & 1,
        "key": first >> 12 & 1,
        "seq": first & 0xFFF,
        "timestamp": middle >> 12,
        "sample_rate": middle >> 10 & 3,
        "samples": (middle & 0x3FF) << 2 | last >> 6,
        "codec": last >> 4 & 3,
    }
    return fields, message[9 : 9 + length]


_BITS = bitstruct.c.compile("u2u1u1u12u20u2u12u2p4u16", list(_FIELDS))


def by_bitstruct(seq: int, timestamp: int, key: int, payload: bytes) -> bytes:
    """Pack a frame by bitstruct's compiled C implementation."""
    fields = {
        "type": 1, "channel": 0, "key": key, "seq": seq, "timestamp": timestamp, "sample_rate": 1,
        "samples": 960, "codec": 0, "length": len(payload),
    }  # fmt: skip
    return _BITS.pack(fields) + payload


def from_bitstruct(message: bytes) -> tuple[dict[str, int], bytes]:
    """Unpack a frame by bitstruct's compiled C implementation."""
    fields = _BITS.unpack(message)
    return fields, message[9 : 9 + fields["length"]]


_CONSTRUCT = construct.Struct(
    "header"
    / construct.BitStruct(
        "type" / construct.Const(1, construct.BitsInteger(2)),
        *(name / construct.BitsInteger(_WIDTHS[name]) for name in _FIELDS[1:-1]),
        construct.Padding(4),
        "length" / construct.BitsInteger(16),
    ),
    "payload" / construct.Bytes(construct.this.header.length),
)


def by_construct(seq: int, timestamp: int, key: int, payload: bytes) -> bytes:
    """Pack a frame by a construct declaration."""
    fields = {
        "channel": 0, "key": key, "seq": seq, "timestamp": timestamp, "sample_rate": 1,
        "samples": 960, "codec": 0, "length": len(payload),
    }  # fmt: skip
    return _CONSTRUCT.build({"header": fields, "payload": payload})


class _Head(ctypes.BigEndianStructure):
    """All fields up to the reserved bits, in the upper 56 bits of a word."""

    _fields_ = (
        *((name, ctypes.c_uint64, _WIDTHS[name]) for name in _FIELDS[:-1]),
        ("reserved", ctypes.c_uint64, 12),
    )


def by_ctypes(seq: int, timestamp: int, key: int, payload: bytes) -> bytes:
    """Pack a frame by a ctypes bit field."""
    head = _Head(
        type=1, channel=0, key=key, seq=seq, timestamp=timestamp, sample_rate=1, samples=960,
        codec=0,
    )  # fmt: skip
    return bytes(head)[:7] + len(payload).to_bytes(2, "big") + payload


def from_ctypes(message: bytes) -> tuple[_Head, bytes]:
    """Unpack a frame by a ctypes bit field."""
    length = int.from_bytes(message[7:9], "big")
    return _Head.from_buffer_copy(message), message[9 : 9 + length]


_PACKERS = {
    "struct": by_struct,
    "ctypes": by_ctypes,
    "bitstruct (C)": by_bitstruct,
    "construct": by_construct,
}


def _frames_by(pack: Callable[[int, int, int, bytes], bytes]) -> list[bytes]:
    return [
        pack(seq, seq * 40, int(not seq), SECOND[start : start + 1920])
        for seq, start in enumerate(range(0, len(SECOND), 1920))
    ]


def run() -> list[Panel]:
    """Time every candidate on each task, and write the results."""
    message = construct_pack_ours()
    framer = PcmFramer(sample_rate=24000)
    expected = framer.frames(SECOND)
    for name, pack in _PACKERS.items():
        # A candidate that makes other bytes would be no comparison.
        assert _frames_by(pack) == expected, name
    target = bytearray(len(SECOND) + 25 * 9)
    copied = bytearray(len(SECOND))

    def copy() -> None:
        memoryview(copied)[:] = SECOND

    def packer(pack: Callable[[int, int, int, bytes], bytes]) -> Callable[[], object]:
        return lambda: pack(7, 280, 1, CHUNK)

    def second(pack: Callable[[int, int, int, bytes], bytes]) -> Callable[[], object]:
        return lambda: _frames_by(pack)

    def unpack_ours() -> bytes:
        return AudioFrame.unpack(message).payload

    panels = [
        Panel(
            "Pack a frame from its fields",
            best_times(
                {
                    "avatarwire": construct_pack_ours,
                    "one copy": lambda: message[9:],
                    **{name: packer(pack) for name, pack in _PACKERS.items()},
                    "published SDK": construct_pack_seed,
                }
            ),
            limit="one copy",
        ),
        Panel(
            "Unpack a frame, payload included",
            best_times(
                {
                    "avatarwire": unpack_ours,
                    "one copy": lambda: message[9:],
                    "struct": lambda: from_struct(message),
                    "ctypes": lambda: from_ctypes(message),
                    "bitstruct (C)": lambda: from_bitstruct(message),
                    "construct": lambda: _CONSTRUCT.parse(message),
                    "published SDK": lambda: seed.AudioFrame.unpack(message).payload,
                }
            ),
            limit="one copy",
        ),
        Panel(
            "One second of PCM to a list of frames",
            best_times(
                {
                    "avatarwire": lambda: framer.frames(SECOND),
                    "one copy": copy,
                    **{name: second(pack) for name, pack in _PACKERS.items()},
                    "published SDK": frames_seed,
                }
            ),
            limit="one copy",
        ),
        Panel(
            "One second of PCM into a buffer, or as masked WebSocket bytes",
            best_times(
                {
                    "avatarwire, into a buffer": lambda: framer.pack_into(SECOND, target),
                    "avatarwire, masked": lambda: framer.websocket(SECOND),
                    "one copy": copy,
                    "published SDK, frames": frames_seed,
                    "published SDK and websockets, masked": websocket_seed,
                }
            ),
            limit="one copy",
        ),
    ]
    write("codec", "Frames and bytes", panels, ["bitstruct", "construct", "websockets"], NOTES)
    return panels


if __name__ == "__main__":
    run()
