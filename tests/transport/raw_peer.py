"""Peers that do exactly what a test says, and frames made by hand."""

import asyncio
import base64
import contextlib
import hashlib
import itertools
import logging
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
TOKEN = "one-time-5ecret"


def frame(payload: bytes, opcode: int = BINARY, *, mask: bytes | None = b"\x01\x23\x45\x67"):
    head = bytearray([0x80 | opcode])
    flag = 0 if mask is None else 0x80
    if len(payload) < 126:
        head.append(flag | len(payload))
    elif len(payload) < 1 << 16:
        head += bytes([flag | 126]) + len(payload).to_bytes(2, "big")
    else:
        head += bytes([flag | 127]) + len(payload).to_bytes(8, "big")
    if mask is None:
        return bytes(head) + payload
    return bytes(head) + mask + bytes(b ^ m for b, m in zip(payload, itertools.cycle(mask)))


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2), "big")
    elif size == 127:
        size = int.from_bytes(await reader.readexactly(8), "big")
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(size)
    return first & 0xF, bytes(b ^ m for b, m in zip(payload, itertools.cycle(mask)))


@dataclass
class Peer:
    """One accepted connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    request: bytes


@dataclass
class RawServer:
    port: int = 0
    peers: asyncio.Queue[Peer] = field(default_factory=asyncio.Queue)
    accepted: int = 0

    def url(self, scheme: str = "ws") -> str:
        return f"{scheme}://127.0.0.1:{self.port}/live/{TOKEN}?token={TOKEN}"


@asynccontextmanager
async def raw_server(
    answer: bytes | None = None, *, ssl=None, behind: bytes = b"", cut: int | None = None
) -> AsyncIterator[RawServer]:
    """Accept connections; complete the WebSocket handshake, or send ``answer`` and hang up.

    An empty answer sends nothing and stays. ``behind`` follows the handshake in the same write, or
    in two that are cut at a byte.
    """
    state = RawServer()
    writers = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.accepted += 1
        writers.append(writer)
        try:
            request = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return
        if answer is None:
            key = next(
                line.split(b": ", 1)[1]
                for line in request.split(b"\r\n")
                if line.lower().startswith(b"sec-websocket-key")
            )
            digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()  # noqa: S324
            response = (
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
                + base64.b64encode(digest)
                + b"\r\n\r\n"
                + behind
            )
            writer.write(response[:cut])
            if cut is not None:
                await asyncio.sleep(0.01)
                writer.write(response[cut:])
        elif answer:
            writer.write(answer)
            writer.close()
        state.peers.put_nowait(Peer(reader, writer, request))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=ssl)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        await server.wait_closed()


def chain(exc: BaseException | None) -> Iterator[BaseException]:
    """Walk an exception with every cause and context, shown or not."""
    seen = set()
    todo = [exc]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        todo += [one.__cause__, one.__context__]


def told(exc: BaseException) -> str:
    """All that an application could print of an exception."""
    parts = ["".join(traceback.format_exception(exc))]
    parts += [f"{one} {one!r} {one.args!r}" for one in chain(exc)]
    return "\n".join(parts)


def logged(records: list[logging.LogRecord]) -> str:
    """All that a handler could print of log records."""
    formatter = logging.Formatter()
    return "\n".join(
        f"{formatter.format(record)} {record.args!r} {record.__dict__!r}" for record in records
    )
