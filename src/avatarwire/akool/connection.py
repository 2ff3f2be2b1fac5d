"""One connection to one instance: opened, confirmed, kept alive, and ended once."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlencode

from avatarwire import transport
from avatarwire.akool.config import ClientConfig, Instance
from avatarwire.akool.exceptions import AuthenticationError, ConnectionError  # noqa: A004
from avatarwire.akool.messages import Message, Pong, ServerError, Wire
from avatarwire.akool.protocol import WEBSOCKET, AkoolProtocol, Received
from avatarwire.codec import client_message
from avatarwire.errors import ConnectFailedError, SessionLostError
from avatarwire.transport import Connection, Link

__all__ = ["NORMAL_CLOSURE", "AkoolConnection", "server_error"]

_REFUSED_KEY = {401, 403, 4001}
_CLOSE_WORDS = {
    4001: "the API key was refused",
    4003: "the instance is occupied: it takes one connection",
    4004: "reconnected too soon: wait a little",
}
#: The peer is told this when it has fallen silent.
GOING_AWAY = 1001
#: What that is called here, and an end that we asked for.
SILENT = 1011
NORMAL_CLOSURE = 1000
#: How long a loop that was stalled has to read what had arrived.
READ_GRACE_S = 0.01


class AkoolConnection:
    """A connection that knows its protocol; whoever made it decides what to do with it.

    Args:
        config: whose session.
        wire: how messages are built.
        instance: what to dial.
        on_received: called with every message of the protocol.
        on_lost: called with how a confirmed connection has ended, once, whoever ended it; the
            error's code is the close code.
    """

    def __init__(
        self,
        config: ClientConfig,
        wire: Wire,
        instance: Instance,
        on_received: Callable[[Received], None],
        on_lost: Callable[[ConnectionError], None],
    ) -> None:
        self.instance = instance
        self.protocol: AkoolProtocol = AkoolProtocol()
        self.is_open: bool = False
        self._config = config
        self._wire = wire
        self._on_received = on_received
        self._on_lost = on_lost
        self._link = Link(self._dial, self._receive, self._finish)
        self._ended: tuple[int, str] | None = None
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._heartbeat: asyncio.Task[None] | None = None
        self._pong_deadline: asyncio.TimerHandle | None = None
        self._pongs = 0
        self._closing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Dial, and return when the platform has confirmed the session.

        Raises:
            AuthenticationError: the platform refused the key.
            ConnectionError: it could not be opened, or was not confirmed in time.
        """
        try:
            async with asyncio.timeout(self._config.connection_timeout):
                await self._open()
        except BaseException as exc:
            await self.close()
            if isinstance(exc, TimeoutError):
                raise ConnectionError(
                    f"{self._address}: the platform did not confirm the connection within"
                    f" {self._config.connection_timeout:g} s"
                ) from None
            if isinstance(exc, ConnectionError) and exc.code in _REFUSED_KEY:
                raise AuthenticationError(
                    f"the API key was refused: {exc}", code=exc.code, setting="api_key"
                ) from exc
            raise
        self._heartbeat = asyncio.create_task(self._beat(), name="avatarwire heartbeat")

    async def call(self, message: Message, timeout_s: float) -> None:
        """Send a message and wait for its ack.

        Raises:
            ConnectionError: the platform answered with an error, or not in time, or the connection
                ended; its ``code`` is the platform's or the close code.
        """
        acked = self.expect(message.mid)
        try:
            await self.send(message.json)
            await self.wait(acked, timeout_s, "an ack")
        finally:
            self.forget(message.mid)

    def expect(self, what: str) -> asyncio.Future[None]:
        """Give a future of the ack of a mid, or of one of the protocol's constants."""
        future = self._waiting[what] = asyncio.get_running_loop().create_future()
        self.protocol.expect(what)
        return future

    def forget(self, what: str) -> None:
        """Wait for it no longer."""
        self.protocol.forget(what)
        self._waiting.pop(what, None)

    async def wait(self, future: asyncio.Future[None], timeout_s: float, name: str) -> None:
        """Wait for what ``expect`` gave.

        Raises:
            ConnectionError: see ``call``.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await future
            # A future that was done already has not let the handlers of its message begin.
            await asyncio.sleep(0)
        except TimeoutError:
            raise ConnectionError(
                f"{self._address}: the platform did not send {name} within {timeout_s:g} s"
            ) from None

    async def send(self, json: bytes) -> None:
        """Send one text message in one write; wait only while the write buffer is full.

        Raises:
            ConnectionError: the connection has ended.
        """
        if not self.write(client_message(json, text=True)):
            await self.writable()

    def write(self, wire: bytes) -> bool:
        """Send whole messages, framed and masked, in one write.

        Returns:
            False when the write buffer is full: await ``writable()`` before sending more.

        Raises:
            ConnectionError: the connection has ended.
        """
        if self._ended is not None:
            raise self.lost()
        try:
            return self._link.connection.write_batch(wire)
        except SessionLostError as exc:
            raise self.lost(exc) from exc

    async def writable(self) -> None:
        """Return when the write buffer has room.

        Raises:
            ConnectionError: the connection has ended.
        """
        try:
            await self._link.connection.writable()
        except SessionLostError as exc:
            raise self.lost(exc) from exc

    def lost(self, cause: SessionLostError | None = None) -> ConnectionError:
        """Give how the connection has ended, as an error to raise."""
        code, reason = self._ended or ((cause.code, cause.reason) if cause else (1006, ""))
        words = _CLOSE_WORDS.get(code) or self._config.redacted(reason)
        return ConnectionError(
            f"{self._address}: the connection has ended (close code {code}"
            f"{': ' if words else ''}{words})",
            code=code,
        )

    async def close(self) -> None:
        """Close, and return when nothing of the connection is left; idempotent."""
        self._finish(NORMAL_CLOSURE, "")
        await self._link.close()

    # Helpers

    async def _dial(self) -> Connection:
        config = self._config
        query = urlencode({"session_id": config.session_id, "avatar_id": config.avatar_id})
        # The heartbeat is the protocol's own: the platform's servers are not known to answer pings.
        return await transport.connect(
            f"{self.instance.websocket_url}?{query}",
            open_timeout_s=config.connection_timeout,
            headers={"api_key": config.api_key},
            ping_interval_s=None,
            ssl_context=config.ssl_context if self.instance.secure else None,
        )

    async def _open(self) -> None:
        confirmed = self.expect(WEBSOCKET)
        try:
            await self._link.open()
        except ConnectFailedError as exc:
            raise ConnectionError(str(exc), code=exc.status, setting=exc.setting) from exc
        except ValueError as exc:
            raise ConnectionError(f"{self._address} cannot be dialled: {exc}") from exc
        try:
            hello = self._wire.hello(self._config.api_key, self._config.avatar_id)
            if hello is not None:
                await self.send(hello.json)
            await self.send(self._wire.ping())
        except ConnectionError:
            pass  # it is ending already; why is what comes now
        await confirmed
        if not self.is_open:
            raise self.lost()
        if not self._pongs:
            self._await_pong()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._config.heartbeat_interval)
            try:
                # Without waiting for room: a peer that has stopped reading sends no pong either.
                self.write(client_message(self._wire.ping(), text=True))
            except ConnectionError:
                return  # the reader is told the same
            self._await_pong()

    def _await_pong(self) -> None:
        if self._pong_deadline is None:
            loop = asyncio.get_running_loop()
            self._pong_deadline = loop.call_later(self._config.pong_timeout, self._suspect)

    def _suspect(self) -> None:
        # The loop may have been stalled, with the pong unread: it gets a chance to read first.
        loop = asyncio.get_running_loop()
        self._pong_deadline = loop.call_later(READ_GRACE_S, self._silent)

    def _silent(self) -> None:
        self._finish(SILENT, f"no pong within {self._config.pong_timeout:g} s")
        # The peer may take no close either, and nobody is to wait for that.
        self._closing = asyncio.create_task(self._link.close(GOING_AWAY))

    def _receive(self, message: str | bytes) -> None:
        if self._ended is not None:
            return
        received = self.protocol.receive(message)
        if received is None:
            return
        self.is_open = self.protocol.is_connected
        # Before the calls that wait are answered: a handler begins before they return.
        self._on_received(received)
        match received.inbound:
            case Pong():
                self._pongs += 1
                self._cancel_pong_deadline()
            case ServerError() as error:
                for what in received.failed:
                    self._fail(what, server_error(error, self._config))
        for what in received.done:
            future = self._waiting.pop(what)
            if not future.done():
                future.set_result(None)

    def _finish(self, code: int, reason: str) -> None:
        """Take note of the end, the first that is told."""
        if self._ended is not None:
            return
        self._ended = (code, reason)
        self.is_open = self.protocol.is_agora_connected = False
        self._cancel_pong_deadline()
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        if self.protocol.is_connected:
            self._on_lost(self.lost())
        for what in list(self._waiting):
            self._fail(what, self.lost())

    def _fail(self, what: str, error: ConnectionError) -> None:
        future = self._waiting.pop(what)
        if not future.done():
            future.set_exception(error)
            # Whoever waited may be gone; asyncio would log an error that no one fetched.
            future.exception()

    def _cancel_pong_deadline(self) -> None:
        if self._pong_deadline is not None:
            self._pong_deadline.cancel()
            self._pong_deadline = None

    @property
    def _address(self) -> str:
        return f"{self.instance.ip}:{self.instance.port}"


def server_error(error: ServerError, config: ClientConfig) -> ConnectionError:
    """Give the platform's error as the published client words it, without key and token."""
    return ConnectionError(
        f"Server error {error.code}: {config.redacted(error.text)}", code=error.code
    )
