"""By which names a server on this machine is reached, so that other names can be refused.

A page can come from a name whose address is changed to this machine's once it is loaded (DNS
rebinding); then the request's Host is that name.
"""

import ipaddress
import re
import socket
from collections.abc import Callable

__all__ = ["AUTHORITY", "is_reached_as", "name_in", "served_by"]

#: A host and its port, as a request names them.
AUTHORITY = re.compile(r"(\[[0-9a-f:.]+(?:%[^\s\]]+)?\]|[^\s:@/\\\[\]]+)(:[0-9]*)?")


def name_in(authority: str) -> str | None:
    """Return the name or the address in a request's Host; None where it is none."""
    parts = AUTHORITY.fullmatch(authority.lower())
    return None if parts is None else parts[1].strip("[]").rstrip(".")


def served_by(host: str) -> Callable[[str], bool]:
    """Return what tells whether a name or an address is one to reach ``host`` by.

    Whoever listens on loopback is reached by ``localhost``, names that end in it, and loopback
    addresses. Whoever listens on another address is also reached by every other address, since
    only a name can be made to point elsewhere, by this machine's name, and by ``host`` itself.
    """
    if _is_loopback(host):
        return _is_loopback
    machine = socket.gethostname().lower()
    names = {host.lower(), machine, machine.partition(".")[0]}
    return lambda name: name in names or _is_loopback(name) or _address(name) is not None


def is_reached_as(host: str, authority: str) -> bool:
    """Return whether a request's Host is one of a server that listens on ``host``."""
    name = name_in(authority)
    return name is not None and served_by(host)(name)


def _is_loopback(name: str) -> bool:
    name = name.lower()
    address = _address(name)
    if address is not None:
        return address.is_loopback
    return name == "localhost" or name.endswith(".localhost")


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
