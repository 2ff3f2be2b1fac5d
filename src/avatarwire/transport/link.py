"""One supervised connection: dial, open, listen, close."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from itertools import groupby
from typing import Protocol

from avatarwire._tasks import begin_later
from avatarwire.errors import NotConnectedError, SessionLostError
from avatarwire.transport import loop_end
from avatarwire.transport.connection import Connection

__all__ = ["Link", "Receiver"]

_log = logging.getLogger(__name__)


class Receiver(Protocol):
    """Who is told what comes of a link."""

    def receive(self, messages: list[str | bytes]) -> None:
        """Take one text, or binary messages that followed one another; must not block."""

    def link_ended(self, code: int, reason: str) -> None:
        """Take note of the close code and the reason."""

    async def loop_ends(self) -> None:
        """Take note instead that the event loop ends: no task that begins now may outlast this."""


class Link:
    """Opens a connection, delivers what it receives, and tells once how it ended.

    Messages are delivered as the connection reads them, in arrival order, possibly before
    ``open()`` has returned: text by text, since what one says may decide about the next, and
    binary messages that follow one another in one go. A receiver that raises is logged and does
    not end the connection. When the event loop ends first, the connection is closed with it.

    Args:
        dial: opens a connection; called once, and let go of then.
        receiver: told every message, and the end exactly once for a link that opened, after its
            last message. A link that never opened says so from ``open()`` alone.
    """

    __slots__ = ("_abandoning", "_connection", "_dial", "_dialling", "_loop_end", "_receiver")

    def __init__(self, dial: Callable[[], Awaitable[Connection]], receiver: Receiver) -> None:
        self._dial: Callable[[], Awaitable[Connection]] | None = dial
        self._receiver: Receiver | None = receiver
        self._connection: Connection | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._abandoning: asyncio.Task[None] | None = None
        self._loop_end: loop_end.LoopEnd | None = None

    @property
    def connection(self) -> Connection:
        """The connection to write to; it stays, ended, after the link has ended.

        Raises:
            NotConnectedError: before ``open()`` has succeeded.
        """
        if self._connection is None:
            raise NotConnectedError("the connection is not open yet")
        return self._connection

    async def open(self) -> None:
        """Dial, and return when the connection is open.

        Raises:
            RuntimeError: when called twice; a link opens once.
            SessionLostError: when ``close()`` was called meanwhile.
            Exception: whatever ``dial`` raises.
        """
        dial, self._dial = self._dial, None
        if dial is None:
            raise RuntimeError("a link opens once")
        task = self._dialling = begin_later(self._run(dial), name="avatarwire dial")
        del dial
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            try:
                await self.close()
            except asyncio.CancelledError:
                self.abandon(1000)
                raise
            raise
        self._dialling = None
        if task.cancelled():
            raise SessionLostError(1000, "closed")
        task.result()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, or give up dialling; return when nothing of the link is left.

        Idempotent, and safe from any task, one started by a receiver included.

        Args:
            code: the close code to send.
            reason: words for the peer, at most 123 bytes as UTF-8.
        """
        if self._connection is None and (task := self._dialling) is not None:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()  # the caller of open() may be gone, who would have fetched it
        if self._connection is not None:
            await self._connection.close(code, reason)

    def abandon(self, code: int) -> None:
        """Deliver nothing more and tell no end; close with ``code`` without being waited for."""
        self._receiver = None
        self._abandoning = begin_later(self.close(code), name="avatarwire abandon")

    async def _run(self, dial: Callable[[], Awaitable[Connection]]) -> None:
        self._connection = await dial()
        self._loop_end = loop_end.watch(self)
        self._connection.listen(self)

    # What the connection tells

    def received(self, messages: list[str | bytes]) -> None:
        """Deliver messages."""
        if len(messages) > 1 and str in map(type, messages):
            for batch in _apart(messages):
                self.received(batch)
        elif self._receiver is not None:
            try:
                self._receiver.receive(messages)
            except Exception:
                _log.exception("a message handler failed; the connection goes on")

    def ended(self) -> None:
        """Tell the end."""
        if self._loop_end is not None:
            self._loop_end.discard(self)
        code, reason = self.connection.close_code, self.connection.close_reason
        self._tell_end(1006 if code is None else code, reason)

    async def loop_ends(self) -> None:
        """Close with the event loop, and tell that it ends."""
        receiver, self._receiver = self._receiver, None
        await self.connection.close()
        if receiver is not None:
            await receiver.loop_ends()

    def _tell_end(self, code: int, reason: str) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            try:
                receiver.link_ended(code, reason)
            except Exception:
                _log.exception("the handler of the connection's end failed")


def _apart(messages: list[str | bytes]) -> Iterator[list[str | bytes]]:
    """Yield text by text, and binary messages that followed one another together."""
    for kind, following in groupby(messages, key=type):
        if kind is str:
            for text in following:
                yield [text]
        else:
            yield list(following)
