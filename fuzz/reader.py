"""Streams of frames, right and wrong, against the reader: it must not be noticed.

A connection reads by our reader and the library's parser together. What comes of a stream, however
it is cut into reads, must be what the library's parser alone makes of it, byte by byte: messages,
answers, close codes, reasons, errors. What it looks for:

- any difference, and any exception;
- more work in one call of the reader than is allowed;
- memory blocks that add up.
"""

import argparse
import gc
import logging
import random
import sys
import time
from dataclasses import dataclass, field
from itertools import cycle

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol, Side

from avatarwire.rfc6455 import MessageReader
from avatarwire.rfc6455.reader import BATCH

WARM_UP = 20_000
SPARE_BLOCKS = 200
#: Largest messages that a stream is read with: short ones reach each limit sooner.
LIMITS = (0, 1, 5, 125, 126, 1000, 70_000)
LENGTHS = (0, 0, 1, 2, 3, 5, 6, 20, 124, 125, 126, 127, 300)
TEXTS = (
    b"",
    b"a",
    "zwölf ✓".encode(),
    b"\xff",
    "ö".encode()[:1],
    "ö".encode()[1:],
    b"\xed\xa0\x80",
)

quiet = logging.getLogger("fuzz.reader")
quiet.disabled = True


@dataclass
class Outcome:
    """All that can be seen of a connection's reading."""

    messages: list[str | bytes] = field(default_factory=list)
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    end: tuple[object, ...] = ()


class Parser:
    """The library's parser, and what a connection does with its events."""

    def __init__(self, most: int) -> None:
        self.outcome = Outcome()
        self.protocol = Protocol(Side.CLIENT, max_size=most, logger=quiet)
        self._opcode = Opcode.TEXT
        self._parts = b""

    def take(self, data: bytes) -> None:
        """Parse received bytes."""
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            assert isinstance(event, Frame)
            self._handle(event)
        for wire in self.protocol.data_to_send():
            self.outcome.answers.append(unmasked(wire))

    def _handle(self, frame: Frame) -> None:
        if frame.opcode not in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
            return
        if frame.opcode is not Opcode.CONT:
            self._opcode = frame.opcode
            self._parts = b""
        self._parts += frame.data
        if not frame.fin:
            return
        try:
            is_text = self._opcode is Opcode.TEXT
            self.outcome.messages.append(self._parts.decode() if is_text else self._parts)
        except UnicodeDecodeError as exc:
            self.protocol.fail(CloseCode.INVALID_DATA, f"{exc.reason} at position {exc.start}")

    def ended(self) -> Outcome:
        """Return what has come of it when the peer says no more."""
        protocol = self.protocol
        protocol.receive_eof()
        error = protocol.parser_exc
        self.outcome.end = (
            protocol.state,
            protocol.close_sent,
            protocol.close_rcvd,
            protocol.close_rcvd_then_sent,
            type(error),
            # How much of a frame was there at the end is nowhere told.
            "" if isinstance(error, EOFError) else str(error),
        )
        return self.outcome


def alone(stream: bytes, most: int) -> Outcome:
    """Read by the library, byte by byte."""
    parser = Parser(most)
    for at in range(len(stream)):
        parser.take(stream[at : at + 1])
    return parser.ended()


def together(chunks: list[bytes], most: int) -> Outcome:
    """Read as a connection does."""
    parser = Parser(most)
    reader = MessageReader(most)
    for chunk in chunks:
        reader.feed(chunk)
        while (found := reader.next()) is not None:
            if isinstance(found, bytes):
                assert found
                parser.take(found)
                if parser.protocol.close_sent is not None:
                    reader.give_up()
            else:
                assert 0 < len(found) <= BATCH
                parser.outcome.messages += found
        assert reader.unread_bytes == 0
    return parser.ended()


def unmasked(wire: bytes) -> tuple[int, bytes]:
    """Return opcode and payload of a short frame of a client's."""
    if not wire:
        return 0, b""
    payload = bytes(byte ^ key for byte, key in zip(wire[6:], cycle(wire[2:6]), strict=False))
    return wire[0], payload


def frame(first: int, payload: bytes, *, form: int = 0, flags: int = 0) -> bytes:
    """Return a server's frame; its length as short as can be, or in 16 or 64 bits."""
    size = len(payload)
    if form == 64 or size > 0xFFFF:
        header = bytes([first, flags | 127]) + size.to_bytes(8)
    elif form == 16 or size > 125:
        header = bytes([first, flags | 126]) + size.to_bytes(2)
    else:
        header = bytes([first, flags | size])
    return header + payload


def random_frame(rng: random.Random) -> bytes:
    """Return a frame, most often one that is right."""
    kind = rng.random()
    first = rng.choice((0x81, 0x82, 0x82, 0x89, 0x8A, 0x01, 0x02, 0x00, 0x00, 0x80, 0x80))
    if kind < 0.02:
        first = rng.randrange(256)
    elif kind < 0.05:
        close = rng.choice(
            (b"", b"\x03\xe8", b"\x03\xe8bye", b"\x0f\xa0\xff", b"\x03", b"\x00\x01")
        )
        return frame(0x88, close)
    payload = rng.choice(TEXTS) if rng.random() < 0.3 else b"x" * rng.choice(LENGTHS)
    if rng.random() < 0.0001:
        payload = bytes(rng.choice((0xFFFF, 0x10000, 70_001)))
    form = rng.choice((0, 0, 0, 0, 16, 64))
    return frame(first, payload, form=form, flags=0x80 * (rng.random() < 0.01))


def random_stream(rng: random.Random) -> bytes:
    """Return some frames, which may be cut or spoilt."""
    stream = bytearray().join(random_frame(rng) for _ in range(rng.randrange(1, 8)))
    if rng.random() < 0.01:
        many = [bytes(stream[:20]), frame(rng.choice((0x81, 0x82, 0x89, 0x00)), b"")]
        stream = bytearray().join([many[rng.randrange(2)]] * rng.randrange(60, 200))
    if rng.random() < 0.1 and stream:
        stream[rng.randrange(len(stream))] ^= 1 << rng.randrange(8)
    if rng.random() < 0.2:
        del stream[rng.randrange(len(stream) + 1) :]
    return bytes(stream)


def random_chunks(stream: bytes, rng: random.Random) -> list[bytes]:
    """Cut a stream into reads."""
    longest = rng.choice((1, 2, 3, 7, 50, 1 << 20))
    chunks = []
    at = 0
    while at < len(stream):
        size = rng.randrange(longest) + 1
        chunks.append(stream[at : at + size])
        at += size
    return chunks


def main() -> None:
    """Compare; what differs is shown."""
    parser = argparse.ArgumentParser(description="Fuzz the reader of received bytes.")
    parser.add_argument("--count", type=int, default=1_000_000, help="streams")
    parser.add_argument("--cuts", type=int, default=1, help="ways that each is cut, at random")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    start = time.monotonic()
    blocks = messages = number = 0
    shown = ""
    try:
        for number in range(options.count):
            if number == WARM_UP:
                gc.collect()
                blocks = sys.getallocatedblocks()
            stream = random_stream(rng)
            most = rng.choice(LIMITS)
            shown = f"{stream.hex()} read with {most}"
            expected = alone(stream, most)
            for _ in range(options.cuts):
                chunks = random_chunks(stream, rng)
                shown = f"{stream.hex()} read with {most}, in {[len(chunk) for chunk in chunks]}"
                assert together(chunks, most) == expected
            messages += len(expected.messages)
    except BaseException:
        print(f"stream {number} of seed {options.seed}: {shown}", file=sys.stderr)
        raise
    gc.collect()
    more = sys.getallocatedblocks() - blocks if options.count > WARM_UP else 0
    print(
        f"{options.count} streams, each cut in {options.cuts} ways, in"
        f" {time.monotonic() - start:.1f} s: {messages} messages, the same either way;"
        f" {more} memory blocks more than at the start"
    )
    if more > SPARE_BLOCKS:
        sys.exit("Memory adds up.")


if __name__ == "__main__":
    main()
