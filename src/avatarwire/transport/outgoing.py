"""What a connection has written and its peer has not taken.

What lies in the kernel cannot be taken back: an interrupt has to wait behind it. So whoever writes
sound asks for room before each write, and there is none while more than a little lies there unsent.
"""

import asyncio
import contextlib
import socket
import sys
from typing import Protocol

from avatarwire.transport.congestion import Congestion
from avatarwire.transport.sendqueue import is_full, least_round_trip_s, unacknowledged_bytes

__all__ = ["UNSENT_MAX_BYTES", "Congested", "Outgoing", "limit_unsent"]

UNSENT_MAX_BYTES = 2048
"""How little must lie unsent for there to be room: 43 ms of sound at 24 kHz."""
LOOK_S = 0.005
"""How often it is looked at while there is none."""

#: What the kernel takes, of whoever does not ask for room, before it asks to wait. Linux asks the
#: more precisely for each write; macOS tells by this alone, and takes all there is nevertheless.
_NOTSENT_LOWAT_BYTES = UNSENT_MAX_BYTES if sys.platform == "darwin" else 2**18
#: Where the kernel has no such limit: what it holds, acknowledged or not.
_SEND_BUFFER_BYTES = 2**15


class Congested(Protocol):
    """Whose words wait."""

    def stalled(self) -> None:
        """Take note that the peer has stopped reading."""


def limit_unsent(transport: asyncio.Transport) -> int:
    """Have the kernel hold little that it has not sent; return the socket's number, or -1."""
    kernel = transport.get_extra_info("socket")
    if kernel is None:
        return -1
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        limit = (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOTSENT_LOWAT_BYTES)
    else:
        limit = (socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    # Where it is no TCP, or the peer has gone, it works all the same: an interrupt is slower there.
    with contextlib.suppress(OSError):
        kernel.setsockopt(*limit)
    return int(kernel.fileno())


class Outgoing:
    """Knows how much of one connection's words has not left, or not arrived.

    Args:
        owner: who is told that the peer has stopped reading.
        transport: where it writes.
        silence_s: seconds in which the peer may take nothing; None: as long as it likes.

    Attributes:
        congestion: what is waited for, while there is no room.
    """

    __slots__ = ("_fd", "_look", "_owner", "_silence_s", "_transport", "congestion")

    def __init__(
        self, owner: Congested, transport: asyncio.Transport, silence_s: float | None
    ) -> None:
        self._owner = owner
        self._transport = transport
        self._silence_s = silence_s
        self._fd = limit_unsent(transport)
        self._look: asyncio.Handle | None = None
        self.congestion: Congestion | None = None

    def unacknowledged_bytes(self) -> int | None:
        """Return how much the peer's system has not acknowledged; None: nothing tells."""
        size_bytes = unacknowledged_bytes(self._fd)
        return None if size_bytes is None else size_bytes + self._transport.get_write_buffer_size()

    @property
    def least_round_trip_s(self) -> float | None:
        """The shortest round trip of late, without what waits on the way; None: nothing tells."""
        return least_round_trip_s(self._fd)

    def has_room(self) -> bool:
        """Return whether little lies unsent; otherwise there is congestion, which ends."""
        if self.congestion is None and self._is_full():
            self.congest()
            # At once for the first time: some loops write only when all callbacks have run.
            self._look = asyncio.get_running_loop().call_soon(self)
        return self.congestion is None

    def congest(self) -> None:
        """Begin to wait, unless it is waited already."""
        if self.congestion is None:
            self.congestion = Congestion(self._silence_s, self._owner.stalled, self._left_bytes)

    def relieve(self) -> None:
        """Wake those who wait: there is room again, or nothing is written any more."""
        if self._look is not None:
            self._look.cancel()
            self._look = None
        congestion, self.congestion = self.congestion, None
        if congestion is not None:
            congestion.resolve()

    def end(self) -> None:
        """Ask the socket nothing more, whose number will be another one's; let the owner go."""
        self._fd = -1
        self.relieve()
        del self._owner

    def __call__(self) -> None:
        """Look whether there is room; a timer calls it."""
        if self._is_full():
            self._look = asyncio.get_running_loop().call_later(LOOK_S, self)
        else:
            self.relieve()

    def _is_full(self) -> bool:
        room_bytes = UNSENT_MAX_BYTES - self._transport.get_write_buffer_size()
        return room_bytes <= 0 or is_full(self._fd, room_bytes)

    def _left_bytes(self) -> int:
        return self.unacknowledged_bytes() or self._transport.get_write_buffer_size()
