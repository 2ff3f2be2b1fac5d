"""Whose each session is: started, resumed, ended. Where a session goes is the engine's choice."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from ray import serve

from avatarwire.errors import AvatarwireError
from avatarwire.fleet.errors import FleetError, NoCapacityError, UnknownSessionError
from avatarwire.fleet.known_hosts import KnownHosts
from avatarwire.fleet.records import Ledger, Record
from avatarwire.fleet.tasks import Tasks

__all__ = ["Placing"]

logger: logging.Logger = logging.getLogger("avatarwire.fleet")

#: How long a start may look for a host with room, and how long a lost session may.
PLACE_LIMIT_S = 8.0
RESUME_LIMIT_S = 60.0
#: How long a session may take from its order to its start.
START_LIMIT_S = 60.0
#: How long a session that has ended is shown, and how many of them.
SHOWN_ENDED_S = 300.0
MOST_ENDED = 10_000


class _HostGoneError(FleetError):
    """The host could not start the session; another one may."""


class Placing:
    """The sessions of a fleet, and who owns them.

    A session is given away under a number, its epoch, that grows each time; who has an older one
    owns nothing.

    Args:
        fleet: the name of the fleet.
        hosts: who is there.

    Attributes:
        records: the sessions, by their ids.
        is_stopping: no session is started any more.
    """

    def __init__(self, fleet: str, hosts: KnownHosts) -> None:
        self._fleet = fleet
        self._hosts = hosts
        self._ledger = Ledger(fleet)
        self.records: dict[str, Record] = {}
        for record in self._ledger.read():
            if record.session_id is None:
                self._ledger.forget(record.id)  # whoever asked for it was told that it failed
            else:
                self.records[record.id] = record
        self.is_stopping: bool = False
        #: Known from the ledger alone: their hosts have not called this process yet.
        self._inherited = set(self.records)
        self._ended: dict[str, float] = {}
        self._handle: Any = None
        self._tasks = Tasks("the directory")

    def known(self, session: str) -> Record:
        """Return a session, which may have ended lately.

        Raises:
            UnknownSessionError: there is none.
        """
        record = self.records.get(session)
        if record is None:
            raise UnknownSessionError(f"no session {session!r}")
        return record

    def running(self) -> list[Record]:
        """Return the sessions that have not ended."""
        return [each for each in self.records.values() if each.ending is None]

    async def start(self, record: Record) -> dict[str, Any]:
        """Start a new session; return what its starter gets.

        Raises:
            NoCapacityError: no host has room.
            FleetError: the platform refused.
        """
        self.records[record.id] = record
        try:
            await self._place_within(record, PLACE_LIMIT_S)
        except AvatarwireError:
            del self.records[record.id]
            self._ledger.forget(record.id)
            raise
        return {
            "id": record.id,
            "session_id": record.session_id,
            **record.credentials,
            "host": record.host,
        }

    def resume(self, record: Record, cause: str) -> None:
        """Take a session from its host, and have another one go on with it."""
        logger.warning("session %s: %s: another host goes on with it", record.id, cause)
        record.add_event({"event": "lost", "host": record.host, "reason": cause})
        record.host = record.pid = None
        record.epoch += 1  # from here on it is nobody's
        self._tasks.keep(self._resume_within(record, cause))

    def lose_host(self, name: str, cause: str) -> None:
        """Have others go on with all sessions of a host."""
        for record in self.running():
            if record.host == name:
                self.resume(record, cause)

    def resume_orphans(self) -> None:
        """Have others go on with sessions of the ledger whose hosts have not called."""
        orphans, self._inherited = self._inherited, set()
        for session in orphans:
            record = self.records.get(session)
            if record is not None and record.ending is None:
                self.resume(record, "its host is gone")

    def take(self, item: Mapping[str, Any]) -> None:
        """Take what a host tells of a session, unless it has lost it."""
        record = self.records.get(item["id"])
        if record is None or record.ending is not None or record.epoch != item["epoch"]:
            return
        match item["kind"]:
            case "started":
                if record.host is not None:
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
                self.resume(record, "its host was drained")

    def owns(self, host: str, session: str, epoch: int) -> bool:
        """Return whether a session is a host's."""
        record = self.records.get(session)
        if record is None or record.ending is not None or record.epoch != epoch:
            return False
        is_owner = record.host in {None, host}
        if is_owner:
            self._inherited.discard(session)
        return is_owner

    def forget_ended(self) -> None:
        """Forget sessions that have ended some time ago."""
        now_s = time.monotonic()
        for session, at_s in list(self._ended.items()):
            if now_s - at_s < SHOWN_ENDED_S and len(self._ended) <= MOST_ENDED:
                return
            del self._ended[session]
            self.records.pop(session, None)

    def forget_all(self) -> None:
        """Let the ledger begin anew."""
        self._ledger.clear()

    # From an order to a start

    async def _place_within(self, record: Record, limit_s: float) -> None:
        """Have a host start the session; try others while there is time."""
        deadline_s = time.monotonic() + limit_s
        delay_s = 0.02
        while True:
            if self.is_stopping:
                raise FleetError("the fleet is stopping")
            try:
                self._hosts.require_room(self._taken())
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

    def _taken(self) -> int:
        return sum(each.host is None or self._hosts.is_taking(each.host) for each in self.running())

    async def _place(self, record: Record) -> None:
        """Give the session to a host that the engine chooses, and wait until it has started."""
        record.epoch += 1
        record.host = None
        epoch = record.epoch
        if record.session_id is not None:
            # Before anyone has it; what has not started yet is of no use to a successor.
            self._ledger.write(record)
        stream = self._hosts_handle().run.remote(_order(record))
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
        self.take(item)
        self._tasks.keep(self._follow(record, epoch, stream))

    def _hosts_handle(self) -> Any:
        if self._handle is None:
            handle = serve.get_deployment_handle("Host", app_name=self._fleet)
            self._handle = handle.options(stream=True)
        return self._handle

    async def _follow(self, record: Record, epoch: int, stream: AsyncIterator[Any]) -> None:
        """Follow a session's life; have another host go on with it when its own is gone."""
        cause = "its host ended the call"
        try:
            async for item in stream:
                self.take(item)
        except Exception as exc:
            cause = f"its host is gone ({type(exc).__name__})"
        if record.epoch == epoch and record.ending is None and record.host is not None:
            self.resume(record, cause)

    async def _resume_within(self, record: Record, cause: str) -> None:
        try:
            await self._place_within(record, RESUME_LIMIT_S)
        except FleetError as exc:
            self._end(record, f"{cause}, and no other could go on: {exc}")

    def _end(self, record: Record, ending: str) -> None:
        record.ending = ending
        record.add_event({"event": "ended", "reason": ending})
        self._ledger.forget(record.id)
        self._ended[record.id] = time.monotonic()


def _order(record: Record) -> dict[str, Any]:
    return {
        "job": {
            "id": record.id,
            "avatar_id": record.avatar_id,
            "data": record.data,
            "resumed": record.session_id is not None,
            "epoch": record.epoch,
        },
        "session_id": record.session_id,
        "turns": record.turns,
    }
