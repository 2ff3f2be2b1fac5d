"""How late one session sends while the peer of another floods: events, fragments, pings.

The peers run in a process of their own. A step of the event loop is one callback; the longest is
what everybody else may have to wait for. Each flood lasts as long as ``--seconds`` says: a message
of 64 MiB in fragments of one byte, or pings without end, would take minutes.
"""

import argparse
import asyncio
import multiprocessing
import socket
import time
from asyncio.events import Handle
from collections.abc import Callable
from functools import partial
from itertools import repeat

from websockets.utils import accept_key

from avatarwire import transport

FRAME_S = 0.02
FRAME = b"\x82\x80" + bytes(4)  # masked, empty
LIMIT_BYTES = 2**26
EVENTS = 1_000_000
FIRST_FRAGMENT = b"\x02\x01a"
#: What the peer says again and again, in as large writes as help.
FLOODS = {
    "nothing": b"",
    "a million events": b"\x81\x02{}" * 20_000,
    "fragments of one byte": b"\x00\x01a" * 20_000,
    "pings without end": b"\x89\x7d" + bytes(125) + (b"\x89\x01a" * 20_000),
}


class Taker:
    """Counts what comes."""

    def __init__(self) -> None:
        self.messages = 0
        self.code = asyncio.get_running_loop().create_future()

    def received(self, messages: list[str | bytes]) -> None:
        """Count messages."""
        self.messages += len(messages)

    def ended(self) -> None:
        """Take note of the end."""
        self.code.set_result(None)


def serve(listener: socket.socket) -> None:
    """Accept connections and flood as their path asks."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        lines = request.decode().split("\r\n")
        key = next(line[19:] for line in lines if line.lower().startswith("sec-websocket-key:"))
        flood = list(FLOODS)[int(lines[0].split()[1].strip("/"))]
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(key).encode() + b"\r\n\r\n"
        )
        reading = asyncio.create_task(drain(reader))
        if flood.startswith("fragments"):
            writer.write(FIRST_FRAGMENT)
        part = FLOODS[flood]
        times = repeat(part, EVENTS // 20_000) if "million" in flood else repeat(part)
        try:
            for wire in times if part else ():
                writer.write(wire)
                await writer.drain()
            await reading
        except ConnectionError:
            pass
        reading.cancel()
        writer.transport.abort()

    async def drain(reader: asyncio.StreamReader) -> None:
        while await reader.read(2**16):
            pass

    async def main() -> None:
        async with await asyncio.start_server(handle, sock=listener) as server:
            await server.serve_forever()

    asyncio.run(main())


async def speak(url: str, late_s: list[float], seconds: float) -> None:
    """Send a frame when it is due, and note by how much it was late."""
    connection = await transport.connect(url, open_timeout_s=5, ping_interval_s=None)
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    for number in range(1, int(seconds / FRAME_S)):
        due_s = start_s + number * FRAME_S
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        connection.write_batch(FRAME)
        late_s.append(loop.time() - due_s)
    await connection.close()


async def measure(port: int, number: int, seconds: float, steps_s: list[float]) -> None:
    """Print how late one speaker was beside one flood."""
    url = f"ws://127.0.0.1:{port}/"
    flooded = await transport.connect(
        f"{url}{number}", open_timeout_s=5, max_message_bytes=LIMIT_BYTES, ping_interval_s=None
    )
    taker = Taker()
    late_s: list[float] = []
    steps_s.clear()
    cpu_s = time.process_time()
    flooded.listen(taker)
    await speak(f"{url}0", late_s, seconds)
    cpu_s = time.process_time() - cpu_s
    steps_s.sort()
    late_s.sort()
    print(
        f"{list(FLOODS)[number]:22}"
        f" late p50 {late_s[len(late_s) // 2] * 1e3:5.1f} ms, p99"
        f" {late_s[len(late_s) * 99 // 100] * 1e3:5.1f}, most {late_s[-1] * 1e3:5.1f};"
        f" longest steps {', '.join(f'{step * 1e3:.1f}' for step in steps_s[-3:])} ms of CPU;"
        f" {cpu_s / seconds:4.0%} of a core, {taker.messages} messages"
    )
    await flooded.close()


def timed(run: Callable[[Handle], None], steps_s: list[float]) -> Callable[[Handle], None]:
    """Return a handle's ``_run`` that notes its CPU time."""

    def timed_run(handle: Handle) -> None:
        before_s = time.thread_time()
        run(handle)
        steps_s.append(time.thread_time() - before_s)

    return timed_run


def main() -> None:
    """Measure each flood in turn."""
    parser = argparse.ArgumentParser(description="Send on time beside a peer that floods.")
    parser.add_argument("--seconds", type=float, default=10)
    seconds = parser.parse_args().seconds
    steps_s: list[float] = []
    Handle._run = timed(Handle._run, steps_s)  # type: ignore[attr-defined,method-assign]  # noqa: SLF001
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        peers = multiprocessing.get_context("fork").Process(target=partial(serve, listener))
        peers.start()
        for number in range(len(FLOODS)):
            asyncio.run(measure(port, number, seconds, steps_s))
        peers.kill()
        peers.join()


if __name__ == "__main__":
    main()
