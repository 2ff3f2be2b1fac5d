"""What the environment says about the way to a platform: proxies and certificates.

Both HTTP stacks ask here and leave the environment alone themselves, so that REST and WebSocket
always go the same way and trust the same authorities. What a variable says that cannot be used is
a ``SettingError`` that names the variable and quotes no credentials.
"""

import asyncio
import ipaddress
import os
import re
import ssl
import sys
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from avatarwire.errors import SettingError
from avatarwire.transport.secrets import Secret

__all__ = [
    "Proxy",
    "endpoint",
    "explain_tls",
    "is_address",
    "is_loopback",
    "proxy_for",
    "refusal_of_proxy",
    "trust",
]

#: Whose proxy serves a scheme that has none of its own.
_STANDS_FOR = {"ws": "http", "wss": "https"}
#: How each scheme of a proxy is understood. Names are resolved behind a SOCKS proxy, not here.
_PROXY_SCHEMES = {
    "http": "http",
    "https": "https",
    "socks": "socks5h",
    "socks5": "socks5h",
    "socks5h": "socks5h",
}
_PROXY_PORTS = {"http": 80, "https": 443, "socks5h": 1080}
#: What the HTTP stack and the WebSocket stack need for a SOCKS proxy.
_SOCKS_PACKAGES = ("socksio", "python_socks")

_CERTIFICATE_IN_A_FOLDER = re.compile(r"[0-9a-f]{8}\.[0-9]+", re.IGNORECASE)
#: OpenSSL's numbers for a certificate that nobody vouches for, as against one that is wrong.
_NOBODY_VOUCHES = {18, 19, 20, 21}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy on the way to a platform.

    Attributes:
        scheme: ``http``, ``https`` or ``socks5h``.
        host: its name or address.
        port: its port.
        setting: the variable that names it.
        username: None when it wants none.
        password: goes with the name; it may be empty.
    """

    scheme: str
    host: str
    port: int
    setting: str
    username: Secret | None = field(default=None, repr=False)
    password: Secret = field(default=Secret(), repr=False)

    @property
    def address(self) -> str:
        """Its URL without name and password."""
        return f"{self.scheme}://{endpoint(self.host, self.port)}"

    @property
    def url(self) -> Secret:
        """Its URL, with name and password percent-encoded."""
        if self.username is None:
            return Secret(self.address)
        credentials = f"{quote(self.username, safe='')}:{quote(self.password, safe='')}"
        return Secret(self.address.replace("://", f"://{credentials}@", 1))

    def __str__(self) -> str:
        return f"{self.address} ({self.setting})"


def endpoint(host: str, port: int) -> str:
    """Return ``host:port`` as a URL has it, and as errors name a peer."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_address(host: str) -> bool:
    """Return whether a host is an address, and no name that may have several."""
    return bool(_addresses(host))


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, to which no proxy is a way."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return any(each.is_loopback or each.is_unspecified for each in _addresses(name))


def proxy_for(scheme: str, host: str, port: int) -> Proxy | None:
    """Return the proxy for a connection; None when there is none on the way.

    For ``ws`` that is the first of WS_PROXY, HTTP_PROXY, ALL_PROXY and SOCKS_PROXY that is set,
    in small letters before capitals; for ``wss`` WSS_PROXY and HTTPS_PROXY take the place of the
    first two, and for ``http`` and ``https`` there are only the later three. Without any such
    variable the settings of macOS or Windows count.

    Args:
        scheme: ``http``, ``https``, ``ws`` or ``wss``.
        host: whom to connect to.
        port: where.

    Raises:
        SettingError: the proxy cannot be used.
    """
    if is_loopback(host):
        return None
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - see loading.py

    proxies = getproxies()
    names = (scheme, _STANDS_FOR.get(scheme, scheme), "all", "socks")
    name = next((name for name in names if proxies.get(name, "").strip()), None)
    if name is None:
        return None
    setting = _variable(name)
    if setting is None:
        if proxy_bypass(host):
            return None
        setting = "the system's proxy settings"
    elif _is_exempt(host, port, proxies.get("no", "")):
        return None
    return _read_proxy(proxies[name].strip(), setting, is_socks=name == "socks")


def refusal_of_proxy(proxy: Proxy, status: int | None) -> str:
    """Say that a proxy did not take a connection, by an HTTP status or without."""
    how = "" if status is None else f" with HTTP {status}"
    advice = ""
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        advice = ": it wants a name and a password, or other ones, as in http://name:password@host"
    return f"the proxy {proxy} refused the connection{how}{advice}"


def _variable(name: str) -> str | None:
    """Return which variable says it; small letters win, as in ``getproxies()``."""
    spellings = [key for key in os.environ if key.lower() == f"{name}_proxy" and os.environ[key]]
    return max(spellings, default=None, key=str.islower)


def _read_proxy(value: str, setting: str, *, is_socks: bool) -> Proxy:
    proxy = _parsed_proxy(value, setting, is_socks=is_socks)
    if proxy is None:
        raise SettingError(
            f"{setting} is not a proxy that can be used: http://, https:// or socks5://, a host"
            " and a port are needed (a / ? # or @ in its password is written %2F %3F %23 %40)",
            setting=setting,
        )
    if proxy.scheme == "socks5h" and not all(map(find_spec, _SOCKS_PACKAGES)):
        raise SettingError(
            f'{proxy} is a SOCKS proxy, which needs an extra: pip install "avatarwire[socks]"',
            setting=setting,
        )
    return proxy


def _parsed_proxy(value: str, setting: str, *, is_socks: bool) -> Proxy | None:
    """Return the proxy that a URL, or ``host:port`` alone, stands for; None for anything else."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    # macOS and Windows give their SOCKS proxy as http://.
    scheme = _PROXY_SCHEMES.get("socks" if is_socks else parts.scheme)
    is_plain = parts.path in {"", "/"} and not parts.query and not parts.fragment
    if (
        scheme is None
        or not host
        or port == 0
        or not is_plain
        or not host.isprintable()
        or " " in host
    ):
        return None
    return Proxy(
        scheme,
        host,
        port or _PROXY_PORTS[scheme],
        setting,
        None if parts.username is None else Secret(unquote(parts.username)),
        Secret(unquote(parts.password or "")),
    )


def _is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """Return whether NO_PROXY has an entry for a host; an entry that means nothing is no entry.

    An entry is ``*``, a name (which stands for its subdomains too), an address, or a network such
    as ``10.0.0.0/8`` or ``fd00::/8``; a name or an address may have a port.
    """
    name = host.lower().rstrip(".")
    addresses = _addresses(name)
    entries = no_proxy.lower().replace(",", " ").split()
    return any(_matches(entry, name, port, addresses) for entry in entries)


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _matches(entry: str, name: str, port: int, addresses: list[_Address]) -> bool:
    if entry == "*":
        return True
    bracketed = re.fullmatch(r"\[(.*)\](/\d+)?(?::(\d+))?", entry)
    if bracketed is not None:
        entry, prefix, only_port = bracketed.groups()
        entry += prefix or ""
    elif entry.count(":") == 1:
        entry, _, only_port = entry.partition(":")
    else:
        only_port = None
    if only_port is not None and only_port != str(port):
        return False
    if addresses:
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
        return any(address in network for address in addresses)
    suffix = entry.removeprefix("*").strip(".")
    return bool(suffix) and (name == suffix or name.endswith(f".{suffix}"))


def _addresses(host: str) -> list[_Address]:
    """Return the address that a host is, and the IPv4 address in it; nothing for a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return []
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return [address] if mapped is None else [address, mapped]


# Trust

#: What decides about certificates; an empty variable counts as none.
_TRUST_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")

_contexts: dict[tuple[str, ...], ssl.SSLContext] = {}
_lock = threading.Lock()


async def trust(ssl_context: ssl.SSLContext | None = None) -> ssl.SSLContext:
    """Return what to verify certificates with: ``ssl_context``, or else the system's authorities.

    The system's are loaded once for the process, in a thread, since that takes some 20 ms.
    SSL_CERT_FILE and SSL_CERT_DIR are honoured as OpenSSL does: each takes the place of the
    system's file, or of its folder.

    Raises:
        SettingError: a variable names a file or a folder that cannot be used.
    """
    if ssl_context is not None:
        return ssl_context
    values = tuple(os.environ.get(name, "") for name in _TRUST_VARIABLES)
    context = _contexts.get(values)
    return await asyncio.to_thread(_load_once, values) if context is None else context


def _load_once(values: tuple[str, ...]) -> ssl.SSLContext:
    with _lock:
        context = _contexts.get(values)
        if context is None:
            context = _contexts[values] = _load(*values)
        return context


def _load(file: str, folders: str, key_log: str) -> ssl.SSLContext:
    if sys.platform in {"darwin", "win32"} and not file and not folders:
        import truststore  # noqa: PLC0415 - a dependency on those systems only

        # OpenSSL knows nothing of their stores. Elsewhere truststore would read the whole store
        # anew for each connection: 20 ms in which the event loop stands still.
        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context = ssl.create_default_context()
    except OSError:
        raise SettingError(
            f"SSLKEYLOGFILE names a file that cannot be written: {key_log}", setting="SSLKEYLOGFILE"
        ) from None
    if file:
        # Loaded a second time: OpenSSL passes over in silence what it cannot use.
        try:
            context.load_verify_locations(cafile=file)
        except OSError as exc:
            raise SettingError(
                f"SSL_CERT_FILE names no file of certificates in PEM that can be read: {file}"
                f" ({exc.strerror or type(exc).__name__})",
                setting="SSL_CERT_FILE",
            ) from None
    if folders and not any(Path(folder).is_dir() for folder in folders.split(os.pathsep)):
        raise SettingError(f"SSL_CERT_DIR names no folder: {folders}", setting="SSL_CERT_DIR")
    if not file and not folders and _is_empty(context):
        import certifi  # noqa: PLC0415 - comes with httpx, and is seldom needed

        # A container without the system's certificates.
        context.load_verify_locations(cafile=certifi.where())
    return context


def _is_empty(context: ssl.SSLContext) -> bool:
    """Return whether the system has no authorities; those in a folder are loaded when needed."""
    folder = ssl.get_default_verify_paths().capath
    in_folder = folder is not None and any(
        _CERTIFICATE_IN_A_FOLDER.fullmatch(entry.name) for entry in Path(folder).iterdir()
    )
    return not in_folder and context.cert_store_stats()["x509_ca"] == 0


def explain_tls(exc: BaseException, endpoint: str) -> str | None:
    """Say what is wrong with a certificate, and what to do; None for any other failure.

    Args:
        exc: what a connection failed with; its causes are looked at too.
        endpoint: whose certificate it is.
    """
    cause: BaseException | None = exc
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    words = f"the certificate of {endpoint} is refused: {cause.verify_message}"
    if cause.verify_code not in _NOBODY_VOUCHES:
        return words
    return (
        f"{words}; to trust its authority, add it to the system's certificates or name it by"
        " ssl_context or SSL_CERT_FILE"
    )
