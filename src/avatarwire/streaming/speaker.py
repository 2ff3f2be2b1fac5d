"""The port: what a turn of speech asks of a platform, whatever its words are."""

from typing import Protocol

__all__ = ["Speaker"]


class Speaker(Protocol):
    """Says one turn on one platform.

    Every call writes at once, in the order of the calls, and returns False when the connection's
    buffer is over its high water (``pause`` says something else): what was written is accepted, but
    ``writable()`` should be awaited before more audio. Each raises ``ConnectionError`` when nothing
    can be sent any more.
    None may call back into the turn's stream.
    """

    async def ready(self) -> None:
        """Return when a turn can be opened: a connection that was lost may be on its way back."""

    def start(self) -> bool:
        """Open the turn.

        Raises:
            RuntimeError: another turn is open.
        """
        ...

    def restart(self) -> bool:
        """Open the turn again, on another connection or after a pause."""
        ...

    def pause(self) -> bool:
        """Stop what is playing; the turn stays open here, and goes on by ``restart``.

        It returns whether the platform drops what it has not played:
        False: it plays on, and nothing was said.

        Raises:
            RuntimeError: another turn is open; nothing was sent.
        """
        ...

    def say(self, pcm: bytes | memoryview) -> bool:
        """Send whole frames of PCM, or what is left for the turn's last, shorter one."""
        ...

    def finish(self) -> bool:
        """Say that the turn has no more audio."""
        ...

    def abandon(self) -> bool:
        """Say once that the turn has ended; while there is no connection, say it later."""
        ...

    def interrupt(self, scope: str | None) -> bool:
        """Stop what is playing, and abandon the turn; later, while there is no connection.

        Raises:
            ValueError: ``scope`` is unknown; nothing was sent.
        """
        ...

    @property
    def wire_bytes(self) -> int:
        """How much has been written to the session's connections by now."""
        ...

    def unacknowledged_bytes(self) -> int | None:
        """Return how much of it the peer has not acknowledged yet; None: nothing tells."""

    @property
    def least_round_trip_s(self) -> float | None:
        """How long an acknowledgment takes at the least, in seconds; None: nothing tells."""

    def has_room(self) -> bool:
        """Return whether what is written now would leave at once; else ``writable()`` tells."""
        ...

    async def writable(self) -> None:
        """Return when the connection has room."""
