"""A WebSocket connection: the ``websockets`` library plus batched writes of ready-made frames.

The library does the handshake, TLS, proxies, pings, pongs and the close; what we send is framed
elsewhere and handed to the same asyncio transport, so it interleaves with the library's control
frames at frame boundaries. What arrives as one frame that is one message never reaches the
library (see ``incoming``); all else is parsed by it, through its protocol without I/O.

The URL of a live session carries a one-time token in its path or query. It reaches the wire and
nothing else: errors name ``host:port`` only, causes are rebuilt where the library's own would quote
the URL or the server's answer, and the library's DEBUG records are never made.
"""

import asyncio
import functools
import inspect
import logging
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as _websockets_connect
from websockets.client import ClientProtocol
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxyStatus,
    InvalidStatus,
    ProtocolError,
    ProxyError,
)
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.version import version as _library_version

from avatarwire.errors import ConnectFailedError, SessionLostError, SettingError
from avatarwire.transport import environment
from avatarwire.transport.environment import Proxy
from avatarwire.transport.heartbeat import Heartbeat
from avatarwire.transport.incoming import Incoming, OnMessages
from avatarwire.transport.secrets import Secret, are_legal

__all__ = ["WebSocketConnection", "connect"]

CLOSE_TIMEOUT_S = 2.0
"""How long ``close()`` waits for a peer before it cuts the connection."""

HANG_UP_S = 0.05
"""How long a peer that has said goodbye may take to hang up before we do."""

NEXT_ADDRESS_S = 0.25
"""How long an address of a name has to itself before the next one is tried too (RFC 8305)."""

MAX_UNREAD_ANSWERS_BYTES = 2**16
"""How much of answers to its pings a peer may leave unread: thousands of them."""

_OPEN = State.OPEN
_OF_MESSAGES = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})
_END_OF_RESPONSE = b"\r\n\r\n"


class _NoWireDump(logging.LoggerAdapter[logging.Logger]):
    """A logger that is never enabled for DEBUG, whatever the application configures.

    At DEBUG the library logs the request line, with its token, and the payload of every message.
    A level on the logger would not do: ``logging.config`` resets it when it configures a parent.
    """

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name in the standard library
        return level > logging.DEBUG and super().isEnabledFor(level)


#: Older versions send a proxy's name and password as they stand in its URL.
_DECODES_CREDENTIALS = int(_library_version.partition(".")[0]) >= 17

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
        "_aw_incoming",
        "_aw_max_message_bytes",
        "_aw_protocol",
        "_aw_response_end",
        "_aw_round_trip_s",
        "_aw_silence_s",
        "_aw_stall_timer",
        "_aw_transport",
        "_aw_unanswered_s",
        "_aw_unread_bytes",
        "_aw_waiters",
    )

    def __init__(
        self,
        protocol: ClientProtocol,
        *,
        max_message_bytes: int,
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
        self._aw_max_message_bytes = max_message_bytes
        self._aw_incoming: Incoming | None = None
        self._aw_response_end = b""
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
        self._aw_unread_bytes = 0
        self._aw_round_trip_s: float | None = None
        self._aw_end: SessionLostError | None = None

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, to write to it directly."""
        self._aw_transport = cast("asyncio.Transport", transport)
        super().connection_made(transport)
        self._aw_heartbeat.start()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on what has arrived, note why it ended, wake everyone who waits for room."""
        if self._aw_incoming is not None:
            self._aw_incoming.finish()
        super().connection_lost(exc)
        self._aw_full = False
        self._aw_heartbeat.stop()
        for timer in (self._aw_stall_timer, self._aw_close_timer, self._aw_hang_up_timer):
            if timer is not None:
                timer.cancel()
        self._aw_end = _ending(self._aw_protocol.close_exc)
        self._aw_wake()

    def data_received(self, data: bytes) -> None:
        """Note that the peer is there, and take what it says."""
        self._aw_heartbeat.heard()
        if self._aw_incoming is not None:
            self._aw_incoming.take(data)
        else:
            self._aw_take_response(data)

    def eof_received(self) -> None:
        """Take all that has arrived; then the end."""
        if self._aw_incoming is not None:
            self._aw_incoming.finish()
        super().eof_received()

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
        self._aw_unread_bytes = 0
        if self._aw_stall_timer is not None:
            self._aw_stall_timer.cancel()
            self._aw_stall_timer = None
        self._aw_wake()

    # The port

    @property
    def close_code(self) -> int | None:
        """Why the connection ended; None until it has."""
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

    def listen(self, on_messages: OnMessages) -> None:
        """Hand messages on from now; see ``Connection``."""
        if self._aw_incoming is not None:
            self._aw_incoming.listen(on_messages)

    def pause_reading(self) -> None:
        """Hand nothing on and read nothing; see ``Connection``."""
        if self._aw_incoming is not None:
            self._aw_incoming.pause()

    def resume_reading(self) -> None:
        """Read again; see ``Connection``."""
        if self._aw_incoming is not None:
            self._aw_incoming.resume()

    async def wait_closed(self) -> None:
        """Return when the connection has ended; see ``Connection``."""
        await super().wait_closed()

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

    def _aw_take_response(self, data: bytes) -> None:
        """Have the library read the response of the handshake, and nothing behind it."""
        known = self._aw_response_end + data
        self._aw_response_end = known[1 - len(_END_OF_RESPONSE) :]
        end = known.find(_END_OF_RESPONSE)
        size = len(data)
        if end >= 0:
            size -= len(known) - end - len(_END_OF_RESPONSE)
        super().data_received(data[:size])
        rest = data[size:]
        if self._aw_protocol.state is State.CONNECTING:
            if rest:
                super().data_received(rest)  # of a refusal
            return
        self._aw_incoming = Incoming(self, self._aw_transport, self._aw_max_message_bytes)
        self._aw_incoming.take(rest)

    def _aw_stalled(self) -> None:
        self._aw_fail("the peer has stopped reading")

    def _aw_fail(self, reason: str) -> None:
        # After the peer's last byte it is only our own that cannot leave; there is nothing to say.
        if self._aw_protocol.state is not State.CLOSED:
            # The frame may not leave, but its state makes 1011 the code that everyone is told.
            self._aw_protocol.fail(CloseCode.INTERNAL_ERROR, reason)
            self._aw_transport.writelines(self._aw_protocol.data_to_send())
        if self._aw_incoming is not None:
            self._aw_incoming.give_up()
        self._aw_transport.abort()

    def _aw_limit_close(self) -> None:
        if self._aw_close_timer is None and self._aw_close_timeout_s is not None:
            loop = asyncio.get_running_loop()
            self._aw_close_timer = loop.call_later(
                self._aw_close_timeout_s, self._aw_transport.abort
            )

    def _aw_note_closing(self) -> None:
        if self._aw_protocol.state is State.CLOSING:
            self._aw_limit_close()
            if self._aw_protocol.close_rcvd is not None and self._aw_hang_up_timer is None:
                # Our answer is written and nothing more comes, but the peer may never hang up.
                self._aw_hang_up_timer = asyncio.get_running_loop().call_later(
                    HANG_UP_S, self._aw_transport.close
                )

    # What the incoming asks for

    def parse(self, data: bytes) -> Sequence[Frame]:
        """Have the library parse received bytes; return the frames of messages."""
        protocol, transport = self._aw_protocol, self._aw_transport
        protocol.receive_data(data)
        frames = []
        for event in cast("list[Frame]", protocol.events_received()):  # the response came first
            if event.opcode in _OF_MESSAGES:
                frames.append(event)
            elif event.opcode is Opcode.PONG:
                self.acknowledge_pings(bytes(event.data))
        answers = protocol.data_to_send()
        if answers:
            transport.writelines(answers)
            if self._aw_full:
                # The peer takes nothing: its pings are answered into our own memory.
                self._aw_unread_bytes += sum(map(len, answers))
                if self._aw_unread_bytes > MAX_UNREAD_ANSWERS_BYTES:
                    self._aw_stalled()
        self._aw_note_closing()
        return frames

    def refuse(self, code: CloseCode, reason: str) -> None:
        """Fail the connection with a code of ours."""
        self._aw_protocol.fail(code, reason)
        self._aw_transport.writelines(self._aw_protocol.data_to_send())
        self._aw_note_closing()

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
        """End the connection with 1011, unless it is we who do not listen."""
        if self._aw_incoming is not None and self._aw_incoming.is_held_up:
            self._aw_heartbeat.pinged()
        else:
            self._aw_fail("the peer is silent")


def _ending(exc: ConnectionClosed) -> SessionLostError:
    """Return the end that whoever closed first decided; its code is 1006 when no one closed."""
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

    The way there is the environment's (see ``environment``). Several addresses of a name are tried
    side by side, as far as the event loop can. Messages are not compressed.

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
        ssl_context: what to trust on ``wss://``; the system's authorities by default.

    Returns:
        The open connection.

    Raises:
        ValueError: when ``url`` is not a WebSocket URL, a header cannot be sent, or a ``ws://`` URL
            comes with TLS settings.
        ConnectFailedError: when the connection could not be opened, for whatever reason.
    """
    url = Secret(url)
    host, port, secure = _split(url)
    if ssl_context is not None and not secure:
        raise SettingError("ssl_context needs a wss:// URL", setting="ssl_context")
    if headers is not None and not are_legal(headers):
        raise ValueError("a header is empty or has characters that HTTP does not allow")
    opened = await _open(
        url,
        (host, port, secure),
        open_timeout_s,
        ssl_context,
        additional_headers=None
        if headers is None
        else {name: Secret(text) for name, text in headers.items()},
        compression=None,
        open_timeout=open_timeout_s,
        ping_interval=ping_interval_s,
        ping_timeout=ping_timeout_s,
        close_timeout=CLOSE_TIMEOUT_S,
        max_size=max_message_bytes,
        write_limit=write_limit_bytes,
        logger=_library_log,
        create_connection=functools.partial(
            WebSocketConnection, max_message_bytes=max_message_bytes
        ),
    )
    if isinstance(opened, ConnectFailedError):
        # Raised here and not in a handler: there it would keep the original as its __context__.
        raise opened from opened.__cause__
    return opened


async def _open(
    url: Secret,
    target: tuple[str, int, bool],
    open_timeout_s: float,
    ssl_context: ssl.SSLContext | None,
    **options: Any,  # noqa: ANN401 - the library's own
) -> WebSocketConnection | ConnectFailedError:
    """Return the connection, or why there is none in words that quote nothing secret."""
    host, port, secure = target
    proxy = None
    try:
        proxy = environment.proxy_for("wss" if secure else "ws", host, port)
        trust = None
        if secure or (proxy is not None and proxy.scheme == "https"):
            trust = await environment.trust(ssl_context)
        if secure:
            options["ssl"] = trust
        if proxy is not None and proxy.scheme == "https":
            options["proxy_ssl"] = trust
        connect = _websockets_connect if options["additional_headers"] is None else _ConnectOnce
        connection = await connect(
            url,
            proxy=None if proxy is None else _proxy_url(proxy),
            **_side_by_side(),
            **options,
        )
    except Exception as exc:  # it may quote the URL, whatever it is
        return _failed(exc, environment.endpoint(host, port), proxy, open_timeout_s)
    return cast("WebSocketConnection", connection)


class _ConnectOnce(_websockets_connect):
    """The library would send the headers to wherever a redirect points."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


def _side_by_side() -> dict[str, Any]:
    """Return what has the loop try several addresses of a name at a time; uvloop cannot."""
    create_connection = asyncio.get_running_loop().create_connection
    if "happy_eyeballs_delay" in inspect.signature(create_connection).parameters:
        return {"happy_eyeballs_delay": NEXT_ADDRESS_S}
    return {}


def _proxy_url(proxy: Proxy) -> Secret:
    """Return a proxy's URL as the installed version of the library reads it.

    Raises:
        SettingError: the name or the password has characters that this version cannot send.
    """
    if _DECODES_CREDENTIALS or proxy.username is None:
        return proxy.url
    if set(proxy.username + proxy.password) & set("/?#[]") or ":" in proxy.username:
        raise SettingError(
            f"{proxy.setting}: its name or password has characters that websockets"
            f" {_library_version} cannot send; install websockets 17 or newer",
            setting=proxy.setting,
        )
    credentials = f"{proxy.username}:{proxy.password}"
    return Secret(proxy.address.replace("://", f"://{credentials}@", 1))


def _split(url: Secret) -> tuple[str, int, bool]:
    """Return host, port and whether the scheme is wss; the error quotes nothing of ``url``."""
    target = _parsed(url)
    if target is None:
        raise ValueError("not a WebSocket URL: ws:// or wss:// and a host are needed")
    return target


def _parsed(url: Secret) -> tuple[str, int, bool] | None:
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
            return host, port or (443 if secure else 80), secure
    except ValueError:
        pass
    return None


def _failed(
    exc: Exception, endpoint: str, proxy: Proxy | None, open_timeout_s: float
) -> ConnectFailedError:
    """Return an error whose words and cause quote neither the URL nor the server's answer."""
    words, setting = _explain(exc, endpoint, proxy, open_timeout_s)
    status = exc.response.status_code if isinstance(exc, InvalidStatus) else None
    failed = ConnectFailedError(
        f"could not connect to {endpoint}: {words}", status, setting=setting
    )
    if isinstance(exc, OSError):
        # Without its traceback: the library's frames hold the URL and the headers.
        failed.__cause__ = exc.with_traceback(None)
        exc.__cause__ = exc.__context__ = None
    else:
        failed.__cause__ = InvalidHandshake(words)
    return failed


def _explain(
    exc: Exception, endpoint: str, proxy: Proxy | None, open_timeout_s: float
) -> tuple[str, str | None]:
    """Return what went wrong, and the setting to blame."""
    refusal = environment.explain_tls(exc, endpoint)
    if refusal is not None:
        return refusal, "ssl_context"
    words, setting = f"the WebSocket handshake failed ({type(exc).__name__})", None
    match exc:
        case SettingError():
            words, setting = str(exc), exc.setting
        case ProxyError() if proxy is not None:
            status = exc.response.status_code if isinstance(exc, InvalidProxyStatus) else None
            words, setting = environment.refusal_of_proxy(proxy, status), proxy.setting
        case InvalidStatus():
            words = f"the server answered HTTP {exc.response.status_code}"
        case OSError():
            words = str(exc) or type(exc).__name__
            if isinstance(exc, TimeoutError):
                words = f"no answer within {open_timeout_s:g} s"
            if proxy is not None:
                words, setting = f"{words}, through the proxy {proxy}", proxy.setting
    return words, setting
