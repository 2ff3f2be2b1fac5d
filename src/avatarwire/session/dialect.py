"""The ports of a session: what a platform fills, and what is told of what happens."""

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from avatarwire.errors import SessionLostError
from avatarwire.session.callbacks import RunningCallback
from avatarwire.session.lifecycle import End
from avatarwire.transport import Connection

__all__ = ["Connect", "Dialect", "Endpoint", "Part", "Permit", "Reporter", "Tap"]

ReceivedT = TypeVar("ReceivedT")

#: Opens a connection; it is called as ``avatarwire.transport.connect`` is.
Connect: TypeAlias = Callable[..., Awaitable[Connection]]

#: Returns when the session is this process's to dial or to stop; raises SessionLostError when it
#: is not any more.
Permit: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Where one connection of a session is dialled.

    Attributes:
        url: a ``ws://`` or ``wss://`` URL; it may hold a token, and no error quotes it.
        name: what errors call it.
        confirmation: the message that makes the session ready, as errors call it.
        timeout_s: seconds for the dial and the confirmation together.
        headers: sent with the request.
        ping_interval_s: seconds between WebSocket pings; None: the dialect has its own.
        ping_timeout_s: seconds that a pong may take.
        max_message_bytes: the longest message taken; a longer one ends the connection with 1009.
        ssl_context: what to trust; None: the system's certificates.
    """

    url: str = field(repr=False)
    name: str
    confirmation: str
    timeout_s: float
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    ping_interval_s: float | None = None
    ping_timeout_s: float = 20.0
    max_message_bytes: int = 2**20
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)


class Dialect(Generic[ReceivedT]):
    """A platform's words: what a session asks of a platform and says to it.

    A platform overrides what it has; the rest does nothing. Messages go in and out without a
    socket, and nothing here decides when a session is dialled, restored or ended.
    """

    @property
    def session_id(self) -> str | None:
        """What logs call the session; None while it has no id."""
        return None

    @property
    def is_ready(self) -> bool:
        """Whether the platform has confirmed the connection.

        Raises:
            AvatarwireError: it has refused to.
        """
        raise NotImplementedError

    @property
    def is_closing(self) -> bool:
        """Whether the platform has said that it is about to end the session."""
        return False

    async def endpoints(self, *, again: bool) -> Sequence[Endpoint]:
        """Return where to dial, best first, with credentials that have not been used.

        Args:
            again: the session exists and has lost its connection.
        """
        raise NotImplementedError

    def greeting(self, endpoint: Endpoint) -> Sequence[bytes]:
        """Forget the last connection; return the text messages that open one to ``endpoint``."""
        del endpoint
        return ()

    def receive(self, message: str | bytes) -> ReceivedT | None:
        """Return what a message means; None when there is nothing to tell."""
        raise NotImplementedError

    def hear(self, messages: list[str | bytes], start: int, most: int) -> Sequence[Any]:
        """Return what the messages from ``start`` on mean while they are the user's sound.

        Sound confirms nothing, closes nothing and is not answered. It is told to the reporter
        alone, by ``hear``; what is no sound goes to ``receive``.

        Args:
            messages: what has come.
            start: the index of the first that has not been taken.
            most: how many to take.

        Returns:
            One value for each message taken.
        """
        del messages, start, most
        return ()

    def replies(self) -> Sequence[bytes]:
        """Return, once, the text messages with which the protocol itself answers."""
        return ()

    def redacted(self, words: str) -> str:
        """Return a peer's words without the secrets that they may quote back at us."""
        return words

    def is_final(self, error: Exception) -> bool:
        """Return whether dialling again is of no use after ``error``."""
        del error
        return False

    async def goodbye(self, say: Callable[[bytes], None]) -> None:
        """Take leave on a connection that is still open, by text messages given to ``say``."""

    async def leave(self) -> None:
        """Let go of what was needed, in place of ``release``: another process goes on with it."""

    async def release(self) -> str | None:
        """Have the platform let go of the session, when its connection has been closed.

        Returns:
            Why it may run the session on; None: it does not.
        """
        return None


class Part(Generic[ReceivedT]):
    """Something of a session that has to know what happens to it; each event is told once."""

    def notice(self, received: ReceivedT) -> None:
        """Take what the platform says."""

    def gap(self, lost: SessionLostError) -> None:
        """The connection is lost, and another one may follow."""

    def connected(self) -> None:
        """There is a connection, the first or another one."""

    def ended(self, lost: SessionLostError) -> None:
        """Nothing can be sent any more, and ``lost`` says why."""


class Reporter(Part[ReceivedT]):
    """The part that tells the program what happens, by its callbacks."""

    @property
    def farewell(self) -> RunningCallback | None:
        """The callback that tells the end, once it has begun."""
        return None

    def retrying(self, attempt: int, delay_s: float) -> None:
        """An attempt to restore the connection begins in ``delay_s`` seconds."""

    def closed(self, end: End) -> None:
        """The session has ended, for good."""

    def hear(self, sound: Sequence[Any]) -> None:
        """Take the user's sound, as the dialect's ``hear`` has returned it.

        Nobody else is told of it, so callbacks may begin.
        """

    def start_callbacks(self) -> None:
        """Start what has been queued: each part has been told of it by now."""

    async def finish(self, callers: set[RunningCallback]) -> None:
        """Wait for callbacks that are to end before ``stop()`` returns, except ``callers``."""


class Tap(Protocol):
    """Looks at every message on the wire."""

    def __call__(self, direction: str, kind: str, data: str | bytes, /) -> None:
        """Take a message; see ``Session.tap``."""
