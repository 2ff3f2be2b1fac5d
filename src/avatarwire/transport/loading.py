"""The network libraries, loaded in a thread.

On the event loop they would hold up every session of it for up to a quarter of a second.
"""

import asyncio
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from avatarwire.errors import ConnectFailedError

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


#: How long that may take: a disk that is gone is no reason to wait for ever.
LOAD_LIMIT_S = 30.0


async def load() -> None:
    """Return when the network libraries are loaded.

    Raises:
        ConnectFailedError: they are not after ``LOAD_LIMIT_S``.
    """
    if all(name in sys.modules for name in _LIBRARIES):
        return
    try:
        async with asyncio.timeout(LOAD_LIMIT_S):
            await asyncio.to_thread(_load)
    except TimeoutError:
        raise ConnectFailedError(
            f"the network libraries did not load within {LOAD_LIMIT_S:g} s: can the disk that"
            " Python's packages are on be read?"
        ) from None


def _load() -> None:
    for name in _LIBRARIES:
        import_module(name)


async def connect(url: str, **options: Any) -> "WebSocketConnection":  # noqa: ANN401
    """Open a WebSocket connection; see ``opening.connect``."""
    await load()
    from avatarwire.transport import opening  # noqa: PLC0415 - see above

    return await opening.connect(url, **options)
