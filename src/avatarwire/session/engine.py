"""The shell around a session's lifecycle: what comes and what ends is told, as the rules say.

``Dialling`` makes connections, ``Ending`` tells the end, ``Stopping`` stops; none of them knows the
engine.

An engine exists from its owner's construction and runs one session at a time. It knows no
platform: the dialect has the words, the parts do what the platform's sessions consist of.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Generic, TypeVar

from avatarwire._tasks import begin_later
from avatarwire.errors import SessionLostError
from avatarwire.session.callbacks import running_callback
from avatarwire.session.dialect import Connect, Dialect, Part, Reporter
from avatarwire.session.dialling import Dialling
from avatarwire.session.ending import Ending
from avatarwire.session.inbox import Inbox
from avatarwire.session.lifecycle import Dial, End, Lifecycle, Retry, State
from avatarwire.session.outbox import Outbox
from avatarwire.session.ports import Ports
from avatarwire.session.stopping import Stopping, require_gone
from avatarwire.session.tasks import keep
from avatarwire.transport import Link

__all__ = ["Engine"]

NORMAL_CLOSURE = 1000
GOING_AWAY = 1001

ReceivedT = TypeVar("ReceivedT")


class Engine(Generic[ReceivedT]):
    """Runs the sessions of one agent or client.

    Args:
        dialect: the platform's words.
        reporter: tells the program.
        parts: what has to know what happens, in the order of telling; the reporter is one of them.
        outbox: what is sent through the session.
        connect: opens a connection; None: ``transport.connect``.
        logger: the platform's.

    Attributes:
        lifecycle: the rules, and the state.
        inbox: what came.
        ending: how the end is told, and what it cost.
        loop: the event loop of the last session; None before the first.
        is_given_up: the last start ended because ``stop()`` was called meanwhile.
    """

    __slots__ = (
        "_dialling",
        "_link",
        "_ports",
        "_stopping",
        "ending",
        "inbox",
        "is_given_up",
        "lifecycle",
        "loop",
    )

    def __init__(
        self,
        dialect: Dialect[ReceivedT],
        reporter: Reporter[ReceivedT],
        parts: Sequence[Part[ReceivedT]],
        *,
        outbox: Outbox,
        connect: Connect | None,
        logger: logging.Logger,
    ) -> None:
        self.lifecycle: Lifecycle = Lifecycle()
        self._ports = Ports(dialect, reporter, tuple(parts), outbox, connect, logger)
        self.inbox: Inbox[ReceivedT] = Inbox(self._ports)
        self.ending: Ending[ReceivedT] = Ending(self._ports, self.lifecycle)
        self.loop: asyncio.AbstractEventLoop | None = None
        self._link: Link | None = None
        self._dialling: Dialling[ReceivedT] | None = None
        self._stopping: Stopping[ReceivedT] | None = None
        self.is_given_up: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the session has been confirmed and has not ended; also while it is restored."""
        return self.lifecycle.state in {State.OPEN, State.GAP}

    @property
    def is_connected(self) -> bool:
        """Whether there is a confirmed connection now."""
        return self.lifecycle.state is State.OPEN

    @property
    def is_loop_gone(self) -> bool:
        """Whether the event loop of the last session has been closed, and the session with it."""
        return self.loop is not None and self.loop.is_closed()

    @property
    def is_stopping(self) -> bool:
        """Whether a stop is under way."""
        return self._stopping is not None and self._stopping.is_under_way

    @property
    def left_running(self) -> str | None:
        """Why the platform may run the session on that was stopped last; None: it does not."""
        return None if self._stopping is None else self._stopping.left_running

    # Start

    async def start(self, retry: Retry, attempts: int = 1) -> None:
        """Begin a session, or wait for the attempt that is under way.

        Args:
            retry: how a lost connection is restored.
            attempts: how many dials the first connection may take.

        Raises:
            SessionLostError: it ended before it was confirmed, or ``stop()`` was called.
            AvatarwireError: what the dialect or the dial raises.
        """
        dialling = self._dialling
        begun_here = dialling is None or not dialling.is_under_way
        if dialling is None or not dialling.is_under_way:
            dialling = self._begin(retry, attempts)
        try:
            await asyncio.shield(dialling.task)
        except BaseException as exc:
            stopped = isinstance(exc, asyncio.CancelledError) and dialling.task.cancelled()
            caller = asyncio.current_task()
            if begun_here or not isinstance(exc, asyncio.CancelledError):
                await self.stop()
            if not stopped or (caller is not None and caller.cancelling()):
                raise
        else:
            # A stop may have come between the confirmation and now.
            stopped = self._stopping is not None
        if stopped:
            self.is_given_up = True
            raise SessionLostError(NORMAL_CLOSURE, "stop() was called during start()")

    def _begin(self, retry: Retry, attempts: int) -> Dialling[ReceivedT]:
        self.loop = asyncio.get_running_loop()
        self.is_given_up = False
        self._link = self._stopping = None
        self.inbox.begin()
        self.ending.begin()
        return self._dial(self.lifecycle.start(retry, attempts))

    def _dial(self, decision: Dial) -> Dialling[ReceivedT]:
        dialling = self._dialling = Dialling(
            self._ports, self.lifecycle, self.ending, decision, receiver=self
        )
        dialling.task.add_done_callback(self._dialled)
        return dialling

    def _dialled(self, task: asyncio.Task[None]) -> None:
        """Let go of what has done its work; of one that has failed, ``stop()`` asks how."""
        is_last = self._dialling is not None and self._dialling.task is task
        if is_last and not task.cancelled() and task.exception() is None:
            self._dialling = None

    # What comes

    @property
    def _link_of_now(self) -> Link | None:
        """The link that messages come from: the one that is being dialled, if there is one."""
        dialling = self._dialling
        return self._link if dialling is None or dialling.link is None else dialling.link

    def receive(self, messages: list[str | bytes]) -> None:
        """Take from the connection one text, or binary messages that followed one another."""
        taken = 0
        while taken < len(messages):
            if not (heard := self.inbox.hear(messages, taken)):
                self._take(messages[taken])
            self.lifecycle.is_fruitful |= heard > 0
            taken += heard or 1

    def _take(self, message: str | bytes) -> None:
        ports = self._ports
        received = self.inbox.take(message)
        for reply in ports.dialect.replies():
            if (link := self._link_of_now) is not None:
                ports.outbox.say(reply, link.connection)
        if received is None:
            return
        if self._dialling is not None and self._dialling.sees_confirmation():
            self._opened(self._dialling)
        else:
            self.lifecycle.is_fruitful = True
        for part in ports.parts:
            part.notice(received)
        if ports.dialect.is_closing and self.lifecycle.state is not State.CLOSING:
            self._platform_closes()
        # Last: a callback may stop the session, or send, before it waits for anything.
        ports.reporter.start_callbacks()

    def _opened(self, dialling: Dialling[ReceivedT]) -> None:
        """Take the connection as open, the first one or another."""
        if dialling.link is None or self.lifecycle.state not in {State.OPENING, State.GAP}:
            return
        if self.lifecycle.state is State.GAP:
            self._ports.log(logging.INFO, "reconnected")
        self.lifecycle.opened(asyncio.get_running_loop().time())
        self._link = dialling.link
        self._ports.outbox.connected(self._link.connection)
        dialling.confirm()
        for part in self._ports.parts:
            part.connected()

    def _platform_closes(self) -> None:
        self.lifecycle.closing()
        self.ending.refuse(SessionLostError(NORMAL_CLOSURE, "the platform is closing the session"))
        if (link := self._link_of_now) is not None:
            keep(begin_later(link.close(), name="avatarwire close"))

    # What ends

    def fail_connection(self, code: int, reason: str) -> None:
        """Take the connection as lost, since the dialect says so: nothing more is heard of it."""
        if self._link is not None and self.lifecycle.state is not State.ENDED:
            self._link.abandon(GOING_AWAY)
            self.link_ended(code, reason)

    def link_ended(self, code: int, reason: str) -> None:
        """Take note that a connection has ended: dial another one, or tell the end."""
        lost = SessionLostError(code, reason and self._ports.dialect.redacted(reason))
        if self._dialling is not None:
            self._dialling.lost(code, lost.reason)
        now_s = asyncio.get_running_loop().time()
        is_final = self._ports.dialect.is_final(lost)
        decision = self.lifecycle.lost(lost, is_final=is_final, now_s=now_s)
        if isinstance(decision, End):
            self.ending.tell(decision)
        elif decision is not None:
            self._ports.log(logging.INFO, "connection lost with close code %d", code)
            self._link = None
            self._dial(decision)
            self._ports.outbox.disconnected(lost)
            for part in self._ports.parts:
                part.gap(lost)

    async def loop_ends(self) -> None:
        """Tell the end, since the event loop ends before the session was stopped."""
        await self.ending.loop_ends()

    # Stop

    async def stop(self, *, leaves: bool = False) -> None:
        """End the session, or leave it to another process; return when it has ended here.

        Raises:
            RuntimeError: called from another event loop than ``start()``.
        """
        if self.lifecycle.state is State.NEW:
            return
        if self.loop is not asyncio.get_running_loop():
            require_gone(self.loop)
            self._link = self._dialling = self._stopping = None
            self.ending.forget()
            self.lifecycle.stopped()
            return
        callback = running_callback()
        if self._stopping is None:
            dialling, self._dialling = self._dialling, None
            link, self._link, ports = self._link, None, self._ports
            self._stopping = Stopping(ports, self.lifecycle, self.ending, dialling, link, leaves)
        elif callback is not None and callback is self._ports.reporter.farewell:
            return  # the stop waits for this very callback
        if callback is not None:
            self._stopping.callers.add(callback)
        await asyncio.shield(self._stopping.task)

    async def wait_closed(self) -> None:
        """Wait until the session has ended; at once when there is none."""
        await self.ending.wait()

    async def wait_stopped(self) -> None:
        """Wait until a stop that is under way is done."""
        while self._stopping is not None and self._stopping.is_under_way:
            await asyncio.shield(self._stopping.task)
