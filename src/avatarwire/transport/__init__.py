"""One supervised connection to a platform, and REST calls beside it.

Bytes and text only: what they mean is the business of the rooms above. The WebSocket and HTTP
libraries are loaded with the first name that needs them, which a session uses when it starts.
"""

from typing import TYPE_CHECKING

from avatarwire._lazy import lazy_names

if TYPE_CHECKING:
    from avatarwire.transport.backoff import ExponentialBackoffStrategy
    from avatarwire.transport.connection import Connection
    from avatarwire.transport.heartbeat import Heartbeat
    from avatarwire.transport.link import Link
    from avatarwire.transport.memory import MemoryConnection, memory_pair
    from avatarwire.transport.rest import Response, get_json, post_json, shared_client
    from avatarwire.transport.secrets import are_legal, redacted
    from avatarwire.transport.websocket import WebSocketConnection, connect

__all__ = [
    "Connection",
    "ExponentialBackoffStrategy",
    "Heartbeat",
    "Link",
    "MemoryConnection",
    "Response",
    "WebSocketConnection",
    "are_legal",
    "connect",
    "get_json",
    "memory_pair",
    "post_json",
    "redacted",
    "shared_client",
]

_HOMES = {
    "avatarwire.transport.backoff": "ExponentialBackoffStrategy",
    "avatarwire.transport.heartbeat": "Heartbeat",
    "avatarwire.transport.link": "Link",
    "avatarwire.transport.memory": "MemoryConnection memory_pair",
    "avatarwire.transport.connection": "Connection",
    "avatarwire.transport.rest": "Response get_json post_json shared_client",
    "avatarwire.transport.secrets": "are_legal redacted",
    "avatarwire.transport.websocket": "WebSocketConnection connect",
}

if not TYPE_CHECKING:  # a type checker shall know a misspelt name
    __getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
