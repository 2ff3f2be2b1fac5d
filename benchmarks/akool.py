"""Akool's ``send_audio`` beside the published client 0.1.8, in one process.

Run ``make .seeds/akool-0.1.8`` once, then this file; ``--check`` fails when a ratio is under its
floor. Both clients are given the same 2,048 bytes of sound. A message is built up to the text that
the WebSocket library is handed; a whole call ends in a real socket, whose peer, another process,
reads and drops what comes. What counts there is this process's CPU time, the kernel's included.
"""

import asyncio
import functools
import logging
import multiprocessing
import platform
import random
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path

from pybase64 import b64encode
from ratios import Ratio, best_times, floors, report
from websockets.asyncio.client import connect as websockets_connect
from websockets.sync.server import ServerConnection, serve

from avatarwire.akool import StreamingAvatarClient
from avatarwire.akool.messages import EnvelopeWire
from avatarwire.codec import client_message

sys.path.insert(0, str(Path(__file__).parent.parent / ".seeds" / "akool-0.1.8"))
try:
    from akool_streaming_avatar.websocket_client import WebSocketClient
except ImportError:
    sys.exit("The published client is missing: make .seeds/akool-0.1.8")

PCM = random.Random(1).randbytes(2048)  # noqa: S311
OURS, MASKED = "avatarwire", "avatarwire, masked too"
THEIRS, BOUND = "published SDK", "pybase64 alone"
CONFIRMED = '{"v":2,"type":"system","mid":"s","pld":{"status":"websocket_connected"}}'
PONG = '{"v":2,"type":"pong","mid":"p","pld":{}}'
ROUNDS = 15
CALLS = 1500


class NoSocket:
    """Takes what the published client has built, and does nothing with it."""

    async def send(self, message: str) -> None:
        """Drop a message."""


def seed_builder() -> Callable[[], object]:
    """Give a call that has the published client build one audio message.

    Its coroutine never waits, so it is run to its end without an event loop.
    """
    client = WebSocketClient("key")
    client.connected, client.websocket = True, NoSocket()

    def build() -> None:
        try:
            client.send_audio(PCM).send(None)
        except StopIteration:
            return
        raise AssertionError("the published client waited for something")

    return build


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
    """Give the CPU seconds of one call, of many in a row."""
    begun = time.process_time()
    for _ in range(CALLS):
        await call(PCM)
    return (time.process_time() - begun) / CALLS


async def whole_calls(port: int) -> dict[str, float]:
    """Give the best CPU seconds of a whole call of each, by turns."""
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
    """Give the CPU seconds of a whole call of each, with a peer in a process of its own."""
    ports: multiprocessing.Queue[int] = multiprocessing.Queue()
    peer = multiprocessing.Process(target=drop_everything, args=(ports,), daemon=True)
    peer.start()
    try:
        return asyncio.run(whole_calls(ports.get(timeout=30)))
    finally:
        peer.terminate()
        peer.join()


def message_costs() -> dict[str, float]:
    """Give the seconds that one message takes: ours, the same masked too, theirs, a bound."""
    wire = EnvelopeWire()
    return best_times(
        {
            OURS: functools.partial(wire.audio, PCM),
            MASKED: lambda: client_message(wire.audio(PCM), text=True),
            BOUND: functools.partial(b64encode, PCM),
            THEIRS: seed_builder(),
        },
        rounds=50,
    )


def measure() -> list[Ratio]:
    """Time both and pair them."""
    message, call, least = message_costs(), whole_call_costs(), floors("akool")
    return [
        Ratio("build a message", message[OURS], message[THEIRS], least["build"]),
        Ratio("the same, masked too", message[MASKED], message[THEIRS], least["masked"]),
        Ratio("whole call, CPU", call[OURS], call[THEIRS], least["call"]),
    ]


if __name__ == "__main__":
    logging.disable(logging.INFO)
    print(
        f"Python {platform.python_version()}, {platform.machine()}, "
        f"akool-streaming-avatar 0.1.8, websockets {version('websockets')}\n"
    )
    sys.exit(report(measure, theirs="seed"))
