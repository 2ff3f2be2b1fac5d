"""A host: one Serve replica, one event loop, many sessions."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from ray import serve

from avatarwire.errors import SessionLostError
from avatarwire.fleet.errors import FleetError
from avatarwire.fleet.hosted import TURN_LIMIT_S, HostedSession
from avatarwire.fleet.metrics import HostMetrics
from avatarwire.fleet.pace import Pace
from avatarwire.fleet.program import Handler, Job, program_of
from avatarwire.fleet.reaching import ASK_AGAIN_S, Directory
from avatarwire.fleet.tasks import Tasks

__all__ = ["Host"]

BEAT_S = 0.5
#: News waits so long for more of it: one call carries them all.
GATHER_S = 0.02
#: The longest wait for a turn to start; a host that is asked for more says when to ask again.
MOST_START_WAIT_S = 5.0
#: How long a session waits to know whose it is while the directory cannot be reached.
OWNERSHIP_LIMIT_S = 60.0


class Host:
    """Runs sessions of one program; Serve makes as many hosts as it is told.

    Args:
        handler: the program.
        fleet: the name of the fleet.
        max_sessions: how many sessions this host runs at the most.
    """

    def __init__(self, handler: Handler, fleet: str, max_sessions: int) -> None:
        self._max_sessions = max_sessions
        self._handler = handler
        self._program = program_of(handler)
        self.id: str = serve.get_replica_context().replica_id.unique_id
        self._directory = Directory(fleet)
        self._sessions: dict[tuple[str, int], HostedSession] = {}
        self._news: list[dict[str, Any]] = []
        self._has_news = asyncio.Event()
        self._pace = Pace(self._program.max_starts_per_second)
        self._is_draining = False
        self._listed_at_s = float("-inf")
        self._lateness_s = 0.0
        self._cpu = (time.monotonic(), time.process_time())
        self._metrics = HostMetrics(self.id)
        self._tasks = Tasks(f"host {self.id}")
        self._tasks.keep(self._beat_for_ever())
        self._tasks.keep(self._obey_for_ever())
        self._tasks.keep(self._measure_for_ever())

    async def check_health(self) -> None:
        """Tell Serve whether to keep this host: one that drains is replaced."""
        if self._is_draining:
            raise RuntimeError(f"host {self.id} is draining")

    async def run(self, order: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Run a session; yield its start and its end, or that it is refused.

        The session does not end with this call: where only the caller is gone, it goes on.
        """
        refusal = self._refusal()
        if refusal is not None:
            yield refusal
            return
        told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        session_id, turns = order["session_id"], order["turns"]
        job = Job(**order["job"], host=self.id)
        key = (job.id, job.epoch)

        def tell(item: dict[str, Any]) -> None:
            if item["kind"] in {"started", "failed", "ended", "left"}:
                told.put_nowait(item)
            self._tell(item)

        async def owns() -> None:
            await self._owns(*key)

        try:
            session = HostedSession(job, self._handler, owns=owns, tell=tell, turns=turns)
        except ValueError as exc:
            yield {"kind": "failed", "reason": str(exc), "is_over": True}
            return
        self._sessions[key] = session
        self._tasks.keep(self._run(key, session, session_id))
        while True:
            item = await told.get()
            yield item
            if item["kind"] != "started":
                return

    async def _run(
        self, key: tuple[str, int], session: HostedSession, session_id: str | None
    ) -> None:
        try:
            await asyncio.sleep(self._pace.take(asyncio.get_running_loop().time()))
            await session.run(session_id)
        finally:
            del self._sessions[key]

    def _refusal(self) -> dict[str, Any] | None:
        if self._is_draining:
            return {"kind": "refused", "reason": f"host {self.id} is draining", "after_s": 0.2}
        if len(self._sessions) >= self._max_sessions:
            return {"kind": "refused", "reason": f"host {self.id} is full", "after_s": 1.0}
        wait_s = self._pace.wait_s(asyncio.get_running_loop().time())
        if wait_s > MOST_START_WAIT_S:
            return {
                "kind": "refused",
                "reason": f"host {self.id} starts {self._program.max_starts_per_second:g} sessions"
                " a second at the most",
                "after_s": wait_s,
            }
        return None

    # What is told, and what is asked

    def _tell(self, item: dict[str, Any]) -> None:
        self._news.append(item)
        self._has_news.set()

    async def _beat_for_ever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._has_news.wait()
            await asyncio.sleep(GATHER_S)
            self._has_news.clear()
            news, self._news = self._news, []
            began_s = time.monotonic()
            sessions = None
            if began_s - self._listed_at_s >= BEAT_S:  # not each time that there is news
                sessions = [list(key) for key in self._sessions]  # the engine packs tuples slowly
            try:
                foreign = await self._directory.call(
                    "beat", self._report(), news, sessions, limit_s=BEAT_S * 4
                )
            except FleetError:
                self._news = news + self._news  # the sessions go on, and it is told later
                await asyncio.sleep(ASK_AGAIN_S)
                continue
            if sessions is not None:
                self._listed_at_s = began_s
            for key in foreign:
                if (session := self._sessions.get(tuple(key))) is not None:
                    self._tasks.keep(session.leave())

    def _report(self) -> dict[str, Any]:
        now_s, cpu_s = time.monotonic(), time.process_time()
        then_s, then_cpu_s = self._cpu
        if now_s - then_s >= BEAT_S:
            self._cpu = (now_s, cpu_s)
        load = (cpu_s - then_cpu_s) / max(now_s - then_s, 0.001)
        lateness_s, self._lateness_s = self._lateness_s, 0.0
        report = {
            "host": self.id,
            "pid": os.getpid(),
            "sessions": len(self._sessions),
            "max_sessions": self._max_sessions,
            "cpu": round(load, 3),
            "lateness_s": round(lateness_s, 4),
            "is_draining": self._is_draining,
        }
        self._metrics.show(report)
        return report

    async def _measure_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + 0.1
            await asyncio.sleep(0.1)
            late_s = loop.time() - due_s
            self._lateness_s = max(self._lateness_s, late_s)
            self._metrics.blocked(late_s)

    async def _obey_for_ever(self) -> None:
        while True:
            try:
                commands = await self._directory.call("commands", self.id, limit_s=30.0)
            except FleetError:
                await asyncio.sleep(ASK_AGAIN_S)
                continue
            for command in commands:
                self._tasks.keep(self._obey(command))

    async def _obey(self, command: Mapping[str, Any]) -> None:
        if command["do"] == "drain":
            await self._drain()
            return
        session = self._sessions.get((command["id"], command["epoch"]))
        failure = None
        if session is None:
            failure = "the session is not on this host any more"
        else:
            try:
                await session.obey(command)
            except FleetError as exc:
                failure = str(exc)
        self._tell({"kind": "answer", "call": command["call"], "failure": failure})

    async def _owns(self, session: str, epoch: int) -> None:
        """Return when the session is known to be this host's.

        Raises:
            SessionLostError: it is another's, or that could not be learnt in time.
        """
        deadline_s = time.monotonic() + OWNERSHIP_LIMIT_S
        while time.monotonic() < deadline_s:
            try:
                owned = await self._directory.call("owns", self.id, session, epoch, limit_s=5.0)
            except FleetError:
                await asyncio.sleep(ASK_AGAIN_S)
                continue
            if not owned:
                raise SessionLostError(1000, "another host has the session")
            return
        raise SessionLostError(1006, f"the fleet could not be reached for {OWNERSHIP_LIMIT_S:g} s")

    async def _drain(self) -> None:
        """Take nothing new; let sessions end, then hand them over between turns."""
        if self._is_draining:
            return
        self._is_draining = True
        self._has_news.set()
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._program.drain_timeout_s
        while self._sessions and loop.time() < deadline_s:  # noqa: ASYNC110 - counted down
            await asyncio.sleep(0.1)
        turn_deadline_s = loop.time() + TURN_LIMIT_S
        await asyncio.gather(
            *(each.hand_over(turn_deadline_s) for each in self._sessions.values()),
            return_exceptions=True,
        )
