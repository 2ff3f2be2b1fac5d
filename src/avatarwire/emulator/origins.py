"""Which requests a platform on this machine answers: those that no page of another site can send.

A browser lets any page open a WebSocket to this machine and post to it, and names the page's site
as the Origin. A page can also come from a name whose address is changed to this machine's once
it is loaded (DNS rebinding); then the Host is that name. Programs send no Origin, and dial an
address or a name of this machine.
"""

import logging
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from avatarwire.emulator.transcript import printable
from avatarwire.monitor.hosts import AUTHORITY, name_in, served_by

__all__ = ["checked_names", "only_own"]

log: logging.Logger = logging.getLogger("avatarwire.emulator")


def checked_names(allowed_hosts: Collection[str]) -> frozenset[str]:
    """Return names as a request's Host has them: in small letters, without a last dot.

    Raises:
        TypeError: not a collection of text; a single text would be one of letters.
        ValueError: not the name of a host alone, such as one with a port.
    """
    if isinstance(allowed_hosts, str) or not isinstance(allowed_hosts, Collection):
        raise TypeError(
            "allowed_hosts must be a list of names, such as ['avatar.lan'], not"
            f" {type(allowed_hosts).__name__}"
        )
    for name in allowed_hosts:
        if not isinstance(name, str):
            raise TypeError(f"allowed_hosts must be a list of str, not of {type(name).__name__}")
        parts = AUTHORITY.fullmatch(name.lower())
        if parts is None or parts[2] is not None or "*" in name:
            raise ValueError(
                f"allowed_hosts has {name!r}: each is the name of one host, such as avatar.lan,"
                " without http:// and port"
            )
    return frozenset(name.lower().strip("[]").rstrip(".") for name in allowed_hosts)


def only_own(host: str, allowed: Collection[str] = ()) -> Middleware:
    """Return what refuses, with 403, every request of another site's page.

    ``served_by`` says by which names a host is reached.
    The port is not looked at: it can be forwarded.

    Args:
        host: the address that is listened on, or its name.
        allowed: further names that it is reached by, as ``checked_names`` returns them.
    """
    is_own = served_by(host)

    def is_served(name: str) -> bool:
        return name in allowed or is_own(name)

    @web.middleware
    async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        why = _refusal(request, is_served)
        if why is None:
            return await handler(request)
        log.info("request refused: %s", why)
        return web.Response(text=why, status=403)

    return let_in


def _refusal(request: web.Request, is_served: Callable[[str], bool]) -> str | None:
    """Return why a request is refused, in words; None when it is not."""
    hosts, origins = request.headers.getall("Host", []), request.headers.getall("Origin", [])
    if not hosts:
        return "the request has no Host: send the address or the name that was dialled"
    if not request.raw_path.startswith(("/", "*")):  # a whole URL, as for a proxy, names a host too
        hosts = [*hosts, urlsplit(request.raw_path).netloc]
    for host in hosts:
        name = name_in(host)
        if name is None or not is_served(name):
            return (
                f"Host {printable(host)} is no name of this platform: dial the address that it "
                "told, let it listen on that name (host=, --host), or allow the name "
                "(allowed_hosts=, --allowed-host)"
            )
    for origin in origins:
        if not _is_same_site(origin, hosts[0]):
            return (
                f"Origin {printable(origin)} is another site: its pages may not use this "
                f"platform; a page has to come from http://{printable(hosts[0])} itself, and a "
                "program leaves Origin out"
            )
    return None


def _is_same_site(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc == host.lower()
