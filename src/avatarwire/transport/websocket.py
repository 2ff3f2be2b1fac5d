"""A WebSocket connection: the ``websockets`` library plus batched writes of ready-made frames.

The library does the handshake, TLS, proxies, pings, pongs and the close; what we send is framed
elsewhere and handed to the same asyncio transport, so it interleaves with the library's control
frames at frame boundaries.

The URL of a live session carries a one-time token in its path or query. It reaches the wire and
nothing else: errors name ``host:port`` only, causes are rebuilt where the library's own would quote
the URL or the server's answer, and the library's DEBUG records are never made.
"""

import asyncio
import functools
import ipaddress
import logging
import ssl
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as _websockets_connect
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, ProtocolError
from websockets.frames import CloseCode
from websockets.protocol import State

from avatarwire.errors import ConnectFailedError, SessionLostError, SettingError
from avatarwire.transport.heartbeat import Heartbeat
from avatarwire.transport.secrets import are_legal

__all__ = ["WebSocketConnection", "connect"]

CLOSE_TIMEOUT_S = 2.0
"""How long ``close()`` waits for a peer before it cuts the connection."""

HANG_UP_S = 0.05
"""How long a peer that has said goodbye may take to hang up before we do."""

_OPEN = State.OPEN


class _NoWireDump(logging.LoggerAdapter[logging.Logger]):
    """A logger that is never enabled for DEBUG, whatever the application configures.

    At DEBUG the library logs the request line, with its token, and the payload of every message.
    A level on the logger would not do: ``logging.config`` resets it when it configures a parent.
    """

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name in the standard library
        return level > logging.DEBUG and super().isEnabledFor(level)


_library_log = _NoWireDump(logging.getLogger("avatarwire.transport.websockets"), {})


class WebSocketConnection(ClientConnection):
    """A client connection with the port's calls; made by ``connect()``.

    A silent peer ends it with 1011: one of which nothing was heard for ``ping_timeout`` seconds
    after a ping, or that took no bytes for ``ping_interval + ping_timeout``. The library's own
    keepalive is not used: it takes a loop that has stalled for a silent peer, since it looks at
    the clock before it looks at what has arrived, and it waits for room to write without a limit.
    """

    # Found faster than among the library's own attributes: those are too many to share a layout.
    __slots__ = (
        "_aw_close_timeout_s",
        "_aw_close_timer",
        "_aw_end",
        "_aw_full",
        "_aw_hang_up_timer",
        "_aw_heartbeat",
        "_aw_protocol",
        "_aw_round_trip_s",
        "_aw_silence_s",
        "_aw_stall_timer",
        "_aw_transport",
        "_aw_unanswered_s",
        "_aw_waiters",
    )

    def __init__(
        self,
        protocol: ClientProtocol,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        write_limit: int | tuple[int, int | None] = 2**15,
    ) -> None:
        super().__init__(
            protocol,
            ping_interval=None,
            ping_timeout=None,
            close_timeout=close_timeout,
            max_queue=max_queue,
            write_limit=write_limit,
        )
        self._aw_protocol = protocol
        self._aw_heartbeat = Heartbeat(self, ping_interval, ping_timeout)
        self._aw_silence_s = (
            None if ping_interval is None or ping_timeout is None else ping_interval + ping_timeout
        )
        self._aw_close_timeout_s = close_timeout
        self._aw_transport: asyncio.Transport
        self._aw_full = False
        self._aw_waiters: set[asyncio.Future[None]] = set()
        self._aw_stall_timer: asyncio.TimerHandle | None = None
        self._aw_close_timer: asyncio.TimerHandle | None = None
        self._aw_hang_up_timer: asyncio.TimerHandle | None = None
        self._aw_unanswered_s: float | None = None
        self._aw_round_trip_s: float | None = None
        self._aw_end: SessionLostError | None = None

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, to write to it directly."""
        self._aw_transport = cast("asyncio.Transport", transport)
        super().connection_made(transport)
        self._aw_heartbeat.start()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note why it ended and wake everyone who waits for room."""
        super().connection_lost(exc)
        self._aw_full = False
        self._aw_heartbeat.stop()
        for timer in (self._aw_stall_timer, self._aw_close_timer, self._aw_hang_up_timer):
            if timer is not None:
                timer.cancel()
        self._aw_end = _ending(self._aw_protocol.close_exc)
        self._aw_wake()

    def data_received(self, data: bytes) -> None:
        """Note that the peer is there, or that it is about to leave."""
        self._aw_heartbeat.heard()
        super().data_received(data)
        if self._aw_protocol.state is State.CLOSING:
            self._aw_limit_close()
            if self._aw_protocol.close_rcvd is not None and self._aw_hang_up_timer is None:
                # Our answer is written and nothing more comes, but the peer may never hang up.
                self._aw_hang_up_timer = asyncio.get_running_loop().call_later(
                    HANG_UP_S, self._aw_transport.close
                )

    def acknowledge_pings(self, data: bytes) -> None:
        """Note how long the answer to a ping took, whatever else has come meanwhile."""
        super().acknowledge_pings(data)
        if self._aw_unanswered_s is not None:
            self._aw_round_trip_s = asyncio.get_running_loop().time() - self._aw_unanswered_s
            self._aw_unanswered_s = None

    def pause_writing(self) -> None:
        """Note that the write buffer is over its high water."""
        super().pause_writing()
        self._aw_full = True
        if self._aw_silence_s is not None:
            loop = asyncio.get_running_loop()
            self._aw_stall_timer = loop.call_later(self._aw_silence_s, self._aw_stalled)

    def resume_writing(self) -> None:
        """Note that the write buffer is down to its low water."""
        super().resume_writing()
        self._aw_full = False
        if self._aw_stall_timer is not None:
            self._aw_stall_timer.cancel()
            self._aw_stall_timer = None
        self._aw_wake()

    # The port

    @property
    def close_code(self) -> int | None:
        """Why the connection ended, as ``receive()`` tells it; None until it has."""
        return None if self._aw_end is None else self._aw_end.code

    @property
    def close_reason(self) -> str:
        """The words that came with the close code; empty when there were none."""
        return "" if self._aw_end is None else self._aw_end.reason

    @property
    def buffered_bytes(self) -> int:
        """Bytes accepted by ``write_batch`` that have not left the process yet."""
        return self._aw_transport.get_write_buffer_size()

    @property
    def round_trip_s(self) -> float | None:
        """How long the last ping took to be answered, in seconds; None before the first answer."""
        return self._aw_round_trip_s

    def write_batch(self, wire: bytes) -> bool:
        """Write complete, masked frames in one transport write; see ``Connection``."""
        if self._aw_protocol.state is not _OPEN:
            raise self._aw_lost()
        transport = self._aw_transport
        transport.write(wire)
        if transport.is_closing():
            # The write met a dead socket: these bytes went nowhere, and the caller must know.
            raise self._aw_lost()
        return not self._aw_full

    async def writable(self) -> None:
        """Return when the write buffer has room; see ``Connection``."""
        if self._aw_protocol.state is not _OPEN:
            raise self._aw_lost()
        if self._aw_full:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._aw_waiters.add(waiter)
            try:
                await waiter
            finally:
                self._aw_waiters.discard(waiter)
            if self._aw_protocol.state is not _OPEN:
                raise self._aw_lost()

    async def receive(self) -> str | bytes:
        """Return the next whole message; see ``Connection``."""
        try:
            return await self.recv()
        except ConnectionClosed as exc:
            raise _ending(exc) from exc

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and return when the connection has ended; see ``Connection``."""
        if self._aw_end is not None:
            return
        # The library's own limit starts only after the close frame fits in the write buffer, which
        # with a peer that does not read is never. The timer outlives a cancelled close().
        self._aw_limit_close()
        try:
            await super().close(code, reason)
        except ProtocolError as exc:
            if self._aw_close_timer is not None:
                self._aw_close_timer.cancel()
                self._aw_close_timer = None
            raise ValueError(f"not a close code and reason for the wire: {exc}") from exc

    # Helpers; the prefix keeps them apart from whatever the library names its own.

    def _aw_lost(self) -> SessionLostError:
        end = self._aw_end
        if end is None:
            return SessionLostError(CloseCode.ABNORMAL_CLOSURE, "the connection is closing")
        return SessionLostError(end.code, end.reason)

    def _aw_wake(self) -> None:
        for waiter in self._aw_waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _aw_stalled(self) -> None:
        self._aw_fail("the peer has stopped reading")

    def _aw_fail(self, reason: str) -> None:
        # After the peer's last byte it is only our own that cannot leave; there is nothing to say.
        if self._aw_protocol.state is not State.CLOSED:
            # The frame may not leave, but its state makes 1011 the code that everyone is told.
            self._aw_protocol.fail(CloseCode.INTERNAL_ERROR, reason)
            self._aw_transport.writelines(self._aw_protocol.data_to_send())
        self._aw_transport.abort()

    def _aw_limit_close(self) -> None:
        if self._aw_close_timer is None and self._aw_close_timeout_s is not None:
            loop = asyncio.get_running_loop()
            self._aw_close_timer = loop.call_later(
                self._aw_close_timeout_s, self._aw_transport.abort
            )

    # What the heartbeat asks for

    def send_ping(self) -> bool:
        """Send a ping, unless the handshake is under way, or the close."""
        if self._aw_protocol.state is not _OPEN:
            return False
        self._aw_protocol.send_ping(b"")
        if self._aw_unanswered_s is None:
            self._aw_unanswered_s = self._aw_heartbeat.pinged_at_s
        self._aw_transport.writelines(self._aw_protocol.data_to_send())
        return True

    def peer_is_silent(self) -> None:
        """End the connection with 1011."""
        self._aw_fail("the peer is silent")


def _ending(exc: ConnectionClosed) -> SessionLostError:
    """Whoever closed first decides the code; 1006 when no one did."""
    first = exc.sent if exc.rcvd is None or exc.rcvd_then_sent is False else exc.rcvd
    if first is None:
        return SessionLostError(int(CloseCode.ABNORMAL_CLOSURE))
    return SessionLostError(int(first.code), first.reason)


async def connect(
    url: str,
    *,
    open_timeout_s: float,
    headers: Mapping[str, str] | None = None,
    ping_interval_s: float | None = 5.0,
    ping_timeout_s: float = 20.0,
    max_message_bytes: int = 2**20,
    write_limit_bytes: int = 2**15,
    ssl_context: ssl.SSLContext | None = None,
) -> WebSocketConnection:
    """Open a WebSocket connection.

    A proxy of the environment is used, except for loopback hosts. Messages are not compressed.

    Args:
        url: a ``ws://`` or ``wss://`` URL; its path and query are treated as secret.
        open_timeout_s: limit for everything until the WebSocket is open, in seconds.
        headers: sent with the request; their values are treated as secret. A redirect is then an
            error: it could take them to another host.
        ping_interval_s: seconds between keepalive pings; None: none are sent, and a peer that
            falls silent or stops reading goes unnoticed.
        ping_timeout_s: seconds that a pong may take before the connection ends with 1011.
        max_message_bytes: longest message accepted, in bytes; a longer one ends it with 1009.
        write_limit_bytes: high water of the write buffer, in bytes; the low water is a quarter.
        ssl_context: what to trust on ``wss://``; the system's certificates by default.

    Returns:
        The open connection.

    Raises:
        ValueError: when ``url`` is not a WebSocket URL, a header cannot be sent, or a ``ws://`` URL
            comes with TLS settings.
        ConnectFailedError: when the connection could not be opened, for whatever reason.
    """
    host, endpoint, secure = _endpoint(url)
    if ssl_context is not None and not secure:
        raise SettingError("ssl_context needs a wss:// URL", setting="ssl_context")
    if headers is not None and not are_legal(headers):
        raise ValueError("a header is empty or has characters that HTTP does not allow")
    options: dict[str, Any] = {}
    if secure:
        options["ssl"] = ssl_context or _system_trust()
    failure: Exception
    try:
        connection = await (_websockets_connect if headers is None else _ConnectOnce)(
            url,
            additional_headers=headers,
            compression=None,
            proxy=None if _is_loopback(host) else True,
            open_timeout=open_timeout_s,
            ping_interval=ping_interval_s,
            ping_timeout=ping_timeout_s,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=max_message_bytes,
            write_limit=write_limit_bytes,
            logger=_library_log,
            create_connection=WebSocketConnection,
            **options,
        )
    except Exception as exc:  # it may quote the URL, whatever it is
        failure = exc
    else:
        return cast("WebSocketConnection", connection)
    # Raised here and not in the handler: there it would keep the original as its __context__.
    words, cause = _explain(failure, open_timeout_s)
    status = failure.response.status_code if isinstance(failure, InvalidStatus) else None
    setting = "ssl_context" if isinstance(failure, ssl.SSLCertVerificationError) else None
    raise ConnectFailedError(
        f"could not connect to {endpoint}: {words}", status, setting=setting
    ) from cause


class _ConnectOnce(_websockets_connect):
    """The library would send the headers to wherever a redirect points."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


@functools.cache
def _system_trust() -> ssl.SSLContext:
    """One for the process: each takes some 20 ms and several hundred kilobytes to make."""
    return ssl.create_default_context()


def _endpoint(url: str) -> tuple[str, str, bool]:
    """Return the host, ``host:port`` and whether the scheme is wss; never quote ``url``."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if (
            parts.scheme in ("ws", "wss")
            and host
            # An ending in "#…" or a name without a password: refused later by the library, and
            # then quoted. Encoding the host fails here for the same reason.
            and not parts.fragment
            and (parts.username is None or parts.password is not None)
            and host.encode("idna")
            and url.isprintable()
            and " " not in url
        ):
            secure = parts.scheme == "wss"
            shown = f"[{host}]" if ":" in host else host
            return host, f"{shown}:{port or (443 if secure else 80)}", secure
    except ValueError:
        pass  # raised below: here it would keep the original, which quotes the URL
    raise ValueError("not a WebSocket URL: ws:// or wss:// and a host are needed")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _explain(exc: Exception, open_timeout_s: float) -> tuple[str, Exception]:
    """Say what went wrong, and give a cause that quotes neither the URL nor the server's answer."""
    match exc:
        case TimeoutError():
            return f"no answer within {open_timeout_s:g} s", exc
        case OSError():
            return str(exc) or type(exc).__name__, exc
        case InvalidStatus():
            words = f"the server answered HTTP {exc.response.status_code}"
        case ImportError():
            words = "the proxy of the environment is a SOCKS proxy, which needs python-socks"
        case _:
            words = f"the WebSocket handshake failed ({type(exc).__name__})"
    return words, InvalidHandshake(words)
