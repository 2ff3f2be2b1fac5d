"""What is sent, across the connections of one session."""

import asyncio

from avatarwire.errors import BacklogFullError, SessionLostError
from avatarwire.transport import Connection

__all__ = ["Outbox"]


class Outbox:
    """Writes to the session's connection, or keeps what is written until there is one again.

    It has the two calls of a connection that senders need. What is written while there is none
    waits, in order; so does what could not be written to a connection that turned out to be dead.
    What was written to a live connection counts as delivered.

    Args:
        limit_bytes: how much may wait.
        keeps: a lost connection may be followed by another; False: its loss is the end.
    """

    def __init__(self, limit_bytes: int, *, keeps: bool) -> None:
        self._limit_bytes = limit_bytes
        self._keeps = keeps
        self._connection: Connection | None = None
        self._backlog: list[bytes] = []
        self._backlog_bytes = 0
        self._lost: SessionLostError | None = None
        self._changed = asyncio.Event()

    @property
    def connection(self) -> Connection | None:
        """The connection of now; None while there is none."""
        return self._connection

    @property
    def backlog_bytes(self) -> int:
        """What waits for a connection."""
        return self._backlog_bytes

    def connected(self, connection: Connection) -> None:
        """Write to ``connection`` from now on, what has waited first."""
        self._connection = connection
        if self._backlog:
            waiting, self._backlog = b"".join(self._backlog), []
            self._backlog_bytes = 0
            self.write_batch(waiting)
        self._wake()

    def disconnected(self) -> None:
        """Keep what is written from now on."""
        self._connection = None

    def ended(self, lost: SessionLostError) -> int:
        """Refuse everything from now on; give how many bytes had waited in vain."""
        self._connection = None
        self._lost = self._lost or lost
        dropped_bytes = self._backlog_bytes
        self._backlog.clear()
        self._backlog_bytes = 0
        self._wake()
        return dropped_bytes

    def write_batch(self, wire: bytes) -> bool:
        """Write masked messages now, or keep them; False: await ``writable()`` before more.

        Raises:
            SessionLostError: the session has ended for good.
            BacklogFullError: too much waits already; nothing was kept.
        """
        if self._connection is not None:
            try:
                return self._connection.write_batch(wire)
            except SessionLostError:
                if not self._keeps:
                    raise
                self._connection = None
        if self._lost is not None:
            raise SessionLostError(self._lost.code, self._lost.reason)
        if self._backlog_bytes + len(wire) > self._limit_bytes:
            raise BacklogFullError(self._backlog_bytes, self._limit_bytes)
        self._backlog.append(wire)
        self._backlog_bytes += len(wire)
        return False

    async def writable(self) -> None:
        """Return when there is a connection with room, and nothing waits.

        Raises:
            SessionLostError: the session has ended for good.
        """
        while True:
            connection = self._connection
            if connection is None:
                await self._change()
                continue
            try:
                await connection.writable()
            except SessionLostError:
                if not self._keeps:
                    raise
                if self._connection is connection:
                    self._connection = None
            else:
                return

    async def wait_connected(self) -> None:
        """Return when there is a connection.

        Raises:
            SessionLostError: the session has ended for good.
        """
        while self._connection is None:
            await self._change()

    async def _change(self) -> None:
        if self._lost is not None:
            raise SessionLostError(self._lost.code, self._lost.reason)
        await self._changed.wait()

    def _wake(self) -> None:
        # An event that is replaced wakes everyone who waits now, and nobody who comes later.
        self._changed.set()
        self._changed = asyncio.Event()
