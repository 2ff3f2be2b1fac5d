"""Proxies on this machine, which take every name to one port here."""

import asyncio
import base64
import contextlib
from dataclasses import dataclass, field

VARIABLES = [
    f"{name}_proxy" for name in ("http", "https", "ws", "wss", "all", "socks", "no", "ftp")
]


def clear_proxies(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@dataclass
class ProxyServer:
    """What was asked of a proxy, and what it was told of the user."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)


async def pipe(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(2**16):
            writer.write(data)
    writer.close()


@contextlib.asynccontextmanager
async def listening(accept, *, ssl=None):
    state = ProxyServer()
    tasks = set()

    async def accepted(reader, writer):
        tasks.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            await accept(state, reader, writer)
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=ssl)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await server.wait_closed()


async def both_ways(reader, writer, port, first=b""):
    there, back = await asyncio.open_connection("127.0.0.1", port)
    back.write(first)
    try:
        await asyncio.wait(
            [asyncio.create_task(pipe(reader, back)), asyncio.create_task(pipe(there, writer))],
            return_when=asyncio.FIRST_COMPLETED,
        )
    finally:
        back.transport.abort()
        with contextlib.suppress(OSError):
            await back.wait_closed()


def http_proxy(port, *, ssl=None):
    """An HTTP proxy whose every way leads to ``port`` of this machine."""

    async def accept(state, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        state.asked.append(f"{method} {target}")
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"proxy-authorization: basic "):
                state.users.append(base64.b64decode(line.split(b" ")[2]).decode())
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await both_ways(reader, writer, port)
        else:
            await both_ways(reader, writer, port, head)

    return listening(accept, ssl=ssl)


def socks_proxy(port):
    """A SOCKS5 proxy whose every way leads to ``port`` of this machine (RFC 1928, RFC 1929)."""

    async def accept(state, reader, writer):
        _, count = await reader.readexactly(2)
        wants_password = 2 in await reader.readexactly(count)
        writer.write(b"\x05\x02" if wants_password else b"\x05\x00")
        if wants_password:
            _, size = await reader.readexactly(2)
            user = await reader.readexactly(size)
            password = await reader.readexactly((await reader.readexactly(1))[0])
            state.users.append(f"{user.decode()}:{password.decode()}")
            writer.write(b"\x01\x00")
        *_, kind = await reader.readexactly(4)
        size = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
        host = await reader.readexactly(size)
        asked = int.from_bytes(await reader.readexactly(2), "big")
        # A name: it was not resolved before.
        state.asked.append(f"{host.decode() if kind == 3 else 'an address'}:{asked}")
        writer.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        await both_ways(reader, writer, port)

    return listening(accept)
