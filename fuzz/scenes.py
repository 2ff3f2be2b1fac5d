"""What chance leads to too seldom, on a busy machine above all: played again and again."""

import asyncio
import random
import time
import traceback
from collections.abc import Awaitable, Callable

from ledger import Ledger, WrittenTurn, counted_pcm
from run import HANG_S, Run

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.emulator import Faults, LiveAvatarEmulator

__all__ = ["Scenes"]

PAUSE_S = 1.0
ATTEMPTS = 4
#: Together they take more than a connection has room for: the first one has to wait.
TURNS = 3
TURN_NUMBERS = range(12_000, 24_000)


class Scenes:
    """Sessions with a platform of their own, one after the other."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._emulator = LiveAvatarEmulator(greeting=None)

    async def run(self) -> None:
        chance = random.Random(self._run.random.randrange(1 << 30))
        async with self._emulator:
            while not self._run.is_over:
                await self._play(self._flap, chance)
                await self._play(self._resume, chance)
                await asyncio.sleep(PAUSE_S)

    async def _play(
        self, scene: Callable[[AvatarAgent, random.Random], Awaitable[None]], chance: random.Random
    ) -> None:
        config = AvatarAgentConfig(
            "sk-chaos", "scene", base_url=self._emulator.base_url, timeout=HANG_S,
            reconnect=True, reconnect_base_delay=0.01, reconnect_max_delay=0.02,
            reconnect_max_attempts=ATTEMPTS, on_gap="resume",
        )  # fmt: skip
        agent = AvatarAgent(config, AgentListener(), connect=self._run.connect)
        # A platform that tells more would end a turn when the next one begins.
        self._emulator.faults = Faults(withhold={"session.state", "response.state"})
        name = scene.__name__.removeprefix("_")
        try:
            async with asyncio.timeout(2 * HANG_S):
                async with agent:
                    await scene(agent, chance)
            self._run.counts[f"scene {name}"] += 1
        except Exception:  # each is a finding
            self._run.failures.append(f"scene {name}: {traceback.format_exc(limit=-3)}")
        for session in list(self._emulator.sessions):
            await session.wait_closed()
            self._emulator.forget(session)

    async def _flap(self, agent: AvatarAgent, _: random.Random) -> None:
        """Let a platform drop the connection and each one that follows, after its handshake."""
        (session,) = self._emulator.sessions
        await agent.scene_ready()
        self._emulator.faults = Faults(close_after_messages=1)
        session.cut()
        closed = asyncio.create_task(agent.wait_closed())
        while not closed.done():
            await asyncio.wait([closed], timeout=0.1)
            Ledger().check(session, [], ATTEMPTS)

    async def _resume(self, agent: AvatarAgent, chance: random.Random) -> None:
        """Cut a connection on which several turns are being played."""
        (session,) = self._emulator.sessions
        first, begun_s = 0, time.monotonic()
        turns = []
        for _ in range(TURNS):
            last = first + chance.choice(TURN_NUMBERS)
            async with agent.audio_stream(paced=False) as stream:
                await stream.write(counted_pcm(first, 4 * (last - first)))
            turns.append((stream, first, last))
            first = last
        gap_s = time.monotonic()
        session.cut()
        ledger = Ledger()
        for stream, first, last in turns:
            playout = await stream.wait_playout(HANG_S)
            ended_s = time.monotonic()
            ledger.turns.append(WrittenTurn(first, last, playout, False, begun_s, ended_s))
        await agent.stop()
        await session.wait_closed()
        ledger.check(session, [gap_s], ATTEMPTS)
