"""What comes, across the connections of one session."""

from typing import Generic, TypeVar

from avatarwire.session.outbox import BINARY, TEXT
from avatarwire.session.ports import Ports

__all__ = ["Inbox"]

ReceivedT = TypeVar("ReceivedT")


class Inbox(Generic[ReceivedT]):
    """Counts what comes, shows it to whoever looks, and has the dialect say what it means.

    Args:
        ports: whose dialect, and whose taps.

    Attributes:
        events: text messages received.
        payload_bytes: bytes of all messages received.
    """

    __slots__ = ("_ports", "events", "payload_bytes")

    def __init__(self, ports: Ports[ReceivedT]) -> None:
        self._ports = ports
        self.begin()

    def begin(self) -> None:
        """Count from zero: another session begins."""
        self.events: int = 0
        self.payload_bytes: int = 0

    def take(self, message: str | bytes) -> ReceivedT | None:
        """Return what a message means; None when there is nothing to tell."""
        outbox = self._ports.outbox
        if isinstance(message, str):
            self.events += 1
            self.payload_bytes += len(message) if message.isascii() else len(message.encode())
            if outbox.taps:
                outbox.show("received", TEXT, message)
        else:
            self.payload_bytes += len(message)
            if outbox.taps:
                outbox.show("received", BINARY, message)
        return self._ports.dialect.receive(message)
