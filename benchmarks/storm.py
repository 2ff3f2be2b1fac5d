"""Sound beside storms: some speak while a thousand others start, reconnect and stop at once.

    .venv/bin/python benchmarks/storm.py [--check] [others]

The platform is a process of its own that answers at once. What speaks does so with the defaults,
400 ms of lead and all, and so does the garbage collector. ``--check`` fails when a write of the
speaking ones is later than half the lead, or one of them runs out of sound.
"""

import asyncio
import gc
import logging
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from drain import drain

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig, transport
from avatarwire.transport import WebSocketConnection

SPEAKING = 100
OTHERS = 1000
CHUNK = bytes(9600)
HALF_THE_LEAD_MS = 200
PHASE_LIMIT_S = 120
WATCH_S = 0.002


@dataclass(frozen=True, slots=True)
class Phase:
    """What one storm did to the sound.

    Attributes:
        name: what the others did.
        took_s: until all of them had, in seconds.
        late_ms: the latest write of any speaking session so far.
        underruns: how often one of them ran out of sound.
        held_ms: the longest time that nothing else of the loop ran.
        held_cpu_ms: the most CPU that was spent meanwhile; less, where others have the processor.
        collected_cpu_ms: the most CPU that the garbage collector took at once.
    """

    name: str
    took_s: float
    late_ms: float
    underruns: int
    held_ms: float
    held_cpu_ms: float
    collected_cpu_ms: float


class Watch:
    """Measures how long the loop is held up, and how long by the garbage collector."""

    def __init__(self) -> None:
        self.reset()
        self._collecting_from_s = 0.0
        gc.callbacks.append(self._collecting)

    def reset(self) -> None:
        """Begin anew."""
        self.held_s = self.held_cpu_s = self.collected_cpu_s = 0.0

    async def run(self) -> None:
        """Look again and again whether the loop is late."""
        while True:
            begun_s, begun_cpu_s = time.perf_counter(), time.thread_time()
            await asyncio.sleep(WATCH_S)
            self.held_s = max(self.held_s, time.perf_counter() - begun_s - WATCH_S)
            self.held_cpu_s = max(self.held_cpu_s, time.thread_time() - begun_cpu_s)

    def _collecting(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._collecting_from_s = time.thread_time()
        else:
            took_s = time.thread_time() - self._collecting_from_s
            self.collected_cpu_s = max(self.collected_cpu_s, took_s)


class Storm:
    """The sessions that speak, and the others.

    Args:
        base_url: the platform.
        others: how many do not speak.
    """

    def __init__(self, base_url: str, others: int) -> None:

        # The platform answers no pings.
        config = AvatarAgentConfig(
            "key", "avatar", base_url=base_url, reconnect=True, ping_interval=3600.0
        )
        self._connections: list[WebSocketConnection] = []
        self._speaking = [AvatarAgent(config, AgentListener()) for _ in range(SPEAKING)]
        self._others = [
            AvatarAgent(config, AgentListener(), connect=self._connect) for _ in range(others)
        ]
        self._watch = Watch()

    async def run(self) -> AsyncIterator[Phase]:
        """Measure quiet, then each storm."""
        for agent in self._speaking:
            await agent.start()
        watching = asyncio.create_task(self._watch.run())
        yield await self._phase("nothing", lambda: asyncio.sleep(3))
        yield await self._phase("start", self._start)
        yield await self._phase("reconnect", self._reconnect)
        yield await self._phase("stop", self._stop)
        watching.cancel()
        await asyncio.gather(*(agent.stop() for agent in self._speaking))

    async def _phase(self, name: str, storm: Callable[[], Awaitable[Any]]) -> Phase:
        over = asyncio.Event()
        speaking = [asyncio.create_task(self._speak(agent, over)) for agent in self._speaking]
        await asyncio.sleep(1)
        self._watch.reset()
        begun_s = time.perf_counter()
        async with asyncio.timeout(PHASE_LIMIT_S):
            await storm()
        took_s = time.perf_counter() - begun_s
        watch = self._watch
        held_s, held_cpu_s, collected_s = watch.held_s, watch.held_cpu_s, watch.collected_cpu_s
        over.set()
        turns = await asyncio.gather(*speaking)
        return Phase(
            name,
            took_s,
            max(late_ms for late_ms, _ in turns),
            sum(underruns for _, underruns in turns),
            held_s * 1000,
            held_cpu_s * 1000,
            collected_s * 1000,
        )

    async def _speak(self, agent: AvatarAgent, over: asyncio.Event) -> tuple[float, int]:
        async with agent.audio_stream() as stream:
            while not over.is_set():
                await stream.write(CHUNK)
            underruns = stream.underruns
            await stream.interrupt()
        return stream.lateness.max_ms, underruns

    async def _connect(self, url: str, **options: Any) -> WebSocketConnection:  # noqa: ANN401
        connection = await transport.connect(url, **options)
        self._connections.append(connection)
        return connection

    async def _start(self) -> None:
        await asyncio.gather(*(agent.start() for agent in self._others))

    async def _reconnect(self) -> None:
        lost, self._connections = self._connections, []
        for connection in lost:
            connection.transport.abort()
        while len(self._connections) < len(lost) or not all(  # noqa: ASYNC110 - it has no event
            agent.stats().is_connected for agent in self._others
        ):
            await asyncio.sleep(0.05)

    async def _stop(self) -> None:
        await asyncio.gather(*(agent.stop() for agent in self._others))


async def measure(others: int) -> bool:
    """Print the table as it comes; return whether the sound was in time."""
    print(f"{SPEAKING} sessions speak while {others:,} others …")
    print("| | in | latest so far | underruns | loop held for | CPU in it | collecting garbage |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    is_in_time = True
    with drain(cpu=max(os.sched_getaffinity(0))) as base_url:
        async for phase in Storm(base_url, others).run():
            print(
                f"| {phase.name} | {phase.took_s:.1f} s | {phase.late_ms:.0f} ms "
                f"| {phase.underruns} | {phase.held_ms:.0f} ms | {phase.held_cpu_ms:.0f} ms "
                f"| {phase.collected_cpu_ms:.0f} ms |",
                flush=True,
            )
            is_in_time &= phase.late_ms <= HALF_THE_LEAD_MS and not phase.underruns
    return is_in_time


def main() -> int:
    """Measure; with ``--check`` fail when the sound was late."""
    logging.disable(logging.WARNING)
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdecimal()]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))
    is_in_time = asyncio.run(measure(numbers[0] if numbers else OTHERS))
    return int("--check" in sys.argv[1:] and not is_in_time)


if __name__ == "__main__":
    sys.exit(main())
