"""What is sent, across the connections of one session."""

import asyncio
from collections.abc import Callable

from avatarwire.errors import BacklogFullError, SessionLostError
from avatarwire.transport import Connection, count_messages, read_messages

__all__ = ["Outbox"]


class Outbox:
    """Writes to the session's connection, or keeps what is written until there is one again.

    It has the two calls of a connection that senders need. What is written while there is none
    waits, in order; so does what could not be written to a connection that turned out to be dead.
    What was written to a live connection counts as delivered.

    Args:
        limit_bytes: how much may wait.
        keeps: a lost connection may be followed by another; False: its loss is the end.
        tap: called with each message that is written, unmasked; None: nobody looks.

    Attributes:
        events: text messages written.
        audio_frames: audio frames written.
        binaries: other binary messages written.
        wire_bytes: all of it, as on the wire.
    """

    # A tick of the pacer pays for the memory that it touches: without slots it touches more.
    __slots__ = (
        "_backlog",
        "_backlog_bytes",
        "_changed",
        "_connection",
        "_keeps",
        "_limit_bytes",
        "_lost",
        "_tap",
        "audio_frames",
        "binaries",
        "events",
        "wire_bytes",
    )

    def __init__(
        self,
        limit_bytes: int,
        *,
        keeps: bool,
        tap: Callable[[str | bytes], None] | None = None,
    ) -> None:
        self.events: int = 0
        self.audio_frames: int = 0
        self.binaries: int = 0
        self.wire_bytes: int = 0
        self._limit_bytes = limit_bytes
        self._keeps = keeps
        self._tap = tap
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
    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        return self._connection is not None

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

    def write_batch(self, wire: bytes, *, audio_frames: int = 0) -> bool:
        """Write masked messages now, or keep them; False: await ``writable()`` before more.

        Args:
            wire: whole messages.
            audio_frames: how many audio frames they are; 0: whatever they are is counted here.

        Raises:
            SessionLostError: the session has ended for good.
            BacklogFullError: too much waits already; nothing was kept.
        """
        if self._connection is not None:
            try:
                has_room = self._connection.write_batch(wire)
            except SessionLostError:
                if not self._keeps:
                    raise
                self._connection = None
            else:
                self._count(wire, audio_frames)
                return has_room
        if self._lost is not None:
            raise SessionLostError(self._lost.code, self._lost.reason)
        if self._backlog_bytes + len(wire) > self._limit_bytes:
            raise BacklogFullError(self._backlog_bytes, self._limit_bytes)
        self._keep(wire)
        return False

    def write_now(self, wire: bytes, *, audio_frames: int = 0) -> bool:
        """Write to the connection of now or not at all; False: await its ``writable()``.

        Raises:
            SessionLostError: there is no connection, or it is dead; nothing is kept.
        """
        if self._connection is None:
            raise SessionLostError(reason="the connection is being restored")
        try:
            has_room = self._connection.write_batch(wire)
        except SessionLostError:
            if self._keeps:
                self._connection = None
            raise
        self._count(wire, audio_frames)
        return has_room

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

    def _keep(self, wire: bytes) -> None:
        self._backlog.append(wire)
        self._backlog_bytes += len(wire)

    def _count(self, wire: bytes, audio_frames: int) -> None:
        self.wire_bytes += len(wire)
        if audio_frames:
            self.audio_frames += audio_frames
        else:
            events, binaries = count_messages(wire)
            self.events += events
            self.binaries += binaries
        if self._tap is not None:
            for message in read_messages(wire):
                self._tap(message)

    async def _change(self) -> None:
        if self._lost is not None:
            raise SessionLostError(self._lost.code, self._lost.reason)
        await self._changed.wait()

    def _wake(self) -> None:
        # An event that is replaced wakes everyone who waits now, and nobody who comes later.
        self._changed.set()
        self._changed = asyncio.Event()
