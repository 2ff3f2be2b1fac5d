"""What is sent, across the connections of one session."""

import asyncio
import copy
import logging
from collections.abc import Callable, Sequence

from avatarwire.codec import client_message
from avatarwire.errors import (
    AvatarwireError,
    BacklogFullError,
    NotConnectedError,
    SessionLostError,
)
from avatarwire.session.dialect import Tap
from avatarwire.transport import Connection

__all__ = ["AUDIO", "BINARY", "TEXT", "Outbox", "SoundLine"]

logger: logging.Logger = logging.getLogger("avatarwire.session")

_NOT_STARTED = NotConnectedError("Not connected — call start() first")

#: What messages are, for counting and for whoever looks at them.
TEXT, BINARY, AUDIO = "text", "binary", "audio"


class Outbox:
    """Writes to the session's connection, or keeps what is written until there is one again.

    What is written while there is none waits, in order; so does what could not be written to a
    connection that turned out to be dead. What was written to a live connection counts as
    delivered. Messages are framed and masked by whoever makes them, many at a time where they can
    be; ``kind``, ``count`` and ``messages`` say beside the bytes what they are.

    Args:
        refusal: what is raised while there is no session.

    Attributes:
        taps: who looks at the messages; shared with what receives.
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
        "_none",
        "_refusal",
        "audio_frames",
        "binaries",
        "events",
        "taps",
        "wire_bytes",
    )

    def __init__(self, refusal: AvatarwireError | None = None) -> None:
        self._none: AvatarwireError = refusal or _NOT_STARTED
        self._refusal: AvatarwireError | None = self._none
        self.taps: tuple[Tap, ...] = ()
        self._connection: Connection | None = None
        # Made when it is needed, as what waits for a change is: see ``docs/performance.md``.
        self._backlog: list[tuple[bytes, str, int, Sequence[bytes]]] | None = None
        self._changed: asyncio.Future[None] | None = None
        self.begin(0, keeps=False)

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

    # What happens to the session

    def begin(self, limit_bytes: int, *, keeps: bool) -> None:
        """Count from zero: another session begins.

        Args:
            limit_bytes: how much may wait for a connection.
            keeps: a lost connection may be followed by another; False: what is sent in between is
                refused.
        """
        self._lost: SessionLostError | None = None
        self._limit_bytes = limit_bytes
        self._keeps = keeps
        self._backlog = None
        self._backlog_bytes = 0
        self.events: int = 0
        self.audio_frames: int = 0
        self.binaries: int = 0
        self.wire_bytes: int = 0

    def connected(self, connection: Connection) -> None:
        """Write to ``connection`` from now on, what has waited first."""
        self._connection = connection
        self._refusal = self._lost = None
        if self._backlog:
            try:
                connection.write_batch(b"".join([wire for wire, *_ in self._backlog]))
            except SessionLostError:
                self._connection = None  # all of it waits on
            else:
                waiting, self._backlog, self._backlog_bytes = self._backlog, None, 0
                for batch in waiting:
                    self._count(*batch)
        self._wake()

    def disconnected(self, lost: SessionLostError) -> None:
        """Keep what is written from now on, or refuse it; those who wait are told ``lost``."""
        self._connection = None
        self._lost = lost
        if not self._keeps:
            self._refusal = self._none

    def refuse(self, lost: SessionLostError, *, is_ours: bool) -> int:
        """Refuse everything from now on; return how many bytes had waited in vain.

        The first reason stays, until our side ends the session too.

        Args:
            lost: what those are told who wait already.
            is_ours: our side ended the session: whoever comes later is told that there is none.
        """
        self._connection = None
        if not isinstance(self._refusal, SessionLostError):
            self._lost = self._refusal = lost
        if is_ours:
            self._refusal = self._none
        dropped_bytes = self._backlog_bytes
        self._backlog = None
        self._backlog_bytes = 0
        self._wake()
        return dropped_bytes

    def require_open(self) -> None:
        """Refuse to go on when nothing can be sent.

        Raises:
            NotConnectedError, SessionLostError: there is no session, or it has ended.
        """
        if self._refusal is not None:
            # Each caller's own: a traceback grows with each raise.
            raise copy.copy(self._refusal)

    # Sending

    def write(self, wire: bytes, kind: str, count: int = 1, messages: Sequence[bytes] = ()) -> bool:
        """Write masked messages now, or keep them; False: await ``writable()`` before more.

        Args:
            wire: whole messages.
            kind: TEXT, AUDIO or BINARY.
            count: how many they are.
            messages: the same messages without frame and mask; needed only while ``taps`` has any.

        Raises:
            NotConnectedError, SessionLostError: there is no session, or it has ended.
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
                self._count(wire, kind, count, messages)
                return has_room
        self.require_open()
        if self._backlog_bytes + len(wire) > self._limit_bytes:
            raise BacklogFullError(self._backlog_bytes, self._limit_bytes)
        if self._backlog is None:
            self._backlog = []
        self._backlog.append((wire, kind, count, messages))
        self._backlog_bytes += len(wire)
        return False

    def write_now(
        self, wire: bytes, kind: str, count: int = 1, messages: Sequence[bytes] = ()
    ) -> bool:
        """Write to the connection of now or not at all; False: await its ``writable()``.

        Raises:
            NotConnectedError: there is no session.
            SessionLostError: there is no connection, or it is dead; nothing is kept.
        """
        if self._connection is None:
            self.require_open()
            raise SessionLostError(reason="the connection is being restored")
        try:
            has_room = self._connection.write_batch(wire)
        except SessionLostError:
            if self._keeps:
                self._connection = None
            raise
        self._count(wire, kind, count, messages)
        return has_room

    def write_text(self, text: bytes) -> bool:
        """Write or keep one text message, as ``write`` does."""
        return self.write(client_message(text, text=True), TEXT, 1, (text,))

    def write_texts(self, texts: Sequence[bytes]) -> bool:
        """Write or keep text messages in one write, as ``write`` does."""
        return self.write(_framed(texts), TEXT, len(texts), texts)

    def write_text_now(self, text: bytes) -> bool:
        """Write one text message to the connection of now, as ``write_now`` does."""
        return self.write_now(client_message(text, text=True), TEXT, 1, (text,))

    def write_texts_now(self, texts: Sequence[bytes]) -> bool:
        """Write text messages to the connection of now in one write, as ``write_now`` does."""
        return self.write_now(_framed(texts), TEXT, len(texts), texts)

    def say(self, message: bytes, connection: Connection) -> None:
        """Write a text message of the protocol's own to ``connection``, and count it nowhere.

        A connection that is ending has no use for it.
        """
        try:
            connection.write_batch(client_message(message, text=True))
        except SessionLostError:
            return
        if self.taps:
            self.show("sent", TEXT, message.decode())

    async def writable(self) -> None:
        """Return when there is a connection with room, and nothing waits.

        Raises:
            NotConnectedError, SessionLostError: the session has ended.
        """
        while True:
            connection = self._connection
            if connection is None:
                await self._change()
                continue
            try:
                await connection.writable()
            except SessionLostError as exc:
                if not self._keeps:
                    raise copy.copy(self._lost or exc) from None
                if self._connection is connection:
                    self._connection = None
            else:
                return

    async def wait_connected(self) -> None:
        """Return when there is a connection.

        Raises:
            NotConnectedError, SessionLostError: there is no session, or it has ended.
        """
        while self._connection is None:
            await self._change()

    def tap(self, look: Tap) -> Callable[[], None]:
        """Show every message to ``look``; return what ends it."""
        self.taps = (*self.taps, look)

        def end() -> None:
            if look in self.taps:
                at = self.taps.index(look)
                self.taps = self.taps[:at] + self.taps[at + 1 :]

        return end

    def show(self, direction: str, kind: str, data: str | bytes) -> None:
        """Pass a message to every tap."""
        for tap in self.taps:
            try:
                tap(direction, kind, data)
            except Exception:
                logger.exception("a tap raised; the session goes on")

    def _count(self, wire: bytes, kind: str, count: int, messages: Sequence[bytes]) -> None:
        self.wire_bytes += len(wire)
        if kind is AUDIO:
            self.audio_frames += count
        elif kind is TEXT:
            self.events += count
        else:
            self.binaries += count
        if self.taps:
            for message in messages:
                if kind is TEXT:
                    self.show("sent", TEXT, message.decode())
                else:
                    self.show("sent", BINARY, message)

    async def _change(self) -> None:
        self.require_open()
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._changed)  # others wait for it too
        if self._refusal is not None:
            raise copy.copy(self._lost or self._refusal)

    def _wake(self) -> None:
        """Wake everyone who waits now, and nobody who comes later."""
        changed, self._changed = self._changed, None
        if changed is not None and not changed.done():
            changed.set_result(None)


def _framed(texts: Sequence[bytes]) -> bytes:
    return b"".join([client_message(text, text=True) for text in texts])


class SoundLine:
    """What a stream of sound is sent through: one connection, and after a gap the next one."""

    __slots__ = ("_connection", "_outbox")

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._connection: Connection | None = None

    async def ready(self) -> None:
        """Return when there is a connection."""
        await self._outbox.wait_connected()

    @property
    def wire_bytes(self) -> int:
        """How much has been written to the session's connections by now."""
        return self._outbox.wire_bytes

    def unacknowledged_bytes(self) -> int | None:
        """Return how much the peer has not acknowledged yet; None: nothing tells."""
        return None if self._connection is None else self._connection.unacknowledged_bytes()

    @property
    def least_round_trip_s(self) -> float | None:
        """How long an acknowledgment takes at the least, in seconds; None: nothing tells."""
        return None if self._connection is None else self._connection.least_round_trip_s

    def has_room(self) -> bool:
        """Return whether what is written now would leave at once."""
        return self._connection is None or self._connection.has_room()

    async def writable(self) -> None:
        """Return when the connection that is full has room; another one has."""
        if self._connection is not None and self._connection is self._outbox.connection:
            await self._connection.writable()
