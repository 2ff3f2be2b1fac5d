"""One supervised connection to a platform, and REST calls beside it.

Bytes and text only: what they mean is the business of the rooms above. The WebSocket and HTTP
libraries are loaded when a session starts, in a thread.
"""

from typing import TYPE_CHECKING

from avatarwire._lazy import lazy_names

if TYPE_CHECKING:
    from avatarwire.transport.backoff import ExponentialBackoffStrategy
    from avatarwire.transport.connection import Connection, Listener
    from avatarwire.transport.environment import is_loopback
    from avatarwire.transport.heartbeat import Heartbeat
    from avatarwire.transport.link import Link, Receiver
    from avatarwire.transport.loading import connect
    from avatarwire.transport.memory import MemoryConnection, memory_pair
    from avatarwire.transport.rest import (
        Response,
        RestClient,
        borrow_client,
        get_json,
        post_json,
        return_client,
        shared_client,
    )
    from avatarwire.transport.secrets import (
        KeepsSecrets,
        Secret,
        SecretBytes,
        are_legal,
        as_secret,
        made_of_secrets,
        redacted,
        secrets_in_url,
    )
    from avatarwire.transport.websocket import WebSocketConnection

__all__ = [
    "Connection",
    "ExponentialBackoffStrategy",
    "Heartbeat",
    "KeepsSecrets",
    "Link",
    "Listener",
    "MemoryConnection",
    "Receiver",
    "Response",
    "RestClient",
    "Secret",
    "SecretBytes",
    "WebSocketConnection",
    "are_legal",
    "as_secret",
    "borrow_client",
    "connect",
    "get_json",
    "is_loopback",
    "made_of_secrets",
    "memory_pair",
    "post_json",
    "redacted",
    "return_client",
    "secrets_in_url",
    "shared_client",
]

_HOMES = {
    "avatarwire.transport.backoff": "ExponentialBackoffStrategy",
    "avatarwire.transport.heartbeat": "Heartbeat",
    "avatarwire.transport.environment": "is_loopback",
    "avatarwire.transport.link": "Link Receiver",
    "avatarwire.transport.loading": "connect",
    "avatarwire.transport.memory": "MemoryConnection memory_pair",
    "avatarwire.transport.connection": "Connection Listener",
    "avatarwire.transport.rest": (
        "Response RestClient borrow_client get_json post_json return_client shared_client"
    ),
    "avatarwire.transport.secrets": (
        "KeepsSecrets Secret SecretBytes are_legal as_secret made_of_secrets redacted"
        " secrets_in_url"
    ),
    "avatarwire.transport.websocket": "WebSocketConnection",
}

if not TYPE_CHECKING:  # a type checker shall know a misspelt name
    __getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
