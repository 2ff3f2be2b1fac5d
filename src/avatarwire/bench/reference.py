"""The wire by ``int`` and ``struct`` alone: what every candidate's bytes are checked against."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

__all__ = [
    "RATE_BITS",
    "External",
    "Fields",
    "Image",
    "audio",
    "external",
    "image",
    "read_audio",
    "read_external",
    "read_image",
    "second",
    "unmasked",
]

#: How the header names the rate of ``second``.
RATE_BITS = 1


class Fields(NamedTuple):
    """An audio frame (protocol section 5)."""

    channel: int
    key: int
    seq: int
    timestamp: int
    sample_rate: int
    samples: int
    codec: int
    payload: bytes


class Image(NamedTuple):
    """An image frame (protocol section 6)."""

    format: int
    quality: int
    image_id: int
    width: int
    height: int
    payload: bytes


class External(NamedTuple):
    """A frame of external audio (protocol section 7)."""

    sequence: int
    timestamp_us: int
    payload: bytes


def audio(
    channel: int,
    key: int,
    seq: int,
    timestamp: int,
    sample_rate: int,
    samples: int,
    codec: int,
    payload: bytes,
) -> bytes:
    """Return an audio frame's message."""
    return struct.pack(
        ">HIBH",
        0x4000 | channel << 13 | key << 12 | seq,
        timestamp << 12 | sample_rate << 10 | samples >> 2,
        (samples & 3) << 6 | codec << 4,
        len(payload),
    ) + payload  # fmt: skip


def read_audio(message: bytes) -> tuple[dict[str, int], bytes]:
    """Return an audio frame's fields and its payload."""
    first, middle, last, length = struct.unpack_from(">HIBH", message)
    fields = {
        "channel": first >> 13 & 1,
        "key": first >> 12 & 1,
        "seq": first & 0xFFF,
        "timestamp": middle >> 12,
        "sample_rate": middle >> 10 & 3,
        "samples": (middle & 0x3FF) << 2 | last >> 6,
        "codec": last >> 4 & 3,
    }
    return fields, message[9 : 9 + length]


def image(
    format: int,  # noqa: A002 - the wire's name
    quality: int,
    image_id: int,
    width: int,
    height: int,
    payload: bytes,
) -> bytes:
    """Return an image frame's message."""
    head = struct.pack(">BBHHHI", 0x80 | format, quality, image_id, width, height, len(payload))
    return head + payload


def read_image(message: bytes) -> tuple[dict[str, int], bytes]:
    """Return an image frame's fields and its payload."""
    first, quality, image_id, width, height, length = struct.unpack_from(">BBHHHI", message)
    fields = {
        "format": first & 15,
        "quality": quality,
        "image_id": image_id,
        "width": width,
        "height": height,
    }
    return fields, message[12 : 12 + length]


def external(sequence: int, timestamp_us: int, payload: bytes) -> bytes:
    """Return the message of a frame of external audio."""
    head = struct.pack(">4sBQqI", b"EXAU", 1, sequence, timestamp_us, len(payload))
    return head + payload


def read_external(message: bytes) -> tuple[dict[str, int], bytes]:
    """Return the fields and the payload of a frame of external audio."""
    _, _, sequence, timestamp_us, length = struct.unpack_from(">4sBQqI", message)
    return {"sequence": sequence, "timestamp_us": timestamp_us}, message[25 : 25 + length]


def second(pcm: bytes) -> Iterator[Fields]:
    """Cut 24 kHz mono PCM into frames of 40 ms."""
    for seq, start in enumerate(range(0, len(pcm), 1920)):
        payload = pcm[start : start + 1920]
        yield Fields(0, int(not seq), seq, seq * 40, RATE_BITS, 960, 0, payload)


def unmasked(wire: bytes, first: int) -> list[bytes]:
    """Return what masked WebSocket messages hold (RFC 6455, section 5.2).

    Args:
        wire: the messages, one behind the other, each in one frame.
        first: the first byte of each: 0x81 for text, 0x82 for binary.

    Raises:
        ValueError: it is something else.
    """
    messages, at = [], 0
    while at < len(wire):
        head, length = wire[at], wire[at + 1] & 0x7F
        if head != first or not wire[at + 1] & 0x80:
            raise ValueError(f"byte {at} begins no masked message: 0x{wire[at : at + 2].hex()}")
        at += 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length = int.from_bytes(wire[at : at + size], "big")
            at += size
        key, body = wire[at : at + 4], wire[at + 4 : at + 4 + length]
        if len(body) < length:
            raise ValueError(f"its last message has {len(body)} bytes of {length}")
        keys = (key * (length // 4 + 1))[:length]
        plain = int.from_bytes(body, "big") ^ int.from_bytes(keys, "big")
        messages.append(plain.to_bytes(length, "big"))
        at += 4 + length
    return messages
