"""The shell around a session's lifecycle: it dials, reads, tells and stops as the rules say.

An engine exists from its owner's construction and runs one session at a time. It knows no
platform: the dialect has the words, the parts do what the platform's sessions consist of.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from avatarwire import transport
from avatarwire.codec import client_message
from avatarwire.errors import (
    AvatarwireError,
    ConnectFailedError,
    HandshakeTimeoutError,
    SessionLostError,
)
from avatarwire.session.callbacks import RunningCallback, running_callback
from avatarwire.session.dialect import Connect, Dialect, Endpoint, Part, Reporter
from avatarwire.session.lifecycle import Dial, End, Lifecycle, Retry, State
from avatarwire.session.outbox import TEXT, Outbox
from avatarwire.transport import Connection, Link

__all__ = ["Engine", "keep"]

NORMAL_CLOSURE = 1000
GOING_AWAY = 1001
#: How long stop() waits for the connection and the platform, whatever they do.
STOP_LIMIT_S = 2.5
#: What is left of it for the platform at the least.
MIN_RELEASE_S = 0.3

ReceivedT = TypeVar("ReceivedT")
T = TypeVar("T")

_kept: set[asyncio.Task[Any]] = set()


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
        endpoint: what was dialled last; None before the first dial.
        is_given_up: the last start ended because ``stop()`` was called meanwhile.
        reconnects: connections after the first, in this session.
        events_received, binaries_received, bytes_received: what came in this session.
    """

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
        self.endpoint: Endpoint | None = None
        self._dialect = dialect
        self._reporter = reporter
        self._parts = tuple(parts)
        self._outbox = outbox
        self._connect = connect
        self._logger = logger
        self._loop: asyncio.AbstractEventLoop | None = None
        self._link: Link | None = None
        self._ready: asyncio.Future[None]
        self._closed: asyncio.Future[None] | None = None
        self._establishing: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._stop_callers: set[RunningCallback] = set()
        self._are_parts_over = True
        self.is_given_up: bool = False
        self._count_from_zero()

    def _count_from_zero(self) -> None:
        self.reconnects: int = -1
        self.events_received: int = 0
        self.binaries_received: int = 0
        self.bytes_received: int = 0
        self.backlog_lost_bytes: int = 0

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
        return self._loop is not None and self._loop.is_closed()

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop of the last session; None before the first."""
        return self._loop

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
        task = self._establishing
        begun_here = task is None or task.done()
        if task is None or task.done():
            task = self._begin(retry, attempts)
        try:
            await asyncio.shield(task)
        except BaseException as exc:
            stopped = isinstance(exc, asyncio.CancelledError) and task.cancelled()
            caller = asyncio.current_task()
            if begun_here or not isinstance(exc, asyncio.CancelledError):
                await self.stop()
            if stopped and not (caller is not None and caller.cancelling()):
                self.is_given_up = True
                raise SessionLostError(NORMAL_CLOSURE, "stop() was called during start()") from None
            raise

    def _begin(self, retry: Retry, attempts: int) -> asyncio.Task[None]:
        loop = self._loop = asyncio.get_running_loop()
        self._count_from_zero()
        self.is_given_up = False
        self._link = self._stopping = None
        self._closed = loop.create_future()
        self._are_parts_over = False
        return self._establish_later(self.lifecycle.start(retry, attempts))

    def _establish_later(self, dial: Dial) -> asyncio.Task[None]:
        work = self._establish(dial)
        self._establishing = keep(asyncio.create_task(work, name="avatarwire connect"))
        return self._establishing

    async def _establish(self, dial: Dial) -> None:
        """Dial until a connection is confirmed, or the rules say that it is over."""
        try:
            await self._dial_until_confirmed(dial)
        except (asyncio.CancelledError, AvatarwireError):
            raise
        except Exception as exc:
            self._logger.exception("restoring a connection failed unexpectedly: the session ends")
            self._end(End(1006, f"an unexpected {type(exc).__name__}", exc))
            raise

    async def _dial_until_confirmed(self, dial: Dial) -> None:
        again = self.lifecycle.state is State.GAP
        endpoints: list[Endpoint] = []
        while True:
            if again and not endpoints:
                self._reporter.retrying(dial.attempt, dial.delay_s)
            await asyncio.sleep(dial.delay_s)
            try:
                if not endpoints:
                    endpoints.extend(await self._dialect.endpoints(again=again))
                await self._open(endpoints.pop(0), again=again)
            except (AvatarwireError, OSError) as exc:
                self._log(logging.INFO, "attempt %d failed: %s", dial.attempt, exc)
                decision = self.lifecycle.failed(
                    exc, is_final=self._dialect.is_final(exc), has_more=bool(endpoints)
                )
                if isinstance(decision, Dial):
                    dial = decision
                    continue
                if again or self._link is not None:
                    self._end(decision)
                raise
            else:
                return

    async def _open(self, endpoint: Endpoint, *, again: bool) -> None:
        """Dial one endpoint, and return when the platform has confirmed."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + endpoint.timeout_s
        greeting = self._dialect.greeting(endpoint)
        self.endpoint = endpoint
        self._log(logging.INFO, "connecting to %s", endpoint.name)
        self._ready = loop.create_future()

        async def dial() -> Connection:
            connection = await (self._connect or transport.connect)(
                endpoint.url,
                open_timeout_s=endpoint.timeout_s,
                headers=endpoint.headers,
                ping_interval_s=endpoint.ping_interval_s,
                ping_timeout_s=endpoint.ping_timeout_s,
                ssl_context=endpoint.ssl_context,
            )
            # Before anything is read: what is received may have more sent.
            for message in greeting:
                self._say_on(connection, message)
            return connection

        # Before it is open: messages may arrive before ``open()`` has returned.
        link = self._link = Link(dial, self._receive, self._link_ended)
        try:
            await link.open()
        except BaseException as exc:
            self._link = None
            if isinstance(exc, ValueError):
                raise ConnectFailedError(f"{endpoint.name} is unusable: {exc}") from exc
            raise
        try:
            await self._wait_confirmed(endpoint, deadline_s)
            self._require_not_ended()
        except BaseException:
            self._ready.cancel()
            # 1000 would tell the platform that the session is over.
            await link.close(GOING_AWAY if again else NORMAL_CLOSURE)
            raise

    async def _wait_confirmed(self, endpoint: Endpoint, deadline_s: float) -> None:
        try:
            async with asyncio.timeout_at(deadline_s):
                await asyncio.shield(self._ready)
        except TimeoutError:
            # Cancelled: a confirmation that is read from now on, while we close, opens nothing.
            # One that was read in this very moment counts.
            if self._ready.cancel():
                raise HandshakeTimeoutError(
                    f"Timed out waiting for {endpoint.confirmation} after {endpoint.timeout_s}s"
                ) from None
            self._ready.result()

    def _require_not_ended(self) -> None:
        if self.lifecycle.end is not None:
            raise self.lifecycle.end.error

    # Receive

    def _receive(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self.events_received += 1
            self.bytes_received += len(message) if message.isascii() else len(message.encode())
            kind = TEXT
        else:
            self.binaries_received += 1
            self.bytes_received += len(message)
            kind = "binary"
        if self._outbox.taps:
            self._outbox.show("received", kind, message)
        dialect = self._dialect
        received = dialect.receive(message)
        for reply in dialect.replies():
            self._say(reply)
        if received is None:
            return
        if self._ready.done():
            self.lifecycle.is_fruitful = True
        else:
            self._look_for_confirmation()
        for part in self._parts:
            part.notice(received)
        if dialect.is_closing and self.lifecycle.state is not State.CLOSING:
            self._platform_closes()
        # Last: a callback may stop the session, or send, before it waits for anything.
        self._reporter.start_callbacks()

    def _look_for_confirmation(self) -> None:
        """Take the connection as open, the first one or another, if the platform says so."""
        try:
            if not self._dialect.is_ready:
                return
        except AvatarwireError as exc:
            self._ready.set_exception(exc)
            return
        if self._link is None or self.lifecycle.state not in {State.OPENING, State.GAP}:
            return
        if self.lifecycle.state is State.GAP:
            self._log(logging.INFO, "reconnected")
        self.lifecycle.opened(asyncio.get_running_loop().time())
        self.reconnects += 1
        self._outbox.connected(self._link.connection)
        self._ready.set_result(None)
        for part in self._parts:
            part.connected()

    def _platform_closes(self) -> None:
        self.lifecycle.closing()
        lost = SessionLostError(NORMAL_CLOSURE, "the platform is closing the session")
        self._refuse(lost)
        self._end_parts(lost)
        if self._link is not None:
            keep(asyncio.create_task(self._link.close(), name="avatarwire close"))

    def _say(self, message: bytes) -> None:
        """Write a message of the protocol's own; a connection that is ending has no use for it."""
        if self._link is not None:
            self._say_on(self._link.connection, message)

    def _say_on(self, connection: Connection, message: bytes) -> None:
        try:
            connection.write_batch(client_message(message, text=True))
        except SessionLostError:
            return
        if self._outbox.taps:
            self._outbox.show("sent", TEXT, message.decode())

    # End

    def fail_connection(self, code: int, reason: str) -> None:
        """Take the connection as lost, since the dialect says so: nothing more is heard of it."""
        link = self._link
        if link is not None and self.lifecycle.state is not State.ENDED:
            link.abandon(GOING_AWAY)
            self._link_ended(code, reason)

    def _link_ended(self, code: int, reason: str) -> None:
        reason = self._dialect.redacted(reason)
        lost = SessionLostError(code, reason)
        if not self._ready.done():
            self._ready.set_exception(
                SessionLostError(code, reason or f"before {self._confirmation}")
            )
            # Nobody waits for it when the attempt has already failed for another cause.
            self._ready.exception()
        decision = self.lifecycle.lost(
            lost, is_final=self._dialect.is_final(lost), now_s=asyncio.get_running_loop().time()
        )
        if isinstance(decision, End):
            self._end(decision)
        elif decision is not None:
            self._log(logging.INFO, "connection lost with close code %d", code)
            self._outbox.disconnected(lost)
            for part in self._parts:
                part.gap(lost)
            self._establish_later(decision)

    @property
    def _confirmation(self) -> str:
        return "" if self.endpoint is None else self.endpoint.confirmation

    def _end(self, decision: End) -> None:
        """Tell the end, once."""
        if self.lifecycle.state is State.ENDED or self._closed is None:
            return
        end = self.lifecycle.ended(decision)
        self._log(logging.INFO, "ended with close code %d", end.code)
        self._refuse(end.error)
        self._end_parts(end.error)
        try:
            self._reporter.closed(end)
        finally:
            self._settle()

    def _refuse(self, lost: SessionLostError) -> None:
        dropped_bytes = self._outbox.refuse(lost, is_ours=self.lifecycle.is_ours)
        self.backlog_lost_bytes += dropped_bytes
        if dropped_bytes:
            self._log(logging.WARNING, "%d bytes waited for a connection in vain", dropped_bytes)

    def _end_parts(self, lost: SessionLostError) -> None:
        if not self._are_parts_over:
            self._are_parts_over = True
            for part in self._parts:
                part.ended(lost)

    def _log(self, level: int, words: str, *args: object) -> None:
        self._logger.log(level, "session %s: %s", self._dialect.session_id, words % args)

    def _settle(self) -> None:
        """Let go of everyone who waits for the session."""
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    async def wait_closed(self) -> None:
        """Wait until the session has ended; at once when there is none."""
        if self._closed is not None:
            await asyncio.shield(self._closed)

    async def wait_closed_or(self, future: asyncio.Future[None], timeout_s: float) -> None:
        """Wait for a future, but not longer than the session, or than ``timeout_s`` seconds."""
        closed: list[asyncio.Future[None]] = [] if self._closed is None else [self._closed]
        await asyncio.wait(
            [future, *closed], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )

    async def wait_stopped(self) -> None:
        """Wait until a stop that is under way is done."""
        while self._stopping is not None and not self._stopping.done():
            await asyncio.shield(self._stopping)

    @property
    def is_stopping(self) -> bool:
        """Whether a stop is under way."""
        return self._stopping is not None and not self._stopping.done()

    async def stop(self) -> None:
        """End the session; every caller returns when it has ended."""
        if self.lifecycle.state is State.NEW:
            return
        if self._loop is not asyncio.get_running_loop():
            self._stop_elsewhere()
            return
        callback = running_callback()
        if callback is not None:
            if callback is self._reporter.farewell and self._stopping is not None:
                return  # the stop waits for this very callback
            self._stop_callers.add(callback)
        if self._stopping is None:
            lost = SessionLostError(NORMAL_CLOSURE, "stop() was called")
            was_open = self.lifecycle.state is State.OPEN
            self.lifecycle.stop()
            self._refuse(lost)
            self._end_parts(lost)
            work = self._stop(says_goodbye=was_open)
            self._stopping = keep(asyncio.create_task(work, name="avatarwire stop"))
        await asyncio.shield(self._stopping)

    def _stop_elsewhere(self) -> None:
        """Forget a session whose event loop is gone; it cannot be told anything any more.

        Raises:
            RuntimeError: the loop is there, and not the one of the caller.
        """
        if self._loop is not None and not self._loop.is_closed():
            raise RuntimeError(
                "stop() was called from another event loop than start():"
                " use call_threadsafe(agent.stop())"
            )
        self._link = self._establishing = self._stopping = self._closed = None
        self._stop_callers.clear()
        self._outbox.refuse(SessionLostError(reason="the event loop is gone"), is_ours=True)
        self.lifecycle.stopped()

    async def _stop(self, *, says_goodbye: bool) -> None:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + STOP_LIMIT_S
        try:
            was_cancelled = await self._give_up_establishing()
            # In this order: the platform drops what it has not read once it is told to stop.
            if self._link is not None:
                if says_goodbye and self.lifecycle.state is State.CLOSING:
                    await self._dialect.goodbye(self._say)
                await self._link.close()
            if self._link is not None or was_cancelled:
                self._end(End(NORMAL_CLOSURE, ""))  # where there was no connection to tell it
            release = keep(asyncio.create_task(self._dialect.release(), name="avatarwire release"))
            # A platform that takes its time is told in the background; ours is not to wait for it.
            await asyncio.wait([release], timeout=max(MIN_RELEASE_S, deadline_s - loop.time()))
            await self._reporter.finish(self._stop_callers)
        finally:
            self._settle()
            self._stop_callers.clear()
            self.lifecycle.stopped()

    async def _give_up_establishing(self) -> bool:
        """Cancel the attempt that is under way; return whether there was one."""
        establishing = self._establishing
        if establishing is None or establishing.done():
            return establishing is not None and establishing.cancelled()
        establishing.cancel()
        await asyncio.wait([establishing])
        return establishing.cancelled()


def keep(task: asyncio.Task[T]) -> asyncio.Task[T]:
    """Hold a task until it is done, since the event loop holds it weakly; return the task."""
    _kept.add(task)
    task.add_done_callback(_kept.discard)
    # What it raised is told to whoever waits; nobody may be left to.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task
