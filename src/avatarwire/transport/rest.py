"""REST calls through one HTTP client per event loop, counted by its users.

Keys travel in headers. httpcore's DEBUG records name a request by its method only, and httpx's by
its method and URL, so a key reaches no log of theirs, with one exception: a header that is illegal
in HTTP is quoted in full by the error that refuses it. Hence headers are checked here first. (What
a platform sends back, headers and malformed lines, is in httpcore's DEBUG records.)
"""

import asyncio
import ssl
import threading
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from avatarwire import _json
from avatarwire.errors import RestError
from avatarwire.transport.secrets import are_legal

__all__ = ["Response", "get_json", "post_json", "shared_client"]

MAX_ANSWER_BYTES = 2**20
"""Longest answer that is read; the platforms' are under a few kilobytes."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a platform answered.

    Attributes:
        status: the HTTP status.
        body: the parsed JSON; None when there was none or it was something else, such as HTML.
        location: where a redirect points, without its name, password and query, any of which may
            be secret; None when this is no redirect.
    """

    status: int
    body: Any = field(repr=False)
    location: str | None = field(default=None, compare=False)


@dataclass(slots=True)
class _Entry:
    client: httpx.AsyncClient
    users: int = 0


_Entries = dict[ssl.SSLContext | None, _Entry]
_clients: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Entries]"
_clients = weakref.WeakKeyDictionary()
# Loops of several threads share the registry.
_lock = threading.Lock()


@asynccontextmanager
async def shared_client(
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[httpx.AsyncClient]:
    """Lend the running loop's HTTP client; the last user to leave closes it.

    A client costs 20 to 40 ms and some 800 KB, most of it for TLS, so sessions share one.

    Args:
        ssl_context: what to trust; the usual authorities by default. Users that pass the same
            object share a client.

    Raises:
        RestError: when the proxy settings of the environment cannot be used.

    Yields:
        The client. It keeps no cookies, since its users may be of different accounts.
    """
    loop = asyncio.get_running_loop()
    with _lock:
        # The transports of an open client hold their loop, so a loop that was closed before its
        # client would stay in the weak dictionary for good.
        for other in [other for other in _clients if other.is_closed()]:
            del _clients[other]
        entries = _clients.setdefault(loop, {})
        entry = entries.get(ssl_context)
        if entry is None:
            entry = entries[ssl_context] = _Entry(_new_client(ssl_context))
        entry.users += 1
    try:
        yield entry.client
    finally:
        with _lock:
            entry.users -= 1
            last = entry.users == 0
            if last:
                del entries[ssl_context]
                if not entries:
                    _clients.pop(loop, None)
        if last:
            await entry.client.aclose()


def _new_client(ssl_context: ssl.SSLContext | None) -> httpx.AsyncClient:
    try:
        return _build_client(ssl_context)
    except (ImportError, ValueError) as exc:
        # httpx reads the environment's proxies as soon as it is built. Its words name the proxy,
        # which may hold a password.
        failure = type(exc).__name__
    raise RestError(
        f"the proxy of the environment cannot be used ({failure}): unset ALL_PROXY, HTTP_PROXY and"
        " HTTPS_PROXY, or, for a SOCKS proxy, pip install socksio"
    )


def _build_client(ssl_context: ssl.SSLContext | None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        verify=True if ssl_context is None else ssl_context,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        # Compressed answers of a few hundred bytes gain nothing and could unpack without a bound.
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        # A proxy of the environment is no way to reach this machine.
        mounts={"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None},
    )


async def post_json(
    client: httpx.AsyncClient,
    url: str,
    body: object,
    *,
    headers: Mapping[str, str],
    timeout_s: float,
) -> Response:
    """Post ``body`` as JSON; redirects are not followed.

    Args:
        client: the client to use.
        url: an ``http://`` or ``https://`` URL.
        body: objects, arrays, text, numbers of 64 bits, booleans and None.
        headers: additional headers; their values are treated as secret.
        timeout_s: limit for the whole call, in seconds.

    Returns:
        The answer, whatever its status, a redirect included.

    Raises:
        RestError: when the URL or a header cannot be sent, or no complete answer came: no
            connection, timeout, bad HTTP, more than ``MAX_ANSWER_BYTES``.
        TypeError: when ``body`` cannot be encoded.
    """
    content = _json.dumps(body)
    headers = {**headers, "Content-Type": "application/json"}
    return await _request(
        client, "POST", url, headers=headers, timeout_s=timeout_s, content=content
    )


async def get_json(
    client: httpx.AsyncClient,
    url: str,
    *,
    params: Mapping[str, str],
    headers: Mapping[str, str],
    timeout_s: float,
) -> Response:
    """Get JSON; like ``post_json``, with a query instead of a body."""
    return await _request(client, "GET", url, headers=headers, timeout_s=timeout_s, params=params)


async def _request(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    timeout_s: float,
    **what: Any,  # noqa: ANN401 - httpx's own arguments
) -> Response:
    if not are_legal(headers):
        # Neither name nor value is quoted: even a name may hold a misplaced key.
        raise RestError(
            "a request header is empty or has characters that HTTP does not allow"
            " (is there a line break or a space at the end of the API key?)",
            setting="api_key",
        )
    answer = bytearray()
    status, location = 0, None
    failure = "the platform's answer is not proper HTTP"
    try:
        async with (
            asyncio.timeout(timeout_s),
            client.stream(
                method,
                url,
                headers=headers,
                timeout=timeout_s,
                follow_redirects=False,
                **what,
            ) as response,
        ):
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise RestError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
            status, location = response.status_code, _location(response)
    except (TimeoutError, httpx.TimeoutException):
        failure = f"no answer from {_endpoint(url)} within {timeout_s:g} s"
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        failure = "not an http:// or https:// URL with a host"
    except (httpx.RemoteProtocolError, httpx.DecodingError):
        pass  # its text quotes what was sent back, perhaps our own headers
    except httpx.HTTPError as exc:
        failure = f"the request to {_endpoint(url)} failed: {str(exc) or type(exc).__name__}"
    if not status:
        # Raised here and not in the handlers: there it would drag along a hundred lines of the
        # libraries' own errors, which say no more.
        raise RestError(failure)
    try:
        parsed = _json.loads(answer)
    except ValueError:
        parsed = None
    return Response(status, parsed, location)


def _location(response: httpx.Response) -> str | None:
    """Return where a redirect points, as far as it can be shown."""
    if response.next_request is None:
        return None
    url = response.next_request.url
    path = url.raw_path.partition(b"?")[0]
    return f"{url.scheme}://{url.netloc.decode('ascii')}{path.decode('ascii')}"


def _endpoint(url: str) -> str:
    """Give the host and the port alone: a name, a password or a path may be secret."""
    parts = httpx.URL(url)
    shown = f"[{parts.host}]" if ":" in parts.host else parts.host
    return f"{shown}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
