"""CPU per frame over loopback: one frame's message at a time, and in batches.

Ours starts from PCM and includes the framing; the libraries are given the message ready-made.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import websockets
from cpu import best_cpu
from drain import drain, websocket_url
from guard_sending import CHUNK, SECOND, agent_ours, agent_seed, seed
from picows import WSListener, WSMsgType, WSTransport, ws_connect
from report import Panel, write

from avatarwire import AudioFrame

FRAMES = 5000
FIELDS = {"key": 1, "seq": 7, "timestamp": 280, "sample_rate": 1, "samples": 960, "payload": CHUNK}
MESSAGE = AudioFrame(**FIELDS).pack()

NOTES = f"""\
CPU time, user and system, of the sending process per 40 ms frame ({len(MESSAGE):,} bytes), over
loopback to a process that reads and discards. {FRAMES:,} frames a turn, turns interleaved, the
best turn of each. `send_audio` takes PCM and includes the framing; `send_audio_frame` takes a frame
object, there and here; the libraries' own calls get the message ready-made, so they leave out the
codec. The published SDK would offer compression, which this receiver does not take: that is in its
favour."""


async def _repeat(send: Callable[[], Awaitable[object]], count: int) -> None:
    for _ in range(count):
        await send()


class _PausingListener(WSListener):
    """Tells the sender when to wait: picows leaves that to its user."""

    def __init__(self) -> None:
        self.room = asyncio.Event()
        self.room.set()

    def pause_writing(self) -> None:
        self.room.clear()

    def resume_writing(self) -> None:
        self.room.set()


async def _send_by_picows(transport: WSTransport, listener: _PausingListener) -> None:
    for _ in range(FRAMES):
        transport.send(WSMsgType.BINARY, MESSAGE)
        if not listener.room.is_set():
            await listener.room.wait()


async def measure() -> dict[str, float]:
    """Open one connection for each way of sending, and time them in turns."""
    async with AsyncExitStack() as stack:
        base_url = stack.enter_context(drain())
        url = websocket_url(base_url)
        ours = await stack.enter_async_context(agent_ours(base_url))
        theirs = agent_seed(base_url)
        await theirs.start()
        stack.push_async_callback(theirs.stop)
        library = await stack.enter_async_context(websockets.connect(url, compression=None))
        client = await stack.enter_async_context(aiohttp.ClientSession())
        aiohttp_socket = await stack.enter_async_context(client.ws_connect(url))
        picows_transport, picows_listener = await ws_connect(_PausingListener, url)
        stack.callback(picows_transport.disconnect)

        our_frame, their_frame = AudioFrame(**FIELDS), seed.AudioFrame(**FIELDS)
        five = SECOND[: 5 * len(CHUNK)]
        return await best_cpu(
            {
                "avatarwire, send_audio, 25 frames a call": lambda: _repeat(
                    lambda: ours.send_audio(SECOND), FRAMES // 25
                ),
                "avatarwire, send_audio, 5 frames a call": lambda: _repeat(
                    lambda: ours.send_audio(five), FRAMES // 5
                ),
                "avatarwire, send_audio, 1 frame a call": lambda: _repeat(
                    lambda: ours.send_audio(CHUNK), FRAMES
                ),
                "avatarwire, send_audio_frame": lambda: _repeat(
                    lambda: ours.send_audio_frame(our_frame), FRAMES
                ),
                "picows send, message ready-made": lambda: _send_by_picows(
                    picows_transport, picows_listener
                ),
                "websockets send, message ready-made": lambda: _repeat(
                    lambda: library.send(MESSAGE), FRAMES
                ),
                "aiohttp send_bytes, message ready-made": lambda: _repeat(
                    lambda: aiohttp_socket.send_bytes(MESSAGE), FRAMES
                ),
                "published SDK, send_audio_frame": lambda: _repeat(
                    lambda: theirs.send_audio_frame(their_frame), FRAMES
                ),
            },
            units=FRAMES,
        )


def run() -> list[Panel]:
    """Time every way of sending, and write the results."""
    panels = [Panel("CPU per frame", asyncio.run(measure()))]
    title = "Sending a frame over a WebSocket"
    write("transport", title, panels, ["websockets", "aiohttp", "picows"], NOTES)
    return panels


if __name__ == "__main__":
    run()
