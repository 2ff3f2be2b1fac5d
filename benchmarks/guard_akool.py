"""Akool's ``send_audio`` beside the published client 0.1.8, in one process.

Run ``make .seeds/liveavatar-0.2.2 .seeds/akool-0.1.8`` once, then this file; ``--check`` fails when
a ratio is under its floor. Both clients are given the same 2,048 bytes of sound. Messages are those
of the list; a whole call ends in a real socket, whose peer, another process, reads and drops what
comes. What counts there is this process's CPU time, the kernel's included.
"""

import asyncio
import logging
import multiprocessing
import platform
import random
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version

import seeds  # noqa: F401 - for the published client
from ratios import Ratio, floors, ratio_of, report
from websockets.asyncio.client import connect as websockets_connect
from websockets.sync.server import ServerConnection, serve

from avatarwire.akool import StreamingAvatarClient
from avatarwire.bench.candidates import AkoolSdk, Avatarwire

from akool_streaming_avatar.websocket_client import WebSocketClient  # isort: skip - by seeds

PCM = random.Random(1).randbytes(2048)  # noqa: S311
OURS, THEIRS = "avatarwire", "published SDK"
CONFIRMED = '{"v":2,"type":"system","mid":"s","pld":{"status":"websocket_connected"}}'
PONG = '{"v":2,"type":"pong","mid":"p","pld":{}}'
ROUNDS = 15
CALLS = 1500


def drop_everything(ports: "multiprocessing.Queue[int]") -> None:
    """Serve: confirm each connection, answer its first ping, read on."""

    def handle(connection: ServerConnection) -> None:
        connection.send(CONFIRMED)
        connection.send(PONG)
        raw = connection.socket
        while raw.recv(1 << 20):
            pass

    with serve(handle, "127.0.0.1", 0, compression=None) as server:
        ports.put(server.socket.getsockname()[1])
        server.serve_forever()


async def cpu_of(call: Callable[[bytes], Awaitable[object]]) -> float:
    """Return the CPU seconds of one call, of many in a row."""
    begun = time.process_time()
    for _ in range(CALLS):
        await call(PCM)
    return (time.process_time() - begun) / CALLS


async def whole_calls(port: int) -> dict[str, float]:
    """Return the best CPU seconds of a whole call of each, by turns."""
    ours = StreamingAvatarClient("key", "avatar", server_url=f"127.0.0.1:{port}", pong_timeout=600)
    await ours.connect()
    theirs = WebSocketClient("key")
    theirs.websocket = await websockets_connect(
        f"ws://127.0.0.1:{port}/", ping_interval=None, proxy=None
    )
    theirs.connected = True
    best = {OURS: float("inf"), THEIRS: float("inf")}
    for _ in range(ROUNDS):
        best[OURS] = min(best[OURS], await cpu_of(ours.send_audio))
        best[THEIRS] = min(best[THEIRS], await cpu_of(theirs.send_audio))
    return best


def whole_call_costs() -> dict[str, float]:
    """Return the CPU seconds of a whole call of each, with a peer in a process of its own."""
    ports: multiprocessing.Queue[int] = multiprocessing.Queue()
    peer = multiprocessing.Process(target=drop_everything, args=(ports,), daemon=True)
    peer.start()
    try:
        return asyncio.run(whole_calls(ports.get(timeout=30)))
    finally:
        peer.terminate()
        peer.join()


def measure() -> list[Ratio]:
    """Time both and pair them."""
    least, ours, theirs = floors("akool"), Avatarwire(), AkoolSdk()
    messages = [
        ratio_of(name, ours, theirs, least[name]) for name in ("akool_json", "akool_websocket")
    ]
    call = whole_call_costs()
    return [*messages, Ratio("whole call, CPU", call[OURS], call[THEIRS], least["call"])]


if __name__ == "__main__":
    logging.disable(logging.INFO)
    print(
        f"Python {platform.python_version()}, {platform.machine()}, "
        f"akool-streaming-avatar 0.1.8, websockets {version('websockets')}\n"
    )
    sys.exit(report(measure, theirs="seed"))
