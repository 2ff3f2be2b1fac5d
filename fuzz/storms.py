"""Many starts and stops at once, in any order, on the same agents."""

import asyncio
import logging
import random
import time
import traceback

from run import HANG_S, Run, quietly

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig, AvatarwireError
from avatarwire.emulator import LiveAvatarEmulator, LiveSession

__all__ = ["AVATAR", "START_LIMIT_S", "Storms"]

AGENTS = 40
PAUSE_S = 3.0
#: By this the platform's sessions of a storm are known from the others.
AVATAR = "storm"
#: So long that no start is given up for which the platform makes a session: nobody knew its id.
START_LIMIT_S = 60.0


class FailedStops(logging.Handler):
    """Collects which sessions could not be stopped: that is told in the log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())

    def names(self, session: LiveSession) -> bool:
        return any(session.session_id in words and "stopping it" in words for words in self.told)


class Closings(AgentListener):
    """Counts the ends."""

    def __init__(self) -> None:
        self.count = 0

    async def on_closed(self, code: int, reason: str) -> None:  # noqa: ARG002
        self.count += 1


class Storms:
    """One storm after the other, as long as the run goes."""

    def __init__(self, run: Run, emulator: LiveAvatarEmulator) -> None:
        self._run = run
        self._emulator = emulator
        self._failed_stops = FailedStops()
        logging.getLogger("avatarwire.liveavatar").addHandler(self._failed_stops)

    async def run(self) -> None:
        chance = random.Random(self._run.random.randrange(1 << 30))
        while not self._run.is_over:
            try:
                async with asyncio.timeout(4 * HANG_S):
                    await self._storm(chance)
            except Exception:  # each is a finding
                self._run.failures.append(f"in a storm: {traceback.format_exc(limit=-3)}")
            await asyncio.sleep(chance.uniform(0.2, PAUSE_S))

    async def _storm(self, chance: random.Random) -> None:
        config = AvatarAgentConfig(
            "sk-chaos", AVATAR, base_url=self._emulator.base_url, timeout=START_LIMIT_S,
            start_retries=0, reconnect=chance.random() < 0.5, reconnect_base_delay=0.02,
            ping_interval=1.0, ping_timeout=2.0,
        )  # fmt: skip
        await asyncio.gather(*(self._agitate(config, chance) for _ in range(AGENTS)))
        self._run.counts["storms"] += 1
        await self._all_are_stopped()

    async def _agitate(self, config: AvatarAgentConfig, chance: random.Random) -> None:
        listener = Closings()
        agent = AvatarAgent(config, listener, connect=self._run.connect)
        starts = chance.choice((1, 1, 2, 3))
        for _ in range(starts):
            starting = asyncio.create_task(quietly(_start(agent)))
            await asyncio.sleep(chance.choice((0, 0, chance.uniform(0, 0.1), 0.5)))
            if chance.random() < 0.1:
                starting.cancel()
            stopping = [asyncio.create_task(agent.stop()) for _ in range(chance.choice((1, 1, 3)))]
            _, hanging = await asyncio.wait([starting, *stopping], timeout=HANG_S)
            assert not hanging, f"starts and stops that hang: {hanging}"
            for task in stopping:
                task.result()
            # A start whose task had not begun when it was stopped begins afterwards.
            await agent.stop()
            assert not agent.is_running, "stopped, and it runs"
            self._run.counts["starts and stops in storms"] += 1
        assert listener.count <= starts, f"{listener.count} ends of {starts} sessions"

    async def _all_are_stopped(self) -> None:
        """Wait until every session has been stopped at the platform, or the failure was told."""
        begun_s = time.monotonic()
        while open_ := [session for session in self._sessions if not self._is_stopped(session)]:
            if time.monotonic() - begun_s > HANG_S:
                break
            await asyncio.sleep(0.05)
        count = len(self._sessions)
        for session in self._sessions:
            if session.is_connected:
                await session.close(1001)
                await session.wait_closed()
            self._emulator.forget(session)
            if not session.stop_requests:
                self._run.counts["stops that failed in storms"] += 1
        self._failed_stops.told.clear()
        assert not open_, f"{len(open_)} of {count} never stopped at the platform: {open_[:3]}"

    def _is_stopped(self, session: LiveSession) -> bool:
        return session.stop_requests > 0 or self._failed_stops.names(session)

    @property
    def _sessions(self) -> list[LiveSession]:
        return [s for s in self._emulator.sessions if s.start_requests[0]["avatarId"] == AVATAR]


async def _start(agent: AvatarAgent) -> None:
    try:
        await agent.start()
    except (AvatarwireError, TimeoutError):
        assert not agent.is_running, "a start that failed left it running"
