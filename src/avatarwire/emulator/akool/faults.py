"""What can be made to go wrong on an Akool platform, on demand."""

from collections import deque
from dataclasses import dataclass, field

from avatarwire.emulator.server import HTML
from avatarwire.emulator.slow_link import LinkFaults

__all__ = ["AkoolFaults", "DiscoveryFault"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryFault:
    """How one question for Akool's instances goes wrong.

    Attributes:
        status: the HTTP status of the answer.
        body: what is answered: text as it is, anything else as JSON.
        no_answer: keep the client waiting until it gives up or the emulator ends (with 503).
    """

    status: int = 200
    body: object = HTML
    no_answer: bool = False


@dataclass(slots=True, kw_only=True)
class AkoolFaults(LinkFaults):
    """What goes wrong on an Akool platform from now on; change it at any time.

    ``LinkFaults`` has what makes the link slow.

    Attributes:
        discoveries: one entry for each coming question that fails, oldest first.
        handshakes: one entry for each coming connection that is refused, oldest first: an HTTP
            status, or from 1000 a close code that is sent right after the upgrade.
        withhold: what is never sent: some of ``websocket_connected``, ``agora_connected``, ``ack``
            and ``pong``.
        errors: by kind of message (``set-params``, ``interrupt``, ``leave_channel``, ``chat`` and
            so on), the code and the words of the error that answers it instead of an ack.
        errors_name_mid: such an error carries the mid of the message that it answers.
        close_after_messages: close a connection once this many messages have arrived on it; None:
            never.
        close_code: the close code used for that.
    """

    discoveries: deque[DiscoveryFault] = field(default_factory=deque)
    handshakes: deque[int] = field(default_factory=deque)
    withhold: set[str] = field(default_factory=set)
    errors: dict[str, tuple[int, str]] = field(default_factory=dict)
    errors_name_mid: bool = False
    close_after_messages: int | None = None
    close_code: int = 1011
