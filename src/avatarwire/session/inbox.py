"""What comes, across the connections of one session."""

from typing import Generic, TypeVar

from avatarwire.session.outbox import BINARY, TEXT
from avatarwire.session.ports import Ports

__all__ = ["Inbox"]

#: How much of the user's sound is told in one go: fewer frames than any lane that it enters holds.
MOST_AT_ONCE = 64

ReceivedT = TypeVar("ReceivedT")


class Inbox(Generic[ReceivedT]):
    """Counts what comes, shows it to whoever looks, and has the dialect say what it means.

    The user's sound goes straight to the reporter, all that came at once in one go.

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

    def hear(self, messages: list[str | bytes], start: int) -> int:
        """Tell the messages from ``start`` on while they are the user's sound; return how many."""
        ports = self._ports
        taps = ports.outbox.taps
        # Whoever looks is shown each message before what it means is told.
        sound = ports.dialect.hear(messages, start, 1 if taps else MOST_AT_ONCE)
        heard = len(sound)
        if heard == 1:
            self.payload_bytes += len(messages[start])
            if taps:
                ports.outbox.show("received", BINARY, messages[start])
        elif heard:
            self.payload_bytes += sum(map(len, messages[start : start + heard]))
        if heard:
            ports.reporter.hear(sound)
        return heard

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
