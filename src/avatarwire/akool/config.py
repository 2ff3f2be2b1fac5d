"""What a client is told before it connects."""

import math
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, urlsplit

from avatarwire._checks import UNUSABLE_KEY, is_number, is_usable_key, is_whole
from avatarwire.akool.exceptions import AuthenticationError, ConfigurationError
from avatarwire.transport import KeepsSecrets, made_of_secrets, redacted

if TYPE_CHECKING:
    import ssl

__all__ = ["DISCOVERY_URL", "ClientConfig", "Instance"]

#: The platform's own; the spelling of its name is theirs.
DISCOVERY_URL = "http://sa-websocekt.akool.io:8051/streamingAvatar/service_status"

_DISCOVERY_PATH = "/streamingAvatar/service_status"
_WEBSOCKET_PATH = "/streamingAvatar/ws/v1"
_SECURE = {"https", "wss"}


@dataclass(frozen=True, slots=True)
class Instance:
    """One server of the platform.

    Attributes:
        ip: its address or host name.
        port: its port.
        avatar_id: the avatar that it holds ready; empty when discovery does not say.
        status: the platform's word for it.
        healthy: whether the platform calls it healthy.
        index: the platform's number for it.
        secure: dialled over TLS.
    """

    ip: str
    port: int
    avatar_id: str = ""
    status: str = "available"
    healthy: bool = True
    index: int = 0
    secure: bool = False

    @property
    def is_available(self) -> bool:
        """Whether it takes new sessions; the README's form of discovery calls that active."""
        return self.healthy and self.status in {"available", "active"}

    @property
    def websocket_url(self) -> str:
        """Where its WebSocket is, without the query."""
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{'wss' if self.secure else 'ws'}://{host}:{self.port}{_WEBSOCKET_PATH}"


@made_of_secrets
@dataclass(kw_only=True, slots=True, eq=False)
class ClientConfig(KeepsSecrets):
    """Configuration of a client; see ``StreamingAvatarClient`` for what each setting means.

    Raises:
        AuthenticationError: ``api_key`` or ``avatar_id`` is missing, or the key fits no header.
        ConfigurationError: another setting cannot work.
    """

    api_key: str = field(repr=False)
    avatar_id: str
    discovery_url: str = DISCOVERY_URL
    session_id: str | None = None
    max_retry_attempts: int = 3
    heartbeat_interval: float = 30
    connection_timeout: float = 30
    discovery_timeout: float = 10
    env: str = "test"
    server_url: str | None = None
    wire: Literal["envelope", "flat"] = "envelope"
    message_timeout: float = 10
    pong_timeout: float = 10
    reconnect: bool = False
    reconnect_max_attempts: int = 10
    max_message_bytes: int = 1_048_576
    ssl_context: "ssl.SSLContext | None" = field(default=None, repr=False)
    agora_token: str = field(default="", init=False, repr=False)

    def __post_init__(self) -> None:
        # The published client's documentation also has (api_key, discovery_url, avatar_id).
        if _is_url(self.avatar_id) and not _is_url(self.discovery_url):
            self.avatar_id, self.discovery_url = self.discovery_url, self.avatar_id
        elif _is_url(self.avatar_id) and self.discovery_url == DISCOVERY_URL:
            raise AuthenticationError(
                "avatar_id is required: the second argument is a URL", setting="avatar_id"
            )
        for name, value in (("api_key", self.api_key), ("avatar_id", self.avatar_id)):
            if not isinstance(value, str) or not value.strip():
                raise AuthenticationError(f"{name} is required: a non-empty str", setting=name)
        if not is_usable_key(self.api_key):
            raise AuthenticationError(
                UNUSABLE_KEY,
                setting="api_key",
            )
        if self.session_id is not None and not isinstance(self.session_id, str):
            raise ConfigurationError(
                f"session_id must be str, not {type(self.session_id).__name__}",
                setting="session_id",
            )
        self.session_id = self.session_id or str(uuid.uuid4())
        if self.env not in {"test", "prod"}:
            raise ConfigurationError(
                f'env must be "test" or "prod", not {self.env!r}', setting="env"
            )
        if self.wire not in {"envelope", "flat"}:
            raise ConfigurationError(
                f'wire must be "envelope" or "flat", not {self.wire!r}', setting="wire"
            )
        self._check_numbers()
        # The addresses too: a wrong one is told here, not when it is dialled.
        _split(self.discovery_url, "discovery_url", {"http", "https"})
        self.direct_instance()

    def redacted(self, words: str) -> str:
        """Take the key, and the token that the platform was given last, out of its words."""
        return redacted(words, self.api_key, self.agora_token)

    def discovery_request(self) -> tuple[str, dict[str, str]]:
        """Return the URL of discovery, and its query."""
        url = _split(self.discovery_url, "discovery_url", {"http", "https"})
        query = {"avatar_id": self.avatar_id}
        if self.env == "test":
            query["group_name"] = "WEBSOCKET_GROUP_TEST"
        return f"{url.scheme}://{url.netloc}{_DISCOVERY_PATH}", query

    def direct_instance(self) -> Instance | None:
        """Return the instance that ``server_url`` names, or None. The path is not used."""
        if self.server_url is None or self.server_url == "":
            return None
        if not isinstance(self.server_url, str):
            raise ConfigurationError(
                f"server_url must be str, not {type(self.server_url).__name__}",
                setting="server_url",
            )
        address = self.server_url.strip()
        url = _split(
            address if "://" in address else f"ws://{address}",
            "server_url",
            {"http", "https", "ws", "wss"},
        )
        secure = url.scheme in _SECURE
        port = url.port or (443 if secure else 80)
        return Instance(url.hostname or "", port, self.avatar_id, secure=secure)

    def _check_numbers(self) -> None:
        for name in (
            "heartbeat_interval",
            "connection_timeout",
            "discovery_timeout",
            "message_timeout",
            "pong_timeout",
        ):
            value = getattr(self, name)
            if not is_number(value) or not (math.isfinite(value) and value > 0):
                raise ConfigurationError(
                    f"{name} must be a positive number of seconds, not {value!r}", setting=name
                )
        for name in ("max_retry_attempts", "reconnect_max_attempts", "max_message_bytes"):
            value = getattr(self, name)
            if not is_whole(value) or value < 1:
                raise ConfigurationError(
                    f"{name} must be a whole number from 1, not {value!r}", setting=name
                )


def _is_url(text: object) -> bool:
    return isinstance(text, str) and text.startswith(("http://", "https://"))


def _split(url: object, name: str, schemes: set[str]) -> SplitResult:
    """Take a URL apart.

    Raises:
        ConfigurationError: not a URL of those schemes with a host, or one with a name, a password
            or a query; it is not quoted, since it may hold one.
    """
    parts = None
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        usable = (
            parts is not None
            and parts.scheme in schemes
            and bool(parts.hostname)
            and parts.port != 0
            and (parts.hostname or "").isprintable()
            and " " not in parts.netloc
        )
        has_credentials = parts is not None and parts.username is not None
    except ValueError:
        usable = has_credentials = False
    if has_credentials:
        # They would end up in logs, and nothing here asks for them.
        raise ConfigurationError(
            f"{name} has a name or a password before its host: leave them out, the platform is told"
            " the API key",
            setting=name,
        )
    if usable and isinstance(url, str) and set("?#") & set(url):
        # Nothing of it is sent, and what is there may be a key: a repr would show it.
        raise ConfigurationError(
            f"{name} has a ? or a #: leave out what begins there, only the host and the port are"
            " used",
            setting=name,
        )
    if parts is None or not usable:
        names = ", ".join(f"{scheme}://" for scheme in sorted(schemes))
        example = "host:port" if name == "server_url" else DISCOVERY_URL
        raise ConfigurationError(
            f"{name} must be a URL of {names} with a host, such as {example}", setting=name
        )
    return parts
