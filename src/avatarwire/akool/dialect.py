"""Akool's words: which instances are dialled, what opens a session there, and how it is left.

Source: the wire protocol of Akool, "Discovery", "Connection" and "Envelope messages".
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from avatarwire import transport
from avatarwire.akool.acks import Acks, server_error
from avatarwire.akool.config import ClientConfig, Instance
from avatarwire.akool.discovery import discover, ordered
from avatarwire.akool.exceptions import (
    AkoolStreamingAvatarError,
    AuthenticationError,
    ConnectionError,  # noqa: A004 - the published name
    ServiceDiscoveryError,
)
from avatarwire.akool.messages import EnvelopeWire, Wire
from avatarwire.akool.protocol import AkoolProtocol, Received
from avatarwire.errors import (
    ConnectFailedError,
    HandshakeTimeoutError,
    RestError,
    SessionLostError,
)
from avatarwire.session.dialect import Dialect, Endpoint
from avatarwire.session.outbox import Outbox
from avatarwire.transport import SecretBytes

__all__ = ["AkoolDialect", "AkoolEndpoint"]

#: How long the goodbye waits for its ack at the most.
LEAVE_TIMEOUT_S = 5.0
_REFUSED_KEY = {401, 403, 4001}
_CLOSE_WORDS = {
    4001: "the API key was refused",
    4003: "the instance is occupied: it takes one connection",
    4004: "reconnected too soon: wait a little",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class AkoolEndpoint(Endpoint):
    """One instance of the platform, as a place to dial."""

    instance: Instance


class AkoolDialect(Dialect[Received]):
    """One client's conversation with the platform.

    Args:
        config: whose session.
        wire: how messages are built.
        outbox: what they are sent through.

    Attributes:
        protocol: what has been received on the connection of now.
        acks: the calls that wait for the platform's answers.
        instance: what was dialled last; None before the first dial.
        available_count: how many instances there were to choose from.
    """

    def __init__(self, config: ClientConfig, wire: Wire, outbox: Outbox) -> None:
        self.protocol: AkoolProtocol = AkoolProtocol()
        self.acks: Acks = Acks(config, self.protocol, outbox, named=self.named)
        self.instance: Instance | None = None
        self.available_count: int = 0
        self._config = config
        self._wire = wire
        self._is_again = False
        self._failed: set[tuple[str, int]] = set()

    @property
    def session_id(self) -> str | None:
        """The session's id, the same for every connection."""
        return self._config.session_id

    @property
    def is_ready(self) -> bool:
        """Whether the platform has confirmed the session.

        Raises:
            ConnectionError: it has answered with an error instead.
        """
        if self.protocol.refusal is not None:
            raise server_error(self.protocol.refusal, self._config)
        return self.protocol.is_connected

    async def endpoints(self, *, again: bool) -> Sequence[Endpoint]:
        """Return the instances that are available, those that have failed last.

        Raises:
            AuthenticationError: the platform refused the key.
            ServiceDiscoveryError: discovery failed, or named no available instance.
        """
        config = self._config
        self._is_again = again
        if again and self.instance is not None:
            self._failed.add((self.instance.ip, self.instance.port))
        direct = config.direct_instance()
        if direct is not None:
            candidates = [direct]
        else:
            try:
                async with transport.shared_client(config.ssl_context) as client:
                    instances = await discover(client, config)
            except RestError as exc:
                raise ServiceDiscoveryError(
                    f"service discovery failed: {exc}", setting=exc.setting
                ) from exc
            candidates = ordered(instances, config, self._failed)
        self.available_count = len(candidates)
        return [self._endpoint(instance) for instance in candidates]

    def _endpoint(self, instance: Instance) -> AkoolEndpoint:
        config = self._config
        query = urlencode({"session_id": config.session_id, "avatar_id": config.avatar_id})
        # No WebSocket pings: the platform's servers are not known to answer them.
        return AkoolEndpoint(
            url=f"{instance.websocket_url}?{query}",
            name=f"{instance.ip}:{instance.port}",
            confirmation="websocket_connected",
            timeout_s=config.connection_timeout,
            headers={"api_key": config.api_key},
            max_message_bytes=config.max_message_bytes,
            ssl_context=config.ssl_context if instance.secure else None,
            instance=instance,
        )

    def greeting(self, endpoint: Endpoint) -> Sequence[bytes]:
        """Forget the last connection; return what authenticates the next, and a ping."""
        if isinstance(endpoint, AkoolEndpoint):
            self.instance = endpoint.instance
            # Until it is confirmed.
            self._failed.add((endpoint.instance.ip, endpoint.instance.port))
        self.protocol.begin()
        hello = self._wire.hello(self._config.api_key, self._config.avatar_id)
        if hello is None:
            return [self._wire.ping()]
        # With the key in it.
        return [SecretBytes(hello.json), self._wire.ping()]

    def receive(self, message: str | bytes) -> Received | None:
        """Return what a message means; None when it is none of the protocol's."""
        received = self.protocol.receive(message)
        if self.protocol.is_connected:
            self._failed.clear()
            self._is_again = True
        return received

    def redacted(self, words: str) -> str:
        """Return the platform's words without the key and the channel's token."""
        return self._config.redacted(words)

    def is_final(self, error: Exception) -> bool:
        """Return whether dialling again is of no use.

        A refused key is final. Whoever connects is told at once, too, when discovery fails or the
        one server that was named; when a lost connection is replaced, that is one attempt.
        """
        if isinstance(self.named_for_opening(error), AuthenticationError):
            return True
        return not self._is_again and self.is_told_at_once(error)

    def is_told_at_once(self, error: Exception) -> bool:
        """Return whether another dial cannot help someone who connects."""
        return isinstance(error, ServiceDiscoveryError) or bool(self._config.server_url)

    async def goodbye(self, say: Callable[[bytes], None]) -> None:
        """Leave the channel, and wait for the ack, but not for long."""
        if not isinstance(self._wire, EnvelopeWire):
            return
        message = self._wire.leave("client_disconnect")
        timeout_s = min(LEAVE_TIMEOUT_S, self._config.message_timeout)
        acked = self.acks.expect(message.mid)
        try:
            say(message.json)
            await asyncio.wait([acked], timeout=timeout_s)
        finally:
            self.acks.forget(message.mid)

    def named(self, error: Exception) -> AkoolStreamingAvatarError:
        """Return an error of the engine under the published client's name and words."""
        address = "" if self.instance is None else f"{self.instance.ip}:{self.instance.port}"
        match error:
            case AkoolStreamingAvatarError():
                named = error
            case SessionLostError(code=code, reason=reason):
                words = _CLOSE_WORDS.get(code) or reason
                named = ConnectionError(
                    f"{address}: the connection has ended (close code {code}"
                    f"{': ' if words else ''}{words})",
                    code=code,
                )
            case ConnectFailedError(status=status, setting=setting):
                named = ConnectionError(str(error), code=status, setting=setting)
            case HandshakeTimeoutError():
                named = ConnectionError(
                    f"{address}: the platform did not confirm the connection within"
                    f" {self._config.connection_timeout:g} s"
                )
            case _:
                named = ConnectionError(f"{address}: {error}")
        return named

    def named_for_opening(self, error: Exception) -> AkoolStreamingAvatarError:
        """Return the error of an opening that failed: a key that was refused has its own name."""
        named = self.named(error)
        if isinstance(named, ConnectionError) and named.code in _REFUSED_KEY:
            refused = AuthenticationError(
                f"the API key was refused: {named}", code=named.code, setting="api_key"
            )
            refused.__cause__ = named
            return refused
        return named
