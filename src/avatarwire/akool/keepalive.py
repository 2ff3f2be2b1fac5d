"""Akool's heartbeat: pings of the protocol's own, and what follows when none is answered."""

from collections.abc import Callable

from avatarwire.akool.config import ClientConfig
from avatarwire.akool.messages import Pong, Wire
from avatarwire.akool.protocol import Received
from avatarwire.errors import AvatarwireError, SessionLostError
from avatarwire.session.dialect import Part
from avatarwire.session.outbox import Outbox
from avatarwire.transport import Heartbeat

__all__ = ["Keepalive"]

#: What the end of a connection is called whose peer has fallen silent.
SILENT = 1011


class Keepalive(Part[Received]):
    """Pings the platform while there is a connection.

    Args:
        config: its ``heartbeat_interval`` and ``pong_timeout``.
        wire: how messages are built.
        outbox: what they are sent through.
        fail_connection: takes the connection as lost, with a code and a reason.
    """

    def __init__(
        self,
        config: ClientConfig,
        wire: Wire,
        outbox: Outbox,
        fail_connection: Callable[[int, str], None],
    ) -> None:
        self._config = config
        self._wire = wire
        self._outbox = outbox
        self._fail_connection = fail_connection
        self._heartbeat: Heartbeat | None = None
        self._is_first_answered = False

    def notice(self, received: Received) -> None:
        """Take note of a pong; the first may come before the confirmation."""
        if isinstance(received.inbound, Pong):
            if self._heartbeat is None:
                self._is_first_answered = True
            else:
                self._heartbeat.heard()

    def connected(self) -> None:
        """Begin: the first ping has been sent with the greeting."""
        config = self._config
        self._heartbeat = Heartbeat(self, config.heartbeat_interval, config.pong_timeout)
        if self._is_first_answered:
            self._heartbeat.start()
        else:
            self._heartbeat.pinged()

    def gap(self, lost: SessionLostError) -> None:
        """Stop until there is another connection."""
        self.ended(lost)

    def ended(self, lost: SessionLostError) -> None:
        """Stop."""
        del lost
        self._is_first_answered = False
        if self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None

    # What the heartbeat asks for

    def send_ping(self) -> bool:
        """Send a ping without waiting for room: a peer that stopped reading answers none either."""
        try:
            self._outbox.write_text_now(self._wire.ping())
        except AvatarwireError:
            return False  # the reader is told the same
        return True

    def peer_is_silent(self) -> None:
        """Take the connection as lost."""
        self._fail_connection(SILENT, f"no pong within {self._config.pong_timeout:g} s")
