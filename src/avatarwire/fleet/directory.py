"""The directory: which session is whose, in one actor that the engine restarts.

It is the only caller of the hosts, so it knows at once when one of them dies. Where a session goes
is the engine's choice.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import time
import uuid
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray import serve

from avatarwire.errors import AvatarwireError
from avatarwire.fleet.errors import FleetError, NoCapacityError, UnknownSessionError
from avatarwire.fleet.reaching import NAMESPACE, actor_name
from avatarwire.fleet.records import Ledger, Record

__all__ = ["FleetDirectory", "start_directory"]

logger: logging.Logger = logging.getLogger("avatarwire.fleet")

#: A host that has not been heard of for so long has lost its sessions.
LEASE_S = 3.0
CHECK_S = 0.25
#: How long a start may look for a host with room, and how long a lost session may.
PLACE_LIMIT_S = 8.0
RESUME_LIMIT_S = 60.0
#: How long a session may take from its order to its start.
START_LIMIT_S = 60.0
COMMAND_LIMIT_S = 15.0
LONG_POLL_S = 10.0
#: How long a session that has ended is shown, and how many of them.
SHOWN_ENDED_S = 300.0
MOST_ENDED = 10_000
ENGINE_CHECK_S = 1.0


@dataclass(slots=True)
class _Host:
    """What a host has told of itself."""

    report: dict[str, Any]
    heard_at_s: float
    commands: list[dict[str, Any]] = field(default_factory=list)
    has_commands: asyncio.Event = field(default_factory=asyncio.Event)

    def order(self, command: dict[str, Any]) -> None:
        self.commands.append(command)
        self.has_commands.set()


class _HostGoneError(FleetError):
    """The host has died before it answered."""


class FleetDirectory:
    """Starts sessions on hosts, resumes those of dead hosts, and passes commands on.

    Args:
        fleet: the name of the fleet, which is that of its Serve application.
    """

    def __init__(self, fleet: str) -> None:
        self._fleet = fleet
        self._ledger = Ledger(fleet)
        self._records: dict[str, Record] = {each.id: each for each in self._ledger.read()}
        self._ended: dict[str, float] = {}
        self._hosts: dict[str, _Host] = {}
        self._answers: dict[int, asyncio.Future[str | None]] = {}
        self._calls = itertools.count(1)
        self._handle: Any = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_stopping = False
        # What was owned before this process began is waited for: its hosts will tell.
        self._adopt_until_s = time.monotonic() + 2 * LEASE_S
        self._keep(self._check_leases())
        self._keep(self._watch_the_engine())

    # Starting and resuming

    async def start(
        self,
        avatar_id: str,
        data: Any,
        turns: bool,
    ) -> dict[str, Any] | FleetError:
        """Start a session; return what its starter gets, or the error."""
        record = Record(uuid.uuid4().hex, avatar_id, data, turns)
        self._records[record.id] = record
        try:
            await self._place_within(record, PLACE_LIMIT_S)
        except AvatarwireError as exc:
            self._end(record, str(exc))
            self._records.pop(record.id, None)
            return exc if isinstance(exc, FleetError) else FleetError(str(exc))
        return {
            "id": record.id,
            "session_id": record.session_id,
            **record.credentials,
            "host": record.host,
        }

    async def _place_within(self, record: Record, limit_s: float) -> None:
        """Have a host start the session; try others while there is time.

        Raises:
            NoCapacityError: none had room.
            FleetError: the platform refused, or the session is over.
        """
        deadline_s = time.monotonic() + limit_s
        delay_s = 0.02
        while True:
            try:
                self._require_room()
                await self._place(record)
            except (NoCapacityError, _HostGoneError) as exc:
                if time.monotonic() + delay_s > deadline_s:
                    if isinstance(exc, NoCapacityError):
                        raise
                    raise NoCapacityError(f"no host could start the session: {exc}") from None
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, 0.5)
            else:
                return

    def _require_room(self) -> None:
        if self._is_stopping:
            raise FleetError("the fleet is stopping")
        now_s = time.monotonic()
        hosts = [
            each.report
            for each in self._hosts.values()
            if not each.report["is_draining"] and now_s - each.heard_at_s < LEASE_S
        ]
        room = sum(each["max_sessions"] for each in hosts)
        names = {each["host"] for each in hosts}
        taken = sum(
            each.ending is None and (each.host in names or each.host is None)
            for each in self._records.values()
        )
        # The one that asks is among them.
        if taken > room:
            raise NoCapacityError(f"all {room} places of {len(hosts)} hosts are taken", 1.0)

    async def _place(self, record: Record) -> None:
        """Give the session to a host that the engine chooses, and wait until it has started."""
        record.epoch += 1
        record.host = None
        epoch = record.epoch
        self._ledger.write(record)
        order = {
            "job": {
                "id": record.id,
                "avatar_id": record.avatar_id,
                "data": record.data,
                "resumed": record.session_id is not None,
                "epoch": epoch,
            },
            "session_id": record.session_id,
            "turns": record.turns,
        }
        stream = self._hosts_handle().options(stream=True).run.remote(order)
        try:
            async with asyncio.timeout(START_LIMIT_S):
                item = await anext(stream)
        except TimeoutError:
            record.epoch += 1  # a host that comes to it later finds that it is not its own
            raise _HostGoneError(f"no answer within {START_LIMIT_S:g} s") from None
        except StopAsyncIteration:
            raise _HostGoneError("the host ended the call") from None
        except Exception as exc:
            raise _HostGoneError(type(exc).__name__) from None
        if item["kind"] == "refused":
            raise NoCapacityError(item["reason"], item["after_s"])
        if item["kind"] == "failed":
            may_go_on = record.session_id is not None and not item["is_over"]
            raise (_HostGoneError if may_go_on else FleetError)(item["reason"])
        self._take(item)
        self._keep(self._follow(record, epoch, stream))

    def _hosts_handle(self) -> Any:
        if self._handle is None:
            self._handle = serve.get_deployment_handle("Host", app_name=self._fleet)
        return self._handle

    async def _follow(self, record: Record, epoch: int, stream: AsyncIterator[Any]) -> None:
        """Follow a session's life; go on with it elsewhere when its host is gone."""
        cause = "the host ended the call"
        try:
            async for item in stream:
                self._take(item)
        except Exception as exc:
            cause = f"its host is gone ({type(exc).__name__})"
        if record.epoch == epoch and record.ending is None and record.host is not None:
            self._resume(record, cause)

    def _resume(self, record: Record, cause: str) -> None:
        """Go on with a session on another host."""
        if record.host is not None:
            logger.warning("session %s: %s: another host goes on with it", record.id, cause)
            record.add_event({"event": "lost", "host": record.host, "reason": cause})
        record.host = record.pid = None
        record.epoch += 1  # from here on it is nobody's
        self._ledger.write(record)
        self._keep(self._resume_within(record, cause))

    async def _resume_within(self, record: Record, cause: str) -> None:
        try:
            await self._place_within(record, RESUME_LIMIT_S)
        except FleetError as exc:
            self._end(record, f"{cause}, and no other could go on: {exc}")

    def _end(self, record: Record, ending: str) -> None:
        if record.ending is not None:
            return
        record.ending = ending
        record.add_event({"event": "ended", "reason": ending})
        self._ledger.forget(record.id)
        self._ended[record.id] = time.monotonic()

    def _take(self, item: Mapping[str, Any]) -> None:
        """Take what a host tells of a session, unless it has lost it."""
        record = self._records.get(item["id"])
        if record is None or record.ending is not None or record.epoch != item["epoch"]:
            return
        match item["kind"]:
            case "started":
                if record.host == item["host"]:
                    return  # told twice: by the call, and with the news
                is_first = record.session_id is None
                record.host, record.pid = item["host"], item["pid"]
                record.issue(dict(item))
                self._ledger.write(record)
                record.resumed += not is_first
                event = "started" if is_first else "resumed"
                record.add_event({"event": event, "host": record.host, **record.credentials})
            case "renewed":
                record.issue(dict(item))
                self._ledger.write(record)
                record.add_event({"event": "renewed", **record.credentials})
            case "turn":
                named = {key: item[key] for key in ("turn", "change", "reason") if key in item}
                record.add_event({"event": "turn", **named})
            case "ended":
                self._end(record, item["ending"])
            case "left":
                self._resume(record, "its host was drained")

    # What hosts say

    async def beat(
        self, report: dict[str, Any], news: Sequence[Mapping[str, Any]]
    ) -> list[tuple[str, int]]:
        """Take a host's report and news; return which of its sessions are not its own."""
        name = report["host"]
        now_s = time.monotonic()
        host = self._hosts.get(name)
        if host is None:
            self._hosts[name] = _Host(report, now_s)
        else:
            host.report, host.heard_at_s = report, now_s
        for item in news:
            if item["kind"] == "answer":
                self._answer(item["call"], item["failure"])
            else:
                self._take(item)
        return [key for key in report["sessions"] if not self._is_owned(name, report["pid"], key)]

    def _is_owned(self, host: str, pid: int, key: tuple[str, int]) -> bool:
        session, epoch = key
        record = self._records.get(session)
        if record is None or record.epoch != epoch or record.ending is not None:
            return False
        if record.host is None and record.session_id is not None and record.credentials == {}:
            record.host, record.pid = host, pid  # known from the ledger alone
        return True

    async def owns(self, host: str, session: str, epoch: int) -> bool:
        """Return whether a session is a host's."""
        record = self._records.get(session)
        return (
            record is not None
            and record.epoch == epoch
            and record.ending is None
            and record.host in {None, host}
        )

    async def commands(self, host: str) -> list[dict[str, Any]]:
        """Return what is asked of a host, as soon as something is."""
        known = self._hosts.get(host)
        if known is None:
            await asyncio.sleep(CHECK_S)
            return []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONG_POLL_S):
                await known.has_commands.wait()
        known.has_commands.clear()
        commands, known.commands = known.commands, []
        return commands

    async def _check_leases(self) -> None:
        checked_at_s = time.monotonic()
        while True:
            await asyncio.sleep(CHECK_S)
            now_s = time.monotonic()
            if now_s - checked_at_s > 1.0:
                # It is this process that stood still: hosts may have called in vain.
                for host in self._hosts.values():
                    host.heard_at_s = max(host.heard_at_s, now_s - LEASE_S / 2)
            checked_at_s = now_s
            for name, host in list(self._hosts.items()):
                if now_s - host.heard_at_s > LEASE_S:
                    self._lose_host(name, f"its host has not been heard of for {LEASE_S:g} s")
            if now_s > self._adopt_until_s:
                self._resume_orphans()
            self._forget_ended(now_s)

    def _lose_host(self, name: str, cause: str) -> None:
        del self._hosts[name]
        self._kill(name)
        for record in list(self._records.values()):
            if record.host == name and record.ending is None:
                self._resume(record, cause)

    def _kill(self, name: str) -> None:
        """Have the engine replace a host that stands still: it would still be given sessions."""
        try:
            replica = ray.get_actor(f"SERVE_REPLICA::{self._fleet}#Host#{name}", "serve")
        except ValueError:
            return  # it is dead already
        ray.kill(replica)

    def _resume_orphans(self) -> None:
        """Go on with sessions of the ledger whose hosts have not called."""
        self._adopt_until_s = float("inf")
        for record in list(self._records.values()):
            if record.ending is None and record.host not in self._hosts and not record.credentials:
                self._resume(record, "its host is gone")

    def _forget_ended(self, now_s: float) -> None:
        for session, at_s in list(self._ended.items()):
            if now_s - at_s < SHOWN_ENDED_S and len(self._ended) <= MOST_ENDED:
                return
            del self._ended[session]
            self._records.pop(session, None)

    async def _watch_the_engine(self) -> None:
        """Drain hosts that Serve has begun to stop: a replica is not told of it."""
        while True:
            await asyncio.sleep(ENGINE_CHECK_S)
            try:
                controller = ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
                async with asyncio.timeout(5.0):
                    details = await controller.get_serve_instance_details.remote()
            except Exception as exc:
                logger.debug("the engine does not answer: %r", exc)
                continue
            application = details["applications"].get(self._fleet)
            if application is None:
                continue
            for replica in application["deployments"].get("Host", {}).get("replicas", ()):
                if replica["state"] == "STOPPING":
                    with contextlib.suppress(UnknownSessionError):
                        await self.drain(replica["replica_id"])

    # What people ask

    async def command(self, session: str, command: dict[str, Any]) -> None:
        """Pass a command to the host of a session; return when it has been done.

        Raises:
            UnknownSessionError: no such session runs.
            FleetError: it failed, or there was no answer in time.
        """
        record = self._records.get(session)
        if record is None or record.ending is not None:
            raise UnknownSessionError(f"no session {session!r} runs here")
        host = self._hosts.get(record.host or "")
        if host is None:
            raise FleetError("the session is between two hosts: try again in a moment")
        call = next(self._calls)
        answer = self._answers[call] = asyncio.get_running_loop().create_future()
        host.order({"id": session, "epoch": record.epoch, "call": call, **command})
        try:
            async with asyncio.timeout(COMMAND_LIMIT_S):
                failure = await answer
        except TimeoutError:
            raise FleetError(f"the host has not answered in {COMMAND_LIMIT_S:g} s") from None
        finally:
            del self._answers[call]
        if failure is not None:
            raise FleetError(failure)

    def _answer(self, call: int, failure: str | None) -> None:
        answer = self._answers.get(call)
        if answer is not None and not answer.done():
            answer.set_result(failure)

    async def drain(self, host: str) -> None:
        """Have a host take nothing new and hand its sessions over.

        Raises:
            UnknownSessionError: there is no such host.
        """
        known = self._hosts.get(host)
        if known is None:
            raise UnknownSessionError(f"no host {host!r}")
        if not known.report["is_draining"]:
            known.report["is_draining"] = True
            known.order({"do": "drain"})

    async def pid(self) -> int:
        """Return which process this is."""
        return os.getpid()

    async def sessions(self) -> list[dict[str, Any]]:
        """Return all sessions, those that have ended lately included."""
        return [each.shown() for each in self._records.values()]

    async def session(self, session: str) -> dict[str, Any]:
        """Return one session.

        Raises:
            UnknownSessionError: there is none.
        """
        return self._known(session).shown()

    async def hosts(self) -> list[dict[str, Any]]:
        """Return what each host has told last."""
        now_s = time.monotonic()
        return [
            {
                **each.report,
                "sessions": len(each.report["sessions"]),
                "heard_s": round(now_s - each.heard_at_s, 3),
            }
            for each in self._hosts.values()
        ]

    async def events(self, session: str, after: int, token: str) -> list[dict[str, Any]]:
        """Return a session's events after a number, as soon as there are some.

        Tokens are in them only for who gives one that the session's starter was given.

        Raises:
            UnknownSessionError: there is no such session.
        """
        record = self._known(session)
        if record.told <= after and record.ending is None:
            news = record.news
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LONG_POLL_S):
                    await news.wait()
        events = [each for each in record.events if each["number"] > after]
        if record.is_starters(token):
            return events
        hidden = {"user_token", "sfu_url"}
        return [{k: v for k, v in each.items() if k not in hidden} for each in events]

    async def stop_all(self, limit_s: float) -> int:
        """Take nothing new and stop every session; return how many still run after the limit."""
        self._is_stopping = True
        await self.stop_sessions(limit_s)
        left = sum(each.ending is None for each in self._records.values())
        self._ledger.clear()
        return left

    async def stop_sessions(self, limit_s: float) -> int:
        """Stop every session; return how many have ended within the limit."""
        running = [each for each in self._records.values() if each.ending is None]
        stops = [self.command(each.id, {"do": "stop"}) for each in running]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await asyncio.gather(*stops, return_exceptions=True)
        deadline_s = time.monotonic() + limit_s
        while time.monotonic() < deadline_s:
            if all(each.ending is not None for each in running):
                break
            await asyncio.sleep(0.05)
        return sum(each.ending is not None for each in running)

    def _known(self, session: str) -> Record:
        record = self._records.get(session)
        if record is None:
            raise UnknownSessionError(f"no session {session!r}")
        return record

    def _keep(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("the directory: a task failed", exc_info=task.exception())


def start_directory(fleet: str) -> None:
    """Start a fleet's directory, unless it runs already; it outlives who starts it."""
    actor = ray.remote(FleetDirectory)
    actor.options(
        name=actor_name(fleet),
        namespace=NAMESPACE,
        get_if_exists=True,
        lifetime="detached",
        max_restarts=-1,
        max_concurrency=100_000,
        num_cpus=0,
    ).remote(fleet)
