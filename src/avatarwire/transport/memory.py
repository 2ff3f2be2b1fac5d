"""A connection without a network: two ends in one process, for tests."""

import asyncio
from collections import deque

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from avatarwire.errors import SessionLostError
from avatarwire.transport.connection import Listener
from avatarwire.transport.outgoing import UNSENT_MAX_BYTES

__all__ = ["MemoryConnection", "memory_pair"]

_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class MemoryConnection:
    """One end of a pair; it has the port's calls and some to make trouble with.

    What one end writes is parsed as RFC 6455 and received by the other, in order: by ``receive()``,
    or by whoever listens, in the event loop's next iteration. An end that is paused takes nothing:
    what is written to it counts as buffered by the writer.

    Attributes:
        writes: every batch written at this end, in order.
    """

    def __init__(self, side: Side, write_limit_bytes: int) -> None:
        self.writes: list[bytes] = []
        self._peer = self
        # The parser reads what the other end writes, so it has this end's side.
        self._parser = Protocol(side, max_size=None)
        self._high = write_limit_bytes
        self._low = write_limit_bytes // 4
        self._full = False
        self._paused = False
        self._backlog: deque[bytes] = deque()
        self._backlog_bytes = 0
        self._fragments: list[bytes] = []
        self._text = False
        self._inbox: deque[str | bytes] = deque()
        self._listener: Listener | None = None
        self._end: tuple[int, str] | None = None
        self._changed = asyncio.Event()

    # The port

    @property
    def close_code(self) -> int | None:
        """Why this end ended; None until it has."""
        return None if self._end is None else self._end[0]

    @property
    def close_reason(self) -> str:
        """The words that came with the close code."""
        return "" if self._end is None else self._end[1]

    @property
    def buffered_bytes(self) -> int:
        """Bytes written at this end that the other has not taken, because it is paused."""
        return self._peer._backlog_bytes  # noqa: SLF001 - the ends are one thing

    def unacknowledged_bytes(self) -> int | None:
        """Return the same: what the other end has not taken."""
        return self.buffered_bytes

    @property
    def least_round_trip_s(self) -> float | None:
        """None: nothing is pinged here."""
        return None

    @property
    def round_trip_s(self) -> float | None:
        """None: nothing is pinged here."""
        return None

    def write_batch(self, wire: bytes) -> bool:
        """Write complete frames to the other end; see ``Connection``."""
        if self._end is not None:
            raise SessionLostError(*self._end)
        self.writes.append(wire)
        self._peer._arrive(wire)  # noqa: SLF001 - the ends are one thing
        self._full = self._full or self.buffered_bytes > self._high
        return not self._full

    def has_room(self) -> bool:
        """Return whether what is written now would be taken at once; see ``Connection``."""
        self._full = self._full or self.buffered_bytes >= UNSENT_MAX_BYTES
        return not self._full

    async def writable(self) -> None:
        """Return when the buffer has room; see ``Connection``."""
        while self._end is None and self._full:
            await self._wait()
        if self._end is not None:
            raise SessionLostError(*self._end)

    def listen(self, listener: Listener) -> None:
        """Hand messages on from now; see ``Connection``."""
        self._listener = listener
        self._hand_on()
        if self._end is not None:
            self._tell_end()

    def pause_reading(self) -> None:
        """Stop reading at this end."""
        self._paused = True

    def resume_reading(self) -> None:
        """Read again at this end, what was written meanwhile first."""
        self._paused = False
        self._hand_on_soon()
        while self._backlog:
            wire = self._backlog.popleft()
            self._backlog_bytes -= len(wire)
            self._parse(wire)
        self._peer._drained()  # noqa: SLF001 - the ends are one thing

    async def wait_closed(self) -> None:
        """Return when the connection has ended; see ``Connection``."""
        while self._end is None or self._listener is not None:
            await self._wait()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End both ends with this code; see ``Connection``."""
        self._finish(code, reason)
        self._peer._finish(code, reason)  # noqa: SLF001 - the ends are one thing
        await self.wait_closed()

    # For tests

    def send(self, message: str | bytes) -> None:
        """Send the other end a whole message, without framing it."""
        if self._end is not None:
            raise SessionLostError(*self._end)
        self._peer._deliver(message)  # noqa: SLF001 - the ends are one thing

    async def receive(self) -> str | bytes:
        """Return the next whole message; nobody may listen.

        Raises:
            SessionLostError: at the end, after the last message.
        """
        while not self._inbox:
            if self._end is not None:
                raise SessionLostError(*self._end)
            await self._wait()
        return self._inbox.popleft()

    def cut(self) -> None:
        """End both ends without a close frame: 1006."""
        self._finish(1006, "")
        self._peer._finish(1006, "")  # noqa: SLF001 - the ends are one thing

    # Helpers

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _arrive(self, wire: bytes) -> None:
        if self._paused:
            self._backlog.append(wire)
            self._backlog_bytes += len(wire)
        else:
            self._parse(wire)

    def _parse(self, wire: bytes) -> None:
        self._parser.receive_data(wire)
        if self._parser.parser_exc is not None:
            raise AssertionError("the bytes written are not RFC 6455") from self._parser.parser_exc
        for frame in self._parser.events_received():
            if not isinstance(frame, Frame) or frame.opcode not in _DATA:
                continue
            if frame.opcode is not Opcode.CONT:
                self._text = frame.opcode is Opcode.TEXT
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                payload = b"".join(self._fragments)
                self._fragments.clear()
                self._deliver(payload.decode() if self._text else payload)

    def _deliver(self, message: str | bytes) -> None:
        self._inbox.append(message)
        self._changed.set()
        self._hand_on_soon()

    def _hand_on_soon(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().call_soon(self._hand_on)

    def _hand_on(self) -> None:
        """Hand on what is here; at the end also while this end is paused."""
        if not self._inbox or self._listener is None:
            return
        if not self._paused or self._end is not None:
            messages = list(self._inbox)
            self._inbox.clear()
            self._listener.received(messages)

    def _tell_end(self) -> None:
        self._hand_on()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.ended()
        self._changed.set()

    def _drained(self) -> None:
        if self.buffered_bytes <= self._low:
            self._full = False
            self._changed.set()

    def _finish(self, code: int, reason: str) -> None:
        if self._end is None:
            self._end = (code, reason)
            self._changed.set()
            if self._listener is not None:
                asyncio.get_running_loop().call_soon(self._tell_end)


def memory_pair(*, write_limit_bytes: int = 2**15) -> tuple[MemoryConnection, MemoryConnection]:
    """Make two connected ends.

    Args:
        write_limit_bytes: high water of either end's buffer, in bytes; the low water is a quarter.

    Returns:
        The client's end, which writes masked frames, and the server's, which writes unmasked ones.
    """
    client = MemoryConnection(Side.CLIENT, write_limit_bytes)
    server = MemoryConnection(Side.SERVER, write_limit_bytes)
    client._peer, server._peer = server, client  # noqa: SLF001 - the ends are one thing
    return client, server
