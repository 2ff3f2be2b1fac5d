"""An open WebSocket connection: batches of ready-made frames out, whole messages in.

What we send is framed elsewhere and handed to the transport, so it interleaves with pings, pongs
and the close at frame boundaries. What arrives as one frame that is one message never reaches the
library (see ``incoming``); all else is parsed and answered by its protocol without I/O.
"""

import asyncio
from collections.abc import Sequence
from typing import cast

from websockets.exceptions import ConnectionClosed, ProtocolError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol, Side, State

from avatarwire.errors import SessionLostError
from avatarwire.transport.closing import Closing
from avatarwire.transport.connection import Listener
from avatarwire.transport.heartbeat import Heartbeat
from avatarwire.transport.incoming import Incoming
from avatarwire.transport.outgoing import Outgoing
from avatarwire.transport.turnstile import in_turn

__all__ = ["WebSocketConnection"]

_OPEN = State.OPEN
_OF_MESSAGES = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})
#: What every connection has in place of its protocol when it has ended.
_ENDED = Protocol(Side.CLIENT, state=State.CLOSED)


class WebSocketConnection(asyncio.Protocol):
    """An open connection with the port's calls; made by ``opening.connect()``.

    A silent peer ends it with 1011: one of which nothing was heard for ``ping_timeout_s`` seconds
    after a ping, or that took no bytes for ``ping_interval_s + ping_timeout_s``.

    Args:
        protocol: the library's, for what is parsed and answered by its rules.
        transport: where to write, and what is closed at the end.
        max_message_bytes: the longest message.
        ping_interval_s: seconds between pings; None: none are sent, and a peer that falls silent
            or stops reading goes unnoticed.
        ping_timeout_s: seconds that a pong may take.

    Attributes:
        transport: the same.
    """

    __slots__ = (
        "__weakref__",
        "_closing",
        "_end",
        "_end_waiter",
        "_heartbeat",
        "_incoming",
        "_outgoing",
        "_protocol",
        "_round_trip_s",
        "_unanswered_s",
        "transport",
    )

    def __init__(
        self,
        protocol: Protocol,
        transport: asyncio.Transport,
        *,
        max_message_bytes: int,
        ping_interval_s: float | None,
        ping_timeout_s: float,
    ) -> None:
        self.transport: asyncio.Transport = transport
        self._protocol = protocol
        self._incoming = Incoming(self, transport, max_message_bytes)
        self._heartbeat = Heartbeat(self, ping_interval_s, ping_timeout_s)
        silence_s = None if ping_interval_s is None else ping_interval_s + ping_timeout_s
        self._outgoing = Outgoing(self, transport, silence_s)
        # What few connections need is made when it is needed.
        self._closing: Closing | None = None
        self._end_waiter: asyncio.Future[None] | None = None
        self._unanswered_s: float | None = None
        self._round_trip_s: float | None = None
        self._end: SessionLostError | None = None
        self._heartbeat.start()

    # asyncio's callbacks

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on what has arrived, note why it ended, and tell everyone who waits."""
        del exc  # told by the close code 1006
        self._incoming.finish()
        self._protocol.receive_eof()
        self._heartbeat.stop()
        if self._closing is not None:
            self._closing.stop()
        end, self._protocol = _taken_apart(self._protocol), _ENDED
        self._incoming.let_go()
        del self._heartbeat
        self._outgoing.end()
        in_turn(lambda: self._tell_end(end))

    def data_received(self, data: bytes) -> None:
        """Note that the peer is there, and take what it says."""
        self._heartbeat.heard()
        self._incoming.take(data)

    def eof_received(self) -> None:
        """Take all that has arrived; then the end, since the transport closes itself."""
        self._incoming.finish()
        self._protocol.receive_eof()
        self._write_answers()

    def pause_writing(self) -> None:
        """Note that the write buffer is over its high water."""
        self._outgoing.congest()

    def resume_writing(self) -> None:
        """Note that the write buffer is down to its low water."""
        self._outgoing.relieve()

    # The port

    @property
    def close_code(self) -> int | None:
        """Why the connection ended; None until it has."""
        return None if self._end is None else self._end.code

    @property
    def close_reason(self) -> str:
        """The words that came with the close code; empty when there were none."""
        return "" if self._end is None else self._end.reason

    @property
    def buffered_bytes(self) -> int:
        """Bytes accepted by ``write_batch`` that have not left the process yet."""
        return self.transport.get_write_buffer_size()

    def unacknowledged_bytes(self) -> int | None:
        """Return how much the peer's system has not acknowledged; see ``Connection``."""
        return self._outgoing.unacknowledged_bytes()

    @property
    def least_round_trip_s(self) -> float | None:
        """The shortest round trip known, in seconds; None while none is."""
        least_s = self._outgoing.least_round_trip_s
        return self._round_trip_s if least_s is None else least_s

    @property
    def round_trip_s(self) -> float | None:
        """How long the last ping took to be answered, in seconds; None before the first answer."""
        return self._round_trip_s

    def write_batch(self, wire: bytes) -> bool:
        """Write complete, masked frames in one transport write; see ``Connection``."""
        if self._protocol.state is not _OPEN:
            raise _lost(self._end)
        transport = self.transport
        transport.write(wire)
        if transport.is_closing():
            # The write met a dead socket: these bytes went nowhere, and the caller must know.
            raise _lost(self._end)
        return self._outgoing.congestion is None

    def has_room(self) -> bool:
        """Return whether what is written now would leave at once; see ``Connection``."""
        return self._outgoing.has_room()

    async def writable(self) -> None:
        """Return when there is room; see ``Connection``."""
        if self._protocol.state is not _OPEN:
            raise _lost(self._end)
        congestion = self._outgoing.congestion
        if congestion is not None:
            await congestion.wait()
            if self._protocol.state is not _OPEN:
                raise _lost(self._end)

    def listen(self, listener: Listener) -> None:
        """Hand messages on from now; see ``Connection``."""
        self._incoming.listen(listener)
        if self._end is not None:
            self._incoming.end()

    def pause_reading(self) -> None:
        """Hand nothing on and read nothing; see ``Connection``."""
        self._incoming.pause()

    def resume_reading(self) -> None:
        """Read again; see ``Connection``."""
        self._incoming.resume()

    async def wait_closed(self) -> None:
        """Return when the connection has ended; see ``Connection``."""
        if self._end is None:
            if self._end_waiter is None:
                self._end_waiter = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._end_waiter])

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and return when the connection has ended; see ``Connection``."""
        if self._protocol.state is _OPEN:
            try:
                self._protocol.send_close(code, reason)
            except ProtocolError as exc:
                raise ValueError(f"not a close code and reason for the wire: {exc}") from exc
            self._write_answers()
        if self._end is None:
            self._limit_close()
            await self.wait_closed()

    # What the incoming asks for

    def parse(self, data: bytes) -> Sequence[Frame]:
        """Have the library parse received bytes; return the frames of messages."""
        protocol = self._protocol
        protocol.receive_data(data)
        frames = []
        for event in cast("list[Frame]", protocol.events_received()):  # the response came first
            if event.opcode in _OF_MESSAGES:
                frames.append(event)
            elif event.opcode is Opcode.PONG and self._unanswered_s is not None:
                # However much else has come meanwhile.
                self._round_trip_s = asyncio.get_running_loop().time() - self._unanswered_s
                self._unanswered_s = None
        size = self._write_answers()
        if size and self._outgoing.congestion is not None:
            self._outgoing.congestion.count_unread(size)
        self._note_closing()
        return frames

    def refuse(self, code: CloseCode, reason: str) -> None:
        """Fail the connection with a code of ours."""
        self._protocol.fail(code, reason)
        self._write_answers()
        self._note_closing()

    # What the heartbeat asks for

    def send_ping(self) -> bool:
        """Send a ping, unless the close is under way."""
        if self._protocol.state is not _OPEN:
            return False
        self._protocol.send_ping(b"")
        if self._unanswered_s is None:
            self._unanswered_s = self._heartbeat.pinged_at_s
        self._write_answers()
        return True

    def peer_is_silent(self) -> None:
        """End the connection with 1011, unless it is we who do not listen."""
        if self._incoming.is_held_up:
            self._heartbeat.pinged()
        else:
            self._fail("the peer is silent")

    # What the outgoing asks for

    def stalled(self) -> None:
        """End the connection with 1011: the peer takes nothing."""
        self._fail("the peer has stopped reading")

    # Helpers

    def _tell_end(self, end: SessionLostError) -> None:
        self._end = end
        self._incoming.end()
        if self._end_waiter is not None:
            self._end_waiter.set_result(None)

    def _write_answers(self) -> int:
        """Write what the library has to say, while it can leave; return how many bytes it was."""
        wire = b"".join(self._protocol.data_to_send())
        if not wire or self.transport.is_closing():
            return 0
        self.transport.write(wire)
        return len(wire)

    def _fail(self, reason: str) -> None:
        # After the peer's last byte it is only our own that cannot leave; there is nothing to say.
        if self._protocol.state is not State.CLOSED:
            # The frame may not leave, but its state makes 1011 the code that everyone is told.
            self._protocol.fail(CloseCode.INTERNAL_ERROR, reason)
            self._write_answers()
        self._incoming.give_up()
        self.transport.abort()

    def _limit_close(self) -> None:
        if self._closing is None:
            self._closing = Closing(self.transport)

    def _note_closing(self) -> None:
        if self._protocol.state is State.CLOSING:
            self._limit_close()
            if self._protocol.close_rcvd is not None and self._closing is not None:
                self._closing.expect_hang_up()


def _taken_apart(protocol: Protocol) -> SessionLostError:
    """Return the end that whoever closed first decided; its code is 1006 when no one closed.

    The protocol is emptied: it and its parser hold each other, and a thousand of them that end
    together would keep the garbage collector, and with it the event loop, busy for long.
    """
    exc: ConnectionClosed = protocol.close_exc
    vars(protocol).clear()
    first = exc.sent if exc.rcvd is None or exc.rcvd_then_sent is False else exc.rcvd
    if first is None:
        return SessionLostError(int(CloseCode.ABNORMAL_CLOSURE))
    return SessionLostError(int(first.code), first.reason)


def _lost(end: SessionLostError | None) -> SessionLostError:
    """Return an error of the caller's own; before the end is known 1006 stands in for it."""
    if end is None:
        return SessionLostError(CloseCode.ABNORMAL_CLOSURE, "the connection is closing")
    return SessionLostError(end.code, end.reason)
