"""One supervised connection: dial, open, listen, close."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from avatarwire.errors import NotConnectedError, SessionLostError
from avatarwire.transport.connection import Connection

__all__ = ["Link"]

_log = logging.getLogger(__name__)


class Link:
    """Opens a connection, delivers what it receives, and tells once how it ended.

    One task of the link's own dials, and ends with the connection. Messages are delivered as the
    connection reads them, one after the other in arrival order, possibly before ``open()`` has
    returned. A handler that raises is logged and does not end the connection.

    Args:
        dial: opens a connection; called once, and let go of then.
        on_message: called with every message; must not block.
        on_end: called with the close code and the reason, exactly once for a link that opened,
            after its last message. A link that never opened says so from ``open()`` alone.
    """

    def __init__(
        self,
        dial: Callable[[], Awaitable[Connection]],
        on_message: Callable[[str | bytes], None],
        on_end: Callable[[int, str], None],
    ) -> None:
        self._dial = dial
        self._on_message = on_message
        self._on_end = on_end
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._abandoning: asyncio.Task[None] | None = None

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
        if self._task is not None:
            raise RuntimeError("a link opens once")
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(opened))

        # A task that is cancelled before its first step never runs its own handlers.
        def closed(_: asyncio.Task[None]) -> None:
            _fail(opened, SessionLostError(1000, "closed"))

        self._task.add_done_callback(closed)
        try:
            await asyncio.shield(opened)
        except asyncio.CancelledError:
            await self.close()
            raise
        finally:
            self._task.remove_done_callback(closed)  # an open link keeps nothing of its opening

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, or give up dialling; return when nothing of the link is left.

        Idempotent, and safe from any task, one started by a handler included.

        Args:
            code: the close code to send.
            reason: words for the peer, at most 123 bytes as UTF-8.
        """
        if self._task is None:
            return
        if self._connection is None:
            self._task.cancel()
        else:
            await self._connection.close(code, reason)
        await asyncio.wait([self._task])

    def abandon(self, code: int) -> None:
        """Deliver nothing more and tell no end; close with ``code`` without being waited for."""
        self._on_message = lambda _: None
        self._on_end = lambda _code, _reason: None
        self._abandoning = asyncio.create_task(self.close(code), name="avatarwire abandon")

    async def _run(self, opened: asyncio.Future[None]) -> None:
        dial, self._dial = self._dial, _dialled
        try:
            connection = await dial()
        except Exception as exc:
            _fail(opened, exc)
            return
        self._connection = connection
        opened.set_result(None)
        del dial, opened
        code, reason = 1006, ""
        try:
            connection.listen(self._deliver)
            await connection.wait_closed()
            code, reason = connection.close_code or code, connection.close_reason
        finally:
            # Also when this task is cancelled with its loop: the socket must not outlive it.
            await connection.close()
            try:
                self._on_end(code, reason)
            except Exception:
                _log.exception("the handler of the connection's end failed")

    def _deliver(self, messages: list[str | bytes]) -> None:
        for message in messages:
            try:
                self._on_message(message)
            except Exception:
                _log.exception("a message handler failed; the connection goes on")


async def _dialled() -> Connection:
    raise RuntimeError("a link opens once")


def _fail(opened: asyncio.Future[None], exc: Exception) -> None:
    if not opened.done():
        opened.set_exception(exc)
        # The caller of open() may be gone; asyncio would log an error that no one fetched.
        opened.exception()
