"""What it costs to hear: CPU per received frame, beside raw clients that only take the payload.

``group_hearing.py`` makes the tables of it, ``guard_hearing.py`` holds it to its floors.
"""

import asyncio
import gc
import os
import random
import resource
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
import seeds  # noqa: F401 - for the published SDK
import websockets
from picows import WSFrame, WSListener, WSTransport, ws_connect
from speaker import PAYLOAD_BYTES, speaker

from avatarwire import AgentListener, AudioFrame, AvatarAgent, AvatarAgentConfig, transport

import liveavatar_channel_sdk as seed  # isort: skip - found by seeds

FLOOD_FRAMES = 20_000
LIVE_SESSIONS, MANY_SESSIONS, BOTH_SESSIONS = 200, 2000, 1000
LIVE_S = 1
ROUNDS = 5
LIMIT_S = 30
BOTH_S = 5
#: Of sound, at 24 kHz: all sessions share it.
SECOND = random.Random(1).randbytes(48_000)  # noqa: S311
NEARLY_ALL = 0.95

T = TypeVar("T")

OURS, USER_AUDIO = "avatarwire, on_audio_frame", "avatarwire, user_audio()"
CONNECTION = "avatarwire, the connection alone"
SEED = "published SDK, on_audio_frame"
PICOWS, LIBRARY, AIOHTTP = "picows", "websockets", "aiohttp"


class Count:
    """Bytes of sound that a side has heard, and when there are enough."""

    def __init__(self) -> None:
        self.heard_bytes = 0
        self._wanted_bytes = 0
        self._enough = asyncio.Event()

    def add(self, size: int) -> None:
        """Take note of a piece of sound."""
        self.heard_bytes += size
        if self.heard_bytes >= self._wanted_bytes:
            self._enough.set()

    async def more(self, frames: int, *, from_bytes: int) -> None:
        """Wait for so many frames; a side that drops some must have heard nearly all.

        Raises:
            TimeoutError: it has not.
        """
        self._enough.clear()
        self._wanted_bytes = from_bytes + frames * PAYLOAD_BYTES
        self.add(0)
        try:
            async with asyncio.timeout(LIMIT_S):
                await self._enough.wait()
        except TimeoutError:
            if self.heard_bytes - from_bytes < NEARLY_ALL * frames * PAYLOAD_BYTES:
                raise


Opener = Callable[[str, Count, AsyncExitStack], Awaitable[None]]


async def by_picows(base_url: str, count: Count, stack: AsyncExitStack) -> None:
    """Open a connection that takes payloads."""

    class Listener(WSListener):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            del transport
            payload = frame.get_payload_as_bytes()
            if len(payload) > PAYLOAD_BYTES:
                count.add(len(payload) - 9)

    transport, _ = await ws_connect(Listener, websocket_url(base_url))
    stack.callback(transport.disconnect)


async def by_websockets(base_url: str, count: Count, stack: AsyncExitStack) -> None:
    """Open a connection whose messages are iterated over."""
    connection = await websockets.connect(websocket_url(base_url), compression=None)

    async def read() -> None:
        async for message in connection:
            if len(message) > PAYLOAD_BYTES:
                count.add(len(message) - 9)

    await listening(read(), stack)


async def by_aiohttp(base_url: str, count: Count, stack: AsyncExitStack) -> None:
    """Open a connection whose messages are iterated over."""
    client = await stack.enter_async_context(aiohttp.ClientSession())
    connection = await client.ws_connect(websocket_url(base_url))

    async def read() -> None:
        async for message in connection:
            if len(message.data) > PAYLOAD_BYTES:
                count.add(len(message.data) - 9)

    await listening(read(), stack)


async def by_connection(base_url: str, count: Count, stack: AsyncExitStack) -> None:
    """Open a connection of ours that takes payloads, without a session."""
    connection = await transport.connect(
        websocket_url(base_url), open_timeout_s=LIMIT_S, ping_interval_s=None
    )

    class Listener:
        def received(self, messages: list[str | bytes]) -> None:
            for message in messages:
                if len(message) > PAYLOAD_BYTES:
                    count.add(len(message) - 9)

        def ended(self) -> None:
            pass

    connection.listen(Listener())
    stack.push_async_callback(connection.close)


async def by_callback(base_url: str, count: Count, stack: AsyncExitStack) -> None:
    """Start a session whose listener takes payloads."""
    agent = our_agent(base_url, counting(count))
    await agent.start()
    stack.push_async_callback(agent.stop)


async def by_seed(base_url: str, count: Count, stack: AsyncExitStack) -> None:
    """Start a session of the published SDK whose listener takes payloads."""

    class Listener(seed.AgentListener):
        async def on_audio_frame(self, frame: seed.AudioFrame) -> None:
            count.add(len(frame.payload))

    config = seed.AvatarAgentConfig("key", "avatar", base_url=base_url)
    agent = seed.AvatarAgent(config, Listener())
    await agent.start()
    stack.push_async_callback(agent.stop)


async def by_user_audio(base_url: str, count: Count, stack: AsyncExitStack) -> None:
    """Start a session whose sound is iterated over."""
    agent = our_agent(base_url, AgentListener())
    await agent.start()
    stack.push_async_callback(agent.stop)

    async def read() -> None:
        async for pcm in agent.user_audio():
            count.add(len(pcm))

    await listening(read(), stack)


SIDES: dict[str, Opener] = {
    OURS: by_callback,
    USER_AUDIO: by_user_audio,
    CONNECTION: by_connection,
    SEED: by_seed,
    PICOWS: by_picows,
    LIBRARY: by_websockets,
    AIOHTTP: by_aiohttp,
}


def counting(count: Count) -> AgentListener:
    """Return a listener that takes payloads."""

    class Listener(AgentListener):
        async def on_audio_frame(self, frame: AudioFrame) -> None:
            count.add(len(frame.payload))

    return Listener()


def our_agent(base_url: str, listener: AgentListener) -> AvatarAgent:
    """Make an agent that sends no pings while it is measured."""
    config = AvatarAgentConfig("key", "avatar", base_url=base_url, ping_interval=3600.0)
    return AvatarAgent(config, listener)


async def listening(work: Awaitable[None], stack: AsyncExitStack) -> None:
    """Have something listen until the end."""
    task = asyncio.ensure_future(work)
    stack.callback(task.cancel)
    await asyncio.sleep(0)


def websocket_url(base_url: str) -> str:
    """Give where the same group of the server takes WebSocket connections."""
    parts = urlsplit(base_url)
    return f"ws://{parts.netloc}{parts.path}"


async def speak(base_url: str, frames: int, *, is_live: bool) -> None:
    """Have the users of a group speak."""
    parts = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    query = f"frames={frames}" + ("&live=1" if is_live else "")
    writer.write(f"GET {parts.path}/speak?{query} HTTP/1.1\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def rounds(
    names: list[str], sessions: int, frames: int, *, is_live: bool
) -> dict[str, float]:
    """Return the least CPU seconds per frame of each side; they take turns, round after round."""
    best = dict.fromkeys(names, float("inf"))
    async with AsyncExitStack() as stack:
        base_url = stack.enter_context(speaker())
        counts = {}
        for number, name in enumerate(names):
            counts[name] = Count()
            for _ in range(sessions):
                await SIDES[name](f"{base_url}/{number}", counts[name], stack)
        await asyncio.sleep(0.5)
        for _ in range(ROUNDS):
            for number, name in enumerate(names):
                count = counts[name]
                before_bytes = count.heard_bytes
                gc.collect()
                begun_s = time.process_time()
                await speak(f"{base_url}/{number}", frames, is_live=is_live)
                await count.more(sessions * frames, from_bytes=before_bytes)
                heard = (count.heard_bytes - before_bytes) / PAYLOAD_BYTES
                best[name] = min(best[name], (time.process_time() - begun_s) / heard)
    return best


async def both(seconds: int) -> tuple[float, int]:
    """Have sessions speak and hear; return CPU seconds for a session and second, and underruns."""
    count = Count()
    streams = []
    async with AsyncExitStack() as stack:
        base_url = stack.enter_context(speaker(cpu=max(os.sched_getaffinity(0))))
        agents = []
        for _ in range(BOTH_SESSIONS):
            agents.append(our_agent(base_url, counting(count)))
            await agents[-1].start()
            stack.push_async_callback(agents[-1].stop)

        async def stream(index: int) -> None:
            await asyncio.sleep(index / BOTH_SESSIONS)
            async with agents[index].audio_stream(buffer_ms=400) as stream:
                streams.append(stream)
                for _ in range(seconds):
                    await stream.write(SECOND)

        begun_s = time.process_time()
        await speak(base_url, 25 * seconds, is_live=True)
        await asyncio.gather(*map(stream, range(BOTH_SESSIONS)))
        cpu_s = time.process_time() - begun_s
    return cpu_s / BOTH_SESSIONS / seconds, sum(stream.underruns for stream in streams)


def run_on(work: Awaitable[T], *, on_uvloop: bool = False) -> T:
    """Run it on one of the event loops."""
    if on_uvloop:
        import uvloop  # noqa: PLC0415

        return uvloop.run(work)  # type: ignore[no-any-return, arg-type]
    return asyncio.run(work)  # type: ignore[arg-type]


def allow_files() -> None:
    """Let this process have as many sockets as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def measure(names: list[str], sessions: int, *, on_uvloop: bool = False) -> dict[str, float]:
    """Return the cost of a frame by side: of a flood for one session, else live."""
    if sessions == 1:
        # What an iterator does not fetch in time is dropped: it is no side of a flood.
        names = [name for name in names if name != USER_AUDIO]
        return run_on(rounds(names, 1, FLOOD_FRAMES, is_live=False), on_uvloop=on_uvloop)
    return run_on(rounds(names, sessions, LIVE_S * 25, is_live=True), on_uvloop=on_uvloop)
