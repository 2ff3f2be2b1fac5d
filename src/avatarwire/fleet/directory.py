"""The directory: which session is whose, in one actor that the engine restarts.

It is the only caller of the hosts, so it knows at once when one of them dies.
"""

import asyncio
import contextlib
import logging
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import ray

from avatarwire.fleet.errors import FleetError, UnknownSessionError
from avatarwire.fleet.known_hosts import LEASE_S, LONG_POLL_S, KnownHosts
from avatarwire.fleet.placing import Placing
from avatarwire.fleet.reaching import NAMESPACE, actor_name
from avatarwire.fleet.records import Record
from avatarwire.fleet.tasks import Tasks

__all__ = ["FleetDirectory", "start_directory"]

logger: logging.Logger = logging.getLogger("avatarwire.fleet")

CHECK_S = 0.25
#: A check that comes so late was held up in this process.
STOOD_STILL_S = 1.0
ENGINE_CHECK_S = 1.0
#: Who has a session of this process's forerunner calls within this time.
INHERITING_S = 2 * LEASE_S
STOP_POLL_S = 0.05


class FleetDirectory:
    """What gateways, hosts and programs call; every method is one call through the engine.

    Args:
        fleet: the name of the fleet, which is that of its Serve application.
    """

    def __init__(self, fleet: str) -> None:
        self._fleet = fleet
        self._hosts = KnownHosts()
        self._placing = Placing(fleet, self._hosts)
        self._tasks = Tasks("the directory")
        self._tasks.keep(self._check_leases())
        self._tasks.keep(self._watch_the_engine())

    # Hosts call these

    async def beat(
        self,
        report: dict[str, Any],
        news: Sequence[Mapping[str, Any]],
        sessions: Sequence[tuple[str, int]] | None,
    ) -> list[tuple[str, int]]:
        """Take a host's report and news; return which of the listed sessions are not its own."""
        self._hosts.heard(report)
        for item in news:
            if item["kind"] == "answer":
                self._hosts.answered(item["call"], item["failure"])
            else:
                self._placing.take(item)
        owns, name = self._placing.owns, report["host"]
        return [key for key in sessions or () if not owns(name, *key)]

    async def owns(self, host: str, session: str, epoch: int) -> bool:
        """Return whether a session is a host's."""
        return self._placing.owns(host, session, epoch)

    async def commands(self, host: str) -> list[dict[str, Any]]:
        """Return what is asked of a host, as soon as something is."""
        return await self._hosts.commands(host)

    # Gateways and programs call these

    async def start(self, avatar_id: str, data: Any, turns: bool) -> dict[str, Any] | FleetError:
        """Start a session; return what its starter gets, or why there is none."""
        try:
            return await self._placing.start(Record(uuid.uuid4().hex, avatar_id, data, turns))
        except FleetError as exc:
            return exc

    async def command(self, session: str, command: dict[str, Any]) -> FleetError | None:
        """Pass a command to the host of a session; return once it is done, or why it is not."""
        try:
            record = self._placing.known(session)
            if record.ending is not None:
                return UnknownSessionError(f"session {session!r} has ended: {record.ending}")
            await self._hosts.command(record, command)
        except FleetError as exc:
            return exc
        return None

    async def drain(self, host: str) -> FleetError | None:
        """Have a host take nothing new and hand its sessions over; return why it cannot."""
        try:
            self._hosts.drain(host)
        except FleetError as exc:
            return exc
        return None

    async def hosts(self) -> list[dict[str, Any]]:
        """Return what each host has told last."""
        return self._hosts.shown()

    async def sessions(self) -> list[dict[str, Any]]:
        """Return all sessions, those that have ended lately included."""
        return [each.shown() for each in self._placing.records.values()]

    async def session(self, session: str) -> dict[str, Any] | FleetError:
        """Return one session."""
        try:
            return self._placing.known(session).shown()
        except FleetError as exc:
            return exc

    async def events(
        self, session: str, after: int, token: str
    ) -> list[dict[str, Any]] | FleetError:
        """Return a session's events after a number, as soon as there are some.

        Tokens are in them only for who gives one that the session's starter was given.
        """
        try:
            record = self._placing.known(session)
        except FleetError as exc:
            return exc
        if record.told <= after and record.ending is None:
            news = record.news
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LONG_POLL_S):
                    await news.wait()
        return record.events_after(after, shows_tokens=record.is_starters(token))

    async def pid(self) -> int:
        """Return which process this is."""
        return os.getpid()

    async def stop_all(self, limit_s: float) -> int:
        """Take nothing new and stop every session; return how many still run after the limit."""
        self._placing.is_stopping = True
        await self.stop_sessions(limit_s)
        self._placing.forget_all()
        return len(self._placing.running())

    async def stop_sessions(self, limit_s: float) -> int:
        """Stop every session; return how many have ended within the limit."""
        running = self._placing.running()
        deadline_s = time.monotonic() + limit_s
        stops = [self._hosts.command(each, {"do": "stop"}) for each in running]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await asyncio.gather(*stops, return_exceptions=True)
        while time.monotonic() < deadline_s:
            if all(each.ending is not None for each in running):
                break
            await asyncio.sleep(STOP_POLL_S)
        return sum(each.ending is not None for each in running)

    # What it looks after

    async def _check_leases(self) -> None:
        checked_at_s = time.monotonic()
        inherits_until_s = checked_at_s + INHERITING_S
        while True:
            await asyncio.sleep(CHECK_S)
            now_s = time.monotonic()
            if now_s - checked_at_s > STOOD_STILL_S:
                self._hosts.forgive()
            checked_at_s = now_s
            for name in self._hosts.take_silent():
                self._replace(name)
                self._placing.lose_host(name, f"its host was not heard of for {LEASE_S:g} s")
            if now_s > inherits_until_s:
                self._placing.resume_orphans()
            self._placing.forget_ended()

    def _replace(self, name: str) -> None:
        """Have the engine replace a host that stands still: it would still be given sessions."""
        try:
            replica = ray.get_actor(f"SERVE_REPLICA::{self._fleet}#Host#{name}", "serve")
        except ValueError:
            return  # it is dead already
        ray.kill(replica)

    async def _watch_the_engine(self) -> None:
        """Drain hosts that Serve has begun to stop: a replica is not told of it."""
        while True:
            await asyncio.sleep(ENGINE_CHECK_S)
            try:
                controller: Any = ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
                async with asyncio.timeout(5.0):
                    details = await controller.get_serve_instance_details.remote()
            except Exception as exc:
                logger.debug("the engine does not answer: %r", exc)
                continue
            deployments = details["applications"].get(self._fleet, {}).get("deployments", {})
            for replica in deployments.get("Host", {}).get("replicas", ()):
                if replica["state"] == "STOPPING" and replica["replica_id"] in self._hosts:
                    self._hosts.drain(replica["replica_id"])


def start_directory(fleet: str) -> None:
    """Start a fleet's directory, unless it runs already; it outlives who starts it."""
    ray.remote(FleetDirectory).options(
        name=actor_name(fleet),
        namespace=NAMESPACE,
        get_if_exists=True,
        lifetime="detached",
        max_restarts=-1,
        max_concurrency=100_000,
        num_cpus=0,
    ).remote(fleet)
