"""From a URL to an open WebSocket connection.

The ``websockets`` library does the handshake, TLS and proxies. When the server has agreed, our own
connection takes over the transport: nothing of the handshake is kept.

The URL of a live session carries a one-time token in its path or query. It reaches the wire and
nothing else: errors name ``host:port`` only, causes are rebuilt where the library's own would quote
the URL or the server's answer, and the library's DEBUG records are never made.
"""

import asyncio
import functools
import inspect
import logging
import ssl
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as _websockets_connect
from websockets.client import ClientProtocol
from websockets.exceptions import (
    InvalidHandshake,
    InvalidProxyStatus,
    InvalidStatus,
    ProxyError,
)
from websockets.protocol import Protocol, Side, State
from websockets.version import version as _library_version

from avatarwire.errors import ConnectFailedError, SettingError
from avatarwire.transport import environment
from avatarwire.transport.environment import Proxy
from avatarwire.transport.secrets import Secret, are_legal
from avatarwire.transport.websocket import WebSocketConnection

__all__ = ["connect"]

NEXT_ADDRESS_S = 0.25
"""How long an address of a name has to itself before the next one is tried too (RFC 8305)."""

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


class _Handshake(ClientConnection):
    """The library's connection until the server has agreed; then ours takes over its transport.

    Attributes:
        opened: ours; None until then.
    """

    def __init__(
        self,
        protocol: ClientProtocol,
        *,
        max_message_bytes: int,
        ping_interval_s: float | None,
        ping_timeout_s: float,
        **options: Any,  # noqa: ANN401 - the library's own
    ) -> None:
        super().__init__(protocol, **options)
        self.opened: WebSocketConnection | None = None
        # The prefix keeps them apart from whatever the library names its own.
        self._aw_max_message_bytes = max_message_bytes
        self._aw_ping_interval_s = ping_interval_s
        self._aw_ping_timeout_s = ping_timeout_s
        self._aw_response_end = b""

    def data_received(self, data: bytes) -> None:
        """Have the library read the response of the handshake, and nothing behind it."""
        known = self._aw_response_end + data
        self._aw_response_end = known[1 - len(_END_OF_RESPONSE) :]
        end = known.find(_END_OF_RESPONSE)
        size = len(data)
        if end >= 0:
            size -= len(known) - end - len(_END_OF_RESPONSE)
        super().data_received(data[:size])
        rest = data[size:]
        if self.protocol.state is State.OPEN:
            self._aw_hand_over(rest)
        elif rest:
            super().data_received(rest)  # of a refusal

    def _aw_hand_over(self, received: bytes) -> None:
        # No extension, no subprotocol was offered: a parser of frames is all that is needed.
        parser = Protocol(Side.CLIENT, max_size=self._aw_max_message_bytes, logger=_library_log)
        self.opened = WebSocketConnection(
            parser,
            self.transport,
            max_message_bytes=self._aw_max_message_bytes,
            ping_interval_s=self._aw_ping_interval_s,
            ping_timeout_s=self._aw_ping_timeout_s,
        )
        self.transport.set_protocol(self.opened)
        self.opened.data_received(received)


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
        ping_interval=None,  # ours are the heartbeat's
        write_limit=write_limit_bytes,
        logger=_library_log,
        create_connection=functools.partial(
            _Handshake,
            max_message_bytes=max_message_bytes,
            ping_interval_s=ping_interval_s,
            ping_timeout_s=ping_timeout_s,
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
            async with asyncio.timeout(open_timeout_s):
                trust = await environment.trust(ssl_context)
        if secure:
            options["ssl"] = trust
        if proxy is not None and proxy.scheme == "https":
            options["proxy_ssl"] = trust
        connect = _websockets_connect if options["additional_headers"] is None else _ConnectOnce
        handshake = await connect(
            url,
            proxy=None if proxy is None else _proxy_url(proxy),
            **_side_by_side(host if proxy is None else proxy.host),
            **options,
        )
    except Exception as exc:  # it may quote the URL, whatever it is
        return _failed(exc, environment.endpoint(host, port), proxy, open_timeout_s)
    return cast("WebSocketConnection", cast("_Handshake", handshake).opened)


class _ConnectOnce(_websockets_connect):
    """The library would send the headers to wherever a redirect points."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


def _side_by_side(host: str) -> dict[str, Any]:
    """Return what has the loop try several addresses of a name at a time; uvloop cannot.

    An address is one alone, and the race leaves a hundred objects to the garbage collector.
    """
    if environment.is_address(host):
        return {}
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
