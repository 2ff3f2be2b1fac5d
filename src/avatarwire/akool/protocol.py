"""One connection's conversation with Akool, without a socket.

Messages go in, what they mean comes out. The protocol also keeps which calls wait for what, so that
an answer is matched to its call, and an error to the call that it is about, or to all that wait.
Source: the wire protocol of Akool, "Envelope messages".
"""

import logging
from dataclasses import dataclass, field
from typing import Any

from avatarwire.akool.messages import (
    Ack,
    AgoraConnected,
    Inbound,
    ServerError,
    WebSocketConnected,
    decode,
    parse,
)

__all__ = ["AGORA", "WEBSOCKET", "AkoolProtocol", "Received"]

logger: logging.Logger = logging.getLogger("avatarwire.akool")

# What a call waits for when it is not the ack of a mid; no mid begins like this.
WEBSOCKET = "*websocket_connected"
AGORA = "*agora_connected"


@dataclass(frozen=True, slots=True)
class Received:
    """What one message means.

    Attributes:
        message: the message as it came.
        inbound: the same, typed.
        done: what has been waited for and has come.
        failed: what has been waited for and will not come, because of the error in ``inbound``.
    """

    message: dict[str, Any] = field(repr=False)
    inbound: Inbound
    done: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()


class AkoolProtocol:
    """The client's side of one connection.

    Attributes:
        is_connected: the platform has confirmed the session.
        is_agora_connected: the avatar is in its Agora channel.
        refusal: the platform's error before it has confirmed anything; None without one.
        ignored: how many messages were passed over, by cause.
    """

    def __init__(self) -> None:
        self.ignored: dict[str, int] = {}
        self._waiting: set[str] = set()
        self.begin()

    def begin(self) -> None:
        """Forget the last connection; a new one begins. What calls wait for is theirs to forget."""
        self.is_connected: bool = False
        self.is_agora_connected: bool = False
        self.refusal: ServerError | None = None
        self.ignored.clear()

    def expect(self, what: str) -> None:
        """Note that a call waits: for the ack of a mid, or one of this module's constants."""
        self._waiting.add(what)

    def forget(self, what: str) -> None:
        """Note that nobody waits for it any more."""
        self._waiting.discard(what)

    def receive(self, message: str | bytes) -> Received | None:
        """Take one message in; None when it is none of the protocol's."""
        if isinstance(message, bytes):
            self._ignore("a binary message")
            return None
        try:
            decoded = decode(message)
        except ValueError:
            # The decoder's words quote the message; a log holds no payload.
            self._ignore("text that is not a JSON message")
            return None
        inbound = parse(decoded)
        done, failed = set[str](), set[str]()
        match inbound:
            case WebSocketConnected():
                self.is_connected = True
                done = self._waiting & {WEBSOCKET}
            case AgoraConnected():
                self.is_agora_connected = True
                done = self._waiting & {AGORA}
            case Ack(mid):
                done = self._waiting & {mid}
            case ServerError(mids=mids):
                if not self.is_connected:
                    self.refusal = inbound
                failed = self._waiting.intersection(mids) or self._waiting.copy()
        self._waiting -= done | failed
        return Received(decoded, inbound, frozenset(done), frozenset(failed))

    def _ignore(self, cause: str) -> None:
        self.ignored[cause] = self.ignored.get(cause, 0) + 1
        if self.ignored[cause] == 1:
            logger.warning("the platform sent %s: passed over; told once, then counted", cause)
