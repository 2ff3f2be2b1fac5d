"""The port: what a session asks of one open connection, whatever carries it."""

from typing import Protocol

__all__ = ["Connection", "Listener"]


class Listener(Protocol):
    """Who is handed what a connection receives."""

    def received(self, messages: list[str | bytes]) -> None:
        """Take messages, ``str`` for text and ``bytes`` for binary; neither block nor raise."""

    def ended(self) -> None:
        """Take note of the end: nothing more comes, and the close code is known. Do not raise."""


class Connection(Protocol):
    """One open connection that takes framed bytes and gives whole messages.

    A connection is opened by whoever made it, ends once, and is not opened again. Its calls belong
    to one event loop.
    """

    @property
    def close_code(self) -> int | None:
        """Why the connection ended; None until it has.

        It is the peer's code when the peer closed first and ours when we did (1009: a message over
        the limit; 1011: the peer fell silent); 1006 when the connection was cut.
        """
        ...

    @property
    def close_reason(self) -> str:
        """The words that came with the close code; empty when there were none."""
        ...

    @property
    def buffered_bytes(self) -> int:
        """Bytes accepted by ``write_batch`` that have not left the process yet."""
        ...

    def unacknowledged_bytes(self) -> int | None:
        """Return how much ``write_batch`` accepted and the peer's system has not acknowledged.

        None where nothing tells. Behind a proxy the peer is the proxy.
        """

    @property
    def least_round_trip_s(self) -> float | None:
        """The shortest round trip known, in seconds; None while none is."""

    @property
    def round_trip_s(self) -> float | None:
        """How long the last ping took to be answered, in seconds; None before the first answer."""

    def write_batch(self, wire: bytes) -> bool:
        """Write complete client frames, already masked, in one transport write.

        Args:
            wire: one or more whole RFC 6455 messages, as they go on the wire.

        Returns:
            False when too much waits: the bytes are accepted, but the caller should await
            ``writable()`` before it writes more.

        Raises:
            SessionLostError: when the connection is closing or closed. While the closing handshake
                runs the peer's code is not known yet, and 1006 stands in for it.
        """
        ...

    def has_room(self) -> bool:
        """Return whether what is written now would leave at once, or nearly.

        Whoever writes what may have to be taken back asks before each write. False: more than a
        little lies unsent in this process and its system, and ``writable()`` tells when it has
        gone; a write is accepted all the same.
        """
        ...

    async def writable(self) -> None:
        """Return when there is room: at once, or when little lies unsent.

        Raises:
            SessionLostError: when the connection has ended, or ends in the meantime.
        """

    def listen(self, listener: Listener) -> None:
        """Hand on every message from now, those first that have arrived, and tell the end.

        Messages come in the order of their arrival, several at a time when several have arrived.
        The end is told once, after the last of them, also when it came before this call, and before
        ``wait_closed()`` and ``close()`` return. It is called once.

        Args:
            listener: who is told; let go of after the end.
        """

    def pause_reading(self) -> None:
        """Hand on nothing more, and read nothing more than has been read: the peer has to wait.

        At the end of the connection what has been read is handed on all the same.
        """

    def resume_reading(self) -> None:
        """Read again and hand on, what has been read first."""

    async def wait_closed(self) -> None:
        """Return when the connection has ended and its last message has been handed on."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and return when the connection has ended.

        Idempotent. It returns within the connection's close timeout (2 s) even when the peer is
        dead or does not read.

        Args:
            code: what the peer is told.
            reason: words for the peer, at most 123 bytes as UTF-8.

        Raises:
            ValueError: when RFC 6455 does not allow the code or the reason on the wire.
        """
