"""The hosts as the directory knows them: what they told last, and what is asked of them."""

import asyncio
import contextlib
import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from avatarwire.fleet.errors import FleetError, NoCapacityError, UnknownSessionError
from avatarwire.fleet.records import Record

__all__ = ["LEASE_S", "KnownHosts"]

#: A host that has not been heard of for so long has lost its sessions.
LEASE_S = 3.0
COMMAND_LIMIT_S = 15.0
LONG_POLL_S = 10.0
UNKNOWN_POLL_S = 0.25


@dataclass(slots=True)
class _Host:
    report: dict[str, Any]
    heard_at_s: float
    commands: list[dict[str, Any]] = field(default_factory=list)
    has_commands: asyncio.Event = field(default_factory=asyncio.Event)

    def order(self, command: dict[str, Any]) -> None:
        self.commands.append(command)
        self.has_commands.set()


class KnownHosts:
    """Keeps hosts by their ids, from their first report to the end of their lease."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}
        self._answers: dict[int, asyncio.Future[str | None]] = {}
        self._calls = itertools.count(1)

    def __contains__(self, name: object) -> bool:
        return name in self._hosts

    def heard(self, report: dict[str, Any]) -> None:
        """Take a host's report: it lives."""
        now_s = time.monotonic()
        host = self._hosts.get(report["host"])
        if host is None:
            self._hosts[report["host"]] = _Host(report, now_s)
        else:
            host.report, host.heard_at_s = report, now_s

    def forgive(self) -> None:
        """Give every host half a lease: it is this process that stood still."""
        half_ago_s = time.monotonic() - LEASE_S / 2
        for host in self._hosts.values():
            host.heard_at_s = max(host.heard_at_s, half_ago_s)

    def take_silent(self) -> list[str]:
        """Forget the hosts whose lease has ended, and return them."""
        now_s = time.monotonic()
        silent = [name for name, it in self._hosts.items() if now_s - it.heard_at_s > LEASE_S]
        for name in silent:
            del self._hosts[name]
        return silent

    def require_room(self, taken: int) -> None:
        """Refuse a session for which there is no place.

        Args:
            taken: how many sessions there are, the new one included.

        Raises:
            NoCapacityError: there are more than places.
        """
        reports = [it.report for it in self._hosts.values() if not it.report["is_draining"]]
        room = sum(each["max_sessions"] for each in reports)
        if taken > room:
            raise NoCapacityError(f"all {room} places of {len(reports)} hosts are taken")

    def is_taking(self, name: str | None) -> bool:
        """Return whether a host takes new sessions."""
        host = self._hosts.get(name or "")
        return host is not None and not host.report["is_draining"]

    def shown(self) -> list[dict[str, Any]]:
        """Return what each host has told last."""
        now_s = time.monotonic()
        return [
            {**it.report, "heard_s": round(now_s - it.heard_at_s, 3)} for it in self._hosts.values()
        ]

    # What is asked of them

    async def commands(self, name: str) -> list[dict[str, Any]]:
        """Return what is asked of a host, as soon as something is."""
        host = self._hosts.get(name)
        if host is None:
            await asyncio.sleep(UNKNOWN_POLL_S)
            return []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONG_POLL_S):
                await host.has_commands.wait()
        host.has_commands.clear()
        commands, host.commands = host.commands, []
        return commands

    def drain(self, name: str) -> None:
        """Have a host take nothing new and hand its sessions over.

        Raises:
            UnknownSessionError: there is no such host.
        """
        host = self._hosts.get(name)
        if host is None:
            raise UnknownSessionError(f"no host {name!r}")
        if not host.report["is_draining"]:
            host.report["is_draining"] = True
            host.order({"do": "drain"})

    async def command(self, record: Record, command: dict[str, Any]) -> None:
        """Pass a command to the host of a session; return when it has been done.

        Raises:
            FleetError: it failed, or there was no answer in time.
        """
        host = self._hosts.get(record.host or "")
        if host is None:
            raise FleetError("the session is between two hosts: try again in a moment")
        call = next(self._calls)
        answer = self._answers[call] = asyncio.get_running_loop().create_future()
        host.order({"id": record.id, "epoch": record.epoch, "call": call, **command})
        try:
            async with asyncio.timeout(COMMAND_LIMIT_S):
                failure = await answer
        except TimeoutError:
            raise FleetError(f"the host has not answered in {COMMAND_LIMIT_S:g} s") from None
        finally:
            del self._answers[call]
        if failure is not None:
            raise FleetError(failure)

    def answered(self, call: int, failure: str | None) -> None:
        """Take what became of a command."""
        answer = self._answers.get(call)
        if answer is not None and not answer.done():
            answer.set_result(failure)
