"""The network libraries, loaded in a thread.

On the event loop they would hold up every session of it for up to a quarter of a second.
"""

import asyncio
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avatarwire.transport.websocket import WebSocketConnection

__all__ = ["connect", "load"]

#: httpx loads two more with the first request, and Python the codec with the first host name.
_LIBRARIES = (
    "httpx",
    "httpcore",
    "anyio",
    "encodings.idna",
    "http.cookiejar",
    "urllib.request",
    "avatarwire.transport.opening",
)


async def load() -> None:
    """Return when the network libraries are loaded."""
    if not all(name in sys.modules for name in _LIBRARIES):
        await asyncio.to_thread(_load)


def _load() -> None:
    for name in _LIBRARIES:
        import_module(name)


async def connect(url: str, **options: Any) -> "WebSocketConnection":  # noqa: ANN401
    """Open a WebSocket connection; see ``opening.connect``."""
    await load()
    from avatarwire.transport import opening  # noqa: PLC0415 - see above

    return await opening.connect(url, **options)
