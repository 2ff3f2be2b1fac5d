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
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from avatarwire import _json
from avatarwire.errors import RestError, SettingError
from avatarwire.transport import environment
from avatarwire.transport.environment import Proxy
from avatarwire.transport.loading import load
from avatarwire.transport.secrets import Secret, are_legal

if TYPE_CHECKING:
    import httpx

__all__ = [
    "Response",
    "RestClient",
    "borrow_client",
    "get_json",
    "post_json",
    "return_client",
    "shared_client",
]

MAX_ANSWER_BYTES = 2**20
"""Longest answer that is read; the platforms' are under a few kilobytes."""

MAX_CALLS = 32
"""How many calls of one event loop are under way; the others wait for their turn.

Without a limit a thousand sessions that come back together hold up the loop for seconds: each call
that comes or goes has httpcore look through all of them.
"""

#: After so many calls that were given up another HTTP client takes over.
MOST_GIVEN_UP = 64

_NO_URL = "not an http:// or https:// URL with a host"


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


@dataclass(eq=False, slots=True)
class _Way:
    """One HTTP client, for all that goes through the same proxy with the same trust."""

    client: "httpx.AsyncClient"
    proxy: Proxy | None
    calls: int = 0
    given_up: int = 0


class RestClient:
    """What the users of one event loop share: an HTTP client for each way to a platform.

    Args:
        ssl_context: what to trust; None: the system's authorities.
        turns: lets at most ``MAX_CALLS`` of the loop's calls through, in the order they came.

    Attributes:
        turns: as given.
        users: how many have borrowed it.
        open: what closes its connections when it is closed.
        is_closed: whether its last user has left.
    """

    def __init__(self, ssl_context: ssl.SSLContext | None, turns: asyncio.Semaphore) -> None:
        self.turns = turns
        self.users: int = 0
        self.is_closed: bool = False
        self.open: AsyncGenerator[None] = self._open()
        self._ssl_context = ssl_context
        self._ways: dict[tuple[Proxy | None, bool], _Way] = {}
        self._retired: set[_Way] = set()

    async def towards(self, url: "httpx.URL") -> "_Way":
        """Return the way to a URL.

        Raises:
            SettingError: the environment's proxy or certificates cannot be used.
        """
        is_secure = url.scheme == "https"
        proxy = environment.proxy_for(url.scheme, url.host, _port(url))
        needs_trust = is_secure or (proxy is not None and proxy.scheme == "https")
        way = proxy, needs_trust
        if way not in self._ways:
            # Without certificates to verify none are loaded: this context trusts nobody.
            trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            if needs_trust:
                trust = await environment.trust(self._ssl_context)
            if self.is_closed:
                raise RuntimeError("the client is closed")
            # Another call may have come this far meanwhile.
            if way not in self._ways:
                self._ways[way] = _Way(_new_client(trust, proxy), proxy)
        return self._ways[way]

    def gave_up(self, way: "_Way") -> None:
        """Take note that a call has been given up: its connection may never come free.

        The HTTP library can lose one when a call is cancelled in the moment in which it ends. From
        time to time a new client takes over, and the old one is closed after its last call.
        """
        way.given_up += 1
        if way.given_up == MOST_GIVEN_UP:
            self._ways = {key: one for key, one in self._ways.items() if one is not way}
            self._retired.add(way)

    async def left(self, way: "_Way") -> None:
        """Close a retired client when its last call has ended."""
        if not way.calls and way in self._retired:
            self._retired.discard(way)
            await way.client.aclose()

    async def _open(self) -> "AsyncGenerator[None]":
        """Keep the connections until the generator is closed.

        An event loop that ends closes its generators, and so what a program has not returned.
        """
        try:
            yield
        finally:
            self.is_closed = True
            for way in (*self._ways.values(), *self._retired):
                await way.client.aclose()
            self._ways.clear()
            self._retired.clear()


class _Shared(dict[ssl.SSLContext | None, RestClient]):
    """The clients of one event loop, and the turns that their calls take."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = asyncio.Semaphore(MAX_CALLS)


_clients: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Shared]"
_clients = weakref.WeakKeyDictionary()
# Loops of several threads share the registry.
_lock = threading.Lock()


async def borrow_client(ssl_context: ssl.SSLContext | None = None) -> RestClient:
    """Return the running loop's HTTP client; whoever borrows it calls ``return_client``.

    A client costs some 800 KB, most of it for TLS, so sessions share one. The network libraries
    are loaded first, in a thread.

    Args:
        ssl_context: what to trust; the system's authorities by default. Users that pass the same
            object share a client.

    Returns:
        The client. It keeps no cookies, since its users may be of different accounts.
    """
    await load()
    loop = asyncio.get_running_loop()
    with _lock:
        # The transports of an open client hold their loop, so a loop that was closed before its
        # client would stay in the weak dictionary for good.
        for other in [other for other in _clients if other.is_closed()]:
            del _clients[other]
        shared = _clients.setdefault(loop, _Shared())
        client = shared.get(ssl_context)
        is_first = client is None
        if client is None:
            client = shared[ssl_context] = RestClient(ssl_context, shared.turns)
        client.users += 1
    if is_first:
        await anext(client.open)  # which does not wait
    return client


async def return_client(client: RestClient, ssl_context: ssl.SSLContext | None = None) -> None:
    """Return a client that was borrowed, with what it was borrowed for; the last one closes it."""
    loop = asyncio.get_running_loop()
    with _lock:
        client.users -= 1
        is_last = client.users == 0
        if is_last:
            shared = _clients[loop]
            del shared[ssl_context]
            if not shared:
                del _clients[loop]
    if is_last:
        await client.open.aclose()


@asynccontextmanager
async def shared_client(ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[RestClient]:
    """Lend the running loop's HTTP client for a while; see ``borrow_client``."""
    client = await borrow_client(ssl_context)
    try:
        yield client
    finally:
        await return_client(client, ssl_context)


def _new_client(trust: ssl.SSLContext, proxy: Proxy | None) -> "httpx.AsyncClient":
    from http.cookiejar import CookieJar, DefaultCookiePolicy  # noqa: PLC0415 - see loading.py

    import httpx  # noqa: PLC0415 - see loading.py

    via = None
    if proxy is not None:
        # Only an https:// proxy may have a context.
        via = httpx.Proxy(proxy.url, ssl_context=trust if proxy.scheme == "https" else None)
    return httpx.AsyncClient(
        verify=trust,
        proxy=via,
        trust_env=False,
        # How many calls there are is limited before; a limit here would count the lost ones too.
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=MAX_CALLS),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        # Compressed answers of a few hundred bytes gain nothing and could unpack without a bound.
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
    )


async def post_json(
    client: RestClient,
    url: str,
    body: object,
    *,
    headers: Mapping[str, str],
    timeout_s: float,
    begins: Callable[[], None] | None = None,
) -> Response:
    """Post ``body`` as JSON; redirects are not followed.

    At most ``MAX_CALLS`` calls of an event loop are under way; the others wait, first come, first
    served. A call's time counts from when it begins.

    Args:
        client: the client to use.
        url: an ``http://`` or ``https://`` URL.
        body: objects, arrays, text, numbers of 64 bits, booleans and None.
        headers: additional headers; their values are treated as secret.
        timeout_s: limit for the whole call, in seconds.
        begins: called when the call's turn has come; before that, nothing of it has been sent.

    Returns:
        The answer, whatever its status, a redirect included.

    Raises:
        RestError: when the URL or a header cannot be sent, what the environment says of proxies or
            certificates cannot be used, or no complete answer came: no connection, timeout, bad
            HTTP, more than ``MAX_ANSWER_BYTES``.
        TypeError: when ``body`` cannot be encoded.
    """
    content = _json.dumps(body)
    headers = {**headers, "Content-Type": "application/json"}
    return await _request(
        client, "POST", url, headers=headers, timeout_s=timeout_s, begins=begins, content=content
    )


async def get_json(
    client: RestClient,
    url: str,
    *,
    params: Mapping[str, str],
    headers: Mapping[str, str],
    timeout_s: float,
) -> Response:
    """Get JSON; like ``post_json``, with a query instead of a body."""
    return await _request(client, "GET", url, headers=headers, timeout_s=timeout_s, params=params)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why there is no answer, and the setting to blame."""

    words: str
    setting: str | None = None


async def _request(
    client: RestClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    timeout_s: float,
    begins: Callable[[], None] | None = None,
    **what: Any,  # noqa: ANN401 - httpx's own arguments
) -> Response:
    if not are_legal(headers):
        # Neither name nor value is quoted: even a name may hold a misplaced key.
        raise RestError(
            "a request header is empty or has characters that HTTP does not allow"
            " (is there a line break or a space at the end of the API key?)",
            setting="api_key",
        )
    headers = {name: Secret(text) for name, text in headers.items()}
    # Before its time begins: waiting here is nothing that the platform does.
    async with client.turns:
        if begins is not None:
            begins()
        answer = await _try(client, method, url, headers, timeout_s, what)
    if isinstance(answer, _Failure):
        # Raised here and not where it was caught: there it would drag along a hundred lines of the
        # libraries' own errors, which say no more, and the headers in their frames.
        raise RestError(answer.words, setting=answer.setting)
    return answer


async def _try(
    client: RestClient,
    method: str,
    url: str,
    headers: Mapping[str, str],
    timeout_s: float,
    what: Mapping[str, Any],
) -> Response | _Failure:
    import httpx  # noqa: PLC0415 - see loading.py

    proxy = way = None
    try:
        target = httpx.URL(url)
        if target.scheme not in {"http", "https"} or not target.host:
            return _Failure(_NO_URL)
        try:
            # Certificates may have to be read first, which is part of the call's time.
            async with asyncio.timeout(timeout_s):
                way = await client.towards(target)
                proxy = way.proxy
                way.calls += 1
                async with way.client.stream(
                    method,
                    target,
                    headers=headers,
                    timeout=timeout_s,
                    follow_redirects=False,
                    **what,
                ) as response:
                    answer = await _read(response)
            # It and its stream hold each other, and with them all that belongs to the call.
            response.stream = httpx.ByteStream(b"")
        except (asyncio.CancelledError, TimeoutError, httpx.TimeoutException):
            if way is not None:
                client.gave_up(way)
            raise
        finally:
            if way is not None:
                way.calls -= 1
                await client.left(way)
    except (TimeoutError, SettingError, httpx.InvalidURL, httpx.HTTPError) as exc:
        return _explain(exc, url, proxy, timeout_s)
    if response.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and proxy is not None:
        return _refusal_of_proxy(proxy, response.status_code)
    if answer is None:
        return _Failure(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    try:
        parsed = _json.loads(answer)
    except ValueError:
        parsed = None
    return Response(response.status_code, parsed, _location(response))


def _explain(exc: Exception, url: str, proxy: Proxy | None, timeout_s: float) -> _Failure:
    import httpx  # noqa: PLC0415 - see loading.py

    if isinstance(exc, SettingError):
        return _Failure(str(exc), exc.setting)
    if isinstance(exc, httpx.InvalidURL):
        return _Failure(_NO_URL)
    if isinstance(exc, httpx.RemoteProtocolError | httpx.DecodingError):
        # Its text quotes what was sent back, perhaps our own headers.
        return _Failure("the platform's answer is not proper HTTP")
    if isinstance(exc, httpx.ProxyError) and proxy is not None:
        # Its text is the status and the proxy's own words, or those of a SOCKS failure.
        status = str(exc).partition(" ")[0]
        return _refusal_of_proxy(proxy, int(status) if status.isdecimal() else None)
    return _no_answer(exc, _endpoint(httpx.URL(url)), proxy, timeout_s)


def _no_answer(exc: Exception, endpoint: str, proxy: Proxy | None, timeout_s: float) -> _Failure:
    import httpx  # noqa: PLC0415 - see loading.py

    refusal = environment.explain_tls(exc, endpoint)
    if refusal is not None:
        return _Failure(refusal, "ssl_context")
    setting = None
    if proxy is not None:
        endpoint, setting = f"{endpoint} through the proxy {proxy}", proxy.setting
    if isinstance(exc, TimeoutError | httpx.TimeoutException):
        return _Failure(f"no answer from {endpoint} within {timeout_s:g} s", setting)
    words = str(exc) or type(exc).__name__
    return _Failure(f"the request to {endpoint} failed: {words}", setting)


def _refusal_of_proxy(proxy: Proxy, status: int | None) -> _Failure:
    return _Failure(environment.refusal_of_proxy(proxy, status), proxy.setting)


async def _read(response: "httpx.Response") -> bytes | None:
    """Return the body; None when it is too long."""
    answer = bytearray()
    async for chunk in response.aiter_bytes():
        answer += chunk
        if len(answer) > MAX_ANSWER_BYTES:
            return None
    return bytes(answer)


def _location(response: "httpx.Response") -> str | None:
    """Return where a redirect points, as far as it can be shown."""
    if response.next_request is None:
        return None
    url = response.next_request.url
    path = url.raw_path.partition(b"?")[0]
    return f"{url.scheme}://{url.netloc.decode('ascii')}{path.decode('ascii')}"


def _endpoint(url: "httpx.URL") -> str:
    """Return the host and the port alone: a name, a password or a path may be secret."""
    return environment.endpoint(url.host, _port(url))


def _port(url: "httpx.URL") -> int:
    return url.port or (443 if url.scheme == "https" else 80)
