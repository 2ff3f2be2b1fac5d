"""What every call of an agent stands on: one way to the connection."""

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from avatarwire.codec import client_message
from avatarwire.errors import NotConnectedError
from avatarwire.liveavatar.messages import Event, encode
from avatarwire.session.outbox import Outbox

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from avatarwire.liveavatar.config import AvatarAgentConfig
    from avatarwire.transport import Connection

__all__ = ["MAX_BINARY_BYTES", "Metadata", "Outlet", "Sender", "SoundLine", "framed"]

Metadata: TypeAlias = Mapping[str, Any] | None

#: A larger binary message, header included, makes the platform close the connection.
MAX_BINARY_BYTES = 65_536


def framed(event: Event) -> bytes:
    """Give a text event as a masked WebSocket message."""
    return client_message(encode(event), text=True)


class Outlet:
    """Writes at once, and waits apart from that: what is checked and written is one step.

    Args:
        require_open: an agent's method that gives what to send through, or raises when nothing can
            be sent now. It is held weakly: an agent that is let go leaves no cycle.
    """

    def __init__(self, require_open: Callable[[], Outbox]) -> None:
        self._require_open = weakref.WeakMethod(require_open)

    def require_open(self) -> Outbox:
        """Give what to send through.

        Raises:
            NotConnectedError, SessionLostError: nothing can be sent now.
        """
        require_open = self._require_open()
        if require_open is None:
            raise NotConnectedError("the agent is gone")
        return require_open()

    def write(self, wire: bytes, *, audio_frames: int = 0) -> bool:
        """Write masked messages; False when ``writable`` should be awaited before more.

        Args:
            wire: whole messages.
            audio_frames: how many audio frames they are; 0: whatever they are is counted.

        Raises:
            NotConnectedError, SessionLostError: nothing was written.
        """
        return self.require_open().write_batch(wire, audio_frames=audio_frames)

    def write_event(self, event: Event) -> bool:
        """Write one text event, as ``write`` does."""
        return self.write(framed(event))

    def write_event_now(self, event: Event) -> bool:
        """Write one text event to the connection of now; it never waits for another one.

        Raises:
            NotConnectedError, SessionLostError: nothing was written.
        """
        return self.require_open().write_now(framed(event))

    async def writable(self) -> None:
        """Return when the connection's buffer has room."""
        await self.require_open().writable()


class SoundLine:
    """What a stream of sound is sent through: one connection, and after a gap the next one."""

    __slots__ = ("_connection", "_outbox", "_outlet")

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._outbox: Outbox
        self._connection: Connection | None = None

    async def ready(self) -> None:
        """Return when there is a connection."""
        self._outbox = self._outlet.require_open()
        await self._outbox.wait_connected()

    async def writable(self) -> None:
        """Return when the connection that is full has room; another one has."""
        if self._connection is not None and self._connection is self._outbox.connection:
            await self._connection.writable()


class Sender(ABC):
    """The agent, as its calls see it."""

    _config: "AvatarAgentConfig"

    def __init__(self) -> None:
        self._outlet = Outlet(self._require_open)

    @abstractmethod
    def _require_open(self) -> Outbox:
        """Give what to send through, or raise when nothing can be sent now."""

    @abstractmethod
    def _keep_ms(self) -> float | None:
        """Give how much sound is kept for another connection; None: a stream has only one."""

    async def _send_event(self, event: Event) -> None:
        """Send one text event."""
        await self._settle(self._outlet.write_event(event))

    async def _send_binary(self, message: "Buffer") -> None:
        """Send one binary message."""
        await self._send_wire(client_message(message))

    async def _send_wire(self, wire: bytes, *, audio_frames: int = 0) -> None:
        """Send masked WebSocket messages as they are, in one write."""
        await self._settle(self._outlet.write(wire, audio_frames=audio_frames))

    async def _settle(self, has_room: bool) -> None:
        """Wait for room after a write that filled the connection's buffer."""
        if not has_room:
            await self._outlet.writable()
