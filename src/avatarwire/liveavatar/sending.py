"""What every call of an agent stands on: one way to send."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from avatarwire.codec import PcmFramer, client_message
from avatarwire.liveavatar.messages import Event, encode
from avatarwire.session.outbox import BINARY, Outbox

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from avatarwire.liveavatar.config import AvatarAgentConfig

__all__ = ["MAX_BINARY_BYTES", "EventOutbox", "Metadata", "Sender", "framed_audio"]

Metadata: TypeAlias = Mapping[str, Any] | None

#: A larger binary message, header included, makes the platform close the connection.
MAX_BINARY_BYTES = 65_536


class EventOutbox(Outbox):
    """An outbox that takes events: what is checked and written is one step."""

    __slots__ = ()

    def write_event(self, event: Event) -> bool:
        """Write or keep one event; False: await ``writable()`` before more."""
        return self.write_text(encode(event))

    def write_event_now(self, event: Event) -> bool:
        """Write one event to the connection of now; it never waits for another one."""
        return self.write_text_now(encode(event))


def framed_audio(
    framer: PcmFramer, pcm: "Buffer", *, ends: bool, is_shown: bool
) -> tuple[bytes, int, Sequence[bytes]]:
    """Return PCM as masked audio frames, their number, and the frames themselves.

    Args:
        framer: what cuts it, and keeps what is left.
        pcm: what ``PcmFramer.websocket`` takes.
        ends: what is left goes out as a shorter frame.
        is_shown: somebody looks at the frames; otherwise they are never made apart, and not given.
    """
    if is_shown:
        frames = framer.frames(pcm) + (framer.flush() if ends else [])
        return b"".join(map(client_message, frames)), len(frames), frames
    before_bytes = framer.pending_bytes
    wire = framer.websocket(pcm)
    with memoryview(pcm) as view:
        count = (before_bytes + view.nbytes) // framer.frame_bytes
    if ends and framer.pending_bytes:
        wire += framer.flush_websocket()
        count += 1
    return wire, count, ()


class Sender:
    """The agent, as its calls see it; the agent makes what is declared here."""

    _config: "AvatarAgentConfig"
    _outbox: EventOutbox

    async def _send_event(self, event: Event) -> None:
        """Send one text event."""
        await self._settle(self._outbox.write_event(event))

    async def _send_binary(self, message: bytes) -> None:
        """Send one binary message."""
        await self._send_wire(client_message(message), BINARY, 1, (message,))

    async def _send_wire(
        self, wire: bytes, kind: str, count: int, messages: Sequence[bytes]
    ) -> None:
        """Send masked messages in one write; see ``Outbox.write``."""
        await self._settle(self._outbox.write(wire, kind, count, messages))

    async def _settle(self, has_room: bool) -> None:
        """Wait for room after a write that filled the connection's buffer."""
        if not has_room:
            await self._outbox.writable()
