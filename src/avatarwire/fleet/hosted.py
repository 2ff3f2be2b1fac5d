"""One session on a host: its agent, its program, and what is told of them."""

import asyncio
import contextlib
import logging
import os
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from avatarwire.errors import AvatarwireError, SessionLostError
from avatarwire.fleet.errors import FleetError
from avatarwire.fleet.program import Handler, Job, program_of
from avatarwire.liveavatar import AvatarAgent, SessionStartResult
from avatarwire.recording.source import TurnsOnly

__all__ = ["HostedSession"]

logger: logging.Logger = logging.getLogger("avatarwire.fleet")

#: How long a program may go on after its session has ended.
PROGRAM_GRACE_S = 10.0
#: How long a turn may hold up that its session is handed over.
TURN_LIMIT_S = 10.0

Tell = Callable[[dict[str, Any]], None]


class HostedSession:
    """Runs one session from its start to its end, or until another host goes on with it.

    Args:
        job: which session.
        handler: the program.
        owns: returns when the session is known to be this host's, and raises SessionLostError when
            it is not any more.
        tell: takes what happens, as items of the session's life.
        turns: tell of turns too.

    Attributes:
        job: which session.
        agent: what drives the avatar.
    """

    def __init__(
        self,
        job: Job,
        handler: Handler,
        *,
        owns: Callable[[], Awaitable[None]],
        tell: Tell,
        turns: bool,
    ) -> None:
        program = program_of(handler)
        self.job = job
        listener = object() if program.listener is None else program.listener(job)
        self.agent: AvatarAgent = AvatarAgent(program.config(job), listener, permit=owns)
        self.agent.add_listener(self)
        self._handler = handler
        self._tell = tell
        self._work: asyncio.Task[object] | None = None
        self._is_left = False
        if turns:
            self.agent.observe(_TurnTeller(self._note))

    async def on_reconnected(self, result: SessionStartResult) -> None:
        """Tell the new token: the old one is dead."""
        self._note({"kind": "renewed", **_credentials(result)})

    async def run(self, session_id: str | None) -> None:
        """Run the session; what becomes of it is told."""
        try:
            result = await self.agent.start(session_id=session_id)
        except (AvatarwireError, OSError, ValueError) as exc:
            is_over = isinstance(exc, SessionLostError) and session_id is not None
            self._note({"kind": "failed", "reason": str(exc), "is_over": is_over})
            return
        self.job.session_id = result.session_id
        where = {"host": self.job.host, "pid": os.getpid()}
        self._note({"kind": "started", **where, **_credentials(result)})
        ending = "the host has failed"
        try:
            ending = await self._run_program()
        finally:
            with contextlib.suppress(Exception):
                await self.agent.stop()
            kind = "left" if self._is_left else "ended"
            self._note({"kind": kind, "ending": ending})

    async def hand_over(self, deadline_s: float) -> None:
        """Leave the session to another host, between two turns or at ``deadline_s``."""
        over = asyncio.Event()

        def note(item: dict[str, Any]) -> None:
            if item["change"] == "ended":
                over.set()

        stop_observing = self.agent.observe(_TurnTeller(note))
        try:
            if self.agent.is_speaking:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(deadline_s):
                        await over.wait()
        finally:
            stop_observing()
        await self.leave()

    async def leave(self) -> None:
        """Let go of the session at once, since another host goes on with it."""
        if self._work is None or self._work.done():
            return  # its end is being told
        self._is_left = True
        await self.agent.leave()
        self._work.cancel()

    async def obey(self, command: Mapping[str, Any]) -> None:
        """Do what someone asks of the session.

        Raises:
            FleetError: it cannot be done; the text says why.
        """
        try:
            await self._obey(command)
        except FleetError:
            raise
        except (AvatarwireError, ValueError, TypeError, RuntimeError) as exc:
            raise FleetError(str(exc)) from exc

    async def _obey(self, command: Mapping[str, Any]) -> None:
        match command["do"]:
            case "say":
                await self._say(command["text"])
            case "interrupt":
                await self.agent.send_interrupt()
            case "custom":
                await self.agent.send_custom_event(
                    command["request_id"], command["event"], command["data"]
                )
            case "stop":
                if self._work is not None:
                    self._work.cancel("stop")
            case other:
                raise FleetError(f"no such command: {other}")

    async def _say(self, text: str) -> None:
        if self.job.on_say is not None:
            await self.job.on_say(text)
            return
        async with self.agent.response_stream(f"say-{uuid.uuid4()}") as response:
            await response.send_chunk(text)

    async def _run_program(self) -> str:
        """Run the program; return why the session has ended, in words."""
        self._work = asyncio.ensure_future(self._handler(self.agent, self.job))
        closed = asyncio.ensure_future(self.agent.wait_closed())
        try:
            await asyncio.wait([self._work, closed], return_when=asyncio.FIRST_COMPLETED)
            if not self._work.done():
                await asyncio.wait([self._work], timeout=PROGRAM_GRACE_S)
        finally:
            closed.cancel()
            is_stuck = not self._work.done()
            if is_stuck:
                self._work.cancel()
                await asyncio.wait([self._work], timeout=PROGRAM_GRACE_S)
        end = self.agent.ending
        if self._is_left:
            return "left to another host"
        if self._work.done() and not self._work.cancelled():
            error = self._work.exception()
            # What a session that has ended makes its program raise is no fault of the program.
            if error is not None and not (end is not None and isinstance(error, AvatarwireError)):
                logger.error("session %s: the program failed", self.job.id, exc_info=error)
                return f"the program raised {type(error).__name__}"
        if end is not None and not is_stuck:
            return f"closed by the platform with {end.code}" + (
                f": {end.reason}" * bool(end.reason)
            )
        if end is not None:
            return f"closed by the platform with {end.code}; the program did not return"
        return "stopped" if self._work.cancelled() else "completed"

    def _note(self, item: dict[str, Any]) -> None:
        self._tell({"id": self.job.id, "epoch": self.job.epoch, **item})


class _TurnTeller(TurnsOnly):
    """Tells the beginning and the end of turns, for those who asked for it."""

    def __init__(self, note: Tell) -> None:
        self._note = note

    def turn(self, turn_id: str, change: str, facts: Mapping[str, object]) -> None:
        """Tell a change, unless it is one in the midst of a turn."""
        if change in {"opened", "started", "ended"}:
            reason = {"reason": facts["reason"]} if "reason" in facts else {}
            self._note({"kind": "turn", "turn": turn_id, "change": change, **reason})


def _credentials(result: SessionStartResult) -> dict[str, Any]:
    return {
        "session_id": str(result.session_id),
        "sfu_url": str(result.sfu_url),
        "user_token": str(result.user_token),
        "resumed": result.resumed,
    }
