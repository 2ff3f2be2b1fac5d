"""Reads back what was framed for a connection: whole, masked client messages (RFC 6455)."""

from collections.abc import Iterator

__all__ = ["count_messages", "read_messages"]

_OPCODE, _LENGTH = 0x0F, 0x7F
_TEXT = 1
_TWO_BYTES, _EIGHT_BYTES = 126, 127
_KEY_BYTES = 4


def _headers(wire: bytes) -> Iterator[tuple[int, int, int]]:
    """Give each message's opcode, and where its payload begins and ends."""
    at = 0
    while at < len(wire):
        opcode, length = wire[at] & _OPCODE, wire[at + 1] & _LENGTH
        begin = at + 2
        if length == _TWO_BYTES:
            length, begin = int.from_bytes(wire[begin : begin + 2]), begin + 2
        elif length == _EIGHT_BYTES:
            length, begin = int.from_bytes(wire[begin : begin + 8]), begin + 8
        begin += _KEY_BYTES
        at = begin + length
        yield opcode, begin, at


def count_messages(wire: bytes) -> tuple[int, int]:
    """Give how many text and how many binary messages ``wire`` holds."""
    texts = others = 0
    for opcode, _, _ in _headers(wire):
        if opcode == _TEXT:
            texts += 1
        else:
            others += 1
    return texts, others


def read_messages(wire: bytes) -> Iterator[str | bytes]:
    """Give the messages, unmasked: ``str`` for text, ``bytes`` for binary."""
    for opcode, begin, end in _headers(wire):
        size = end - begin
        key = wire[begin - _KEY_BYTES : begin] * (size // _KEY_BYTES + 1)
        mask = int.from_bytes(key[:size])
        payload = (int.from_bytes(wire[begin:end]) ^ mask).to_bytes(size)
        yield payload.decode() if opcode == _TEXT else payload
