"""The ports of one platform on this machine, and what becomes of a connection to them."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from os import PathLike
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any, TypeVar, cast

from aiohttp import WSCloseCode, web
from aiohttp.http import HttpProcessingError

from avatarwire.emulator.origins import checked_names, only_own
from avatarwire.emulator.recorded_session import RecordedSession
from avatarwire.emulator.slow_link import LinkFaults, SlowLink, receive_buffer_bytes

__all__ = [
    "HTML",
    "Server",
    "close_on_demand",
    "is_same_key",
    "listen",
    "new_socket",
    "origin",
    "port_of",
]

http_log: logging.Logger = logging.getLogger("avatarwire.emulator.http")

SHUTDOWN_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 1.0
#: What a proxy in between answers when the platform does not.
HTML = "<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"

FaultsT = TypeVar("FaultsT")


class Server:
    """Where a platform listens, and where it writes down its sessions.

    Args:
        host: the address to listen on.
        port: the platform's; 0 picks a free one.
        record_dir: where recordings go; made when missing. None: they are not made.
        faults: how slow the link is, asked for at any time; None: it is not slow.
        allowed_hosts: further names that it is reached by.

    Raises:
        TypeError, ValueError: ``allowed_hosts`` is no list of names.

    Attributes:
        host: the address.
        port: the platform's; the one that was picked, once it is open.
        ending: set when the platform ends.
        resources: what is closed at the end.
    """

    def __init__(
        self,
        host: str,
        port: int,
        record_dir: str | PathLike[str] | None,
        faults: Callable[[], LinkFaults] | None = None,
        allowed_hosts: Collection[str] = (),
    ) -> None:
        # An empty one means every address, by IPv4 and IPv6, with a free port of its own for each.
        self.host: str = host or "0.0.0.0"  # noqa: S104
        self.port: int = port
        self.ending: asyncio.Event = asyncio.Event()
        self.resources: contextlib.AsyncExitStack = contextlib.AsyncExitStack()
        self._allowed = checked_names(allowed_hosts)
        self._record_dir = None if record_dir is None else Path(record_dir)
        self._faults = faults or LinkFaults
        self._listeners: list[asyncio.Server] = []

    @property
    def url(self) -> str:
        """Where a client on this machine reaches the platform."""
        return origin(self.host, self.port)

    @contextlib.asynccontextmanager
    async def opening(self) -> AsyncIterator[None]:
        """Make the folder of the recordings; close all that is open if the body fails.

        Raises:
            OSError: the folder cannot be made.
        """
        if self._record_dir is not None:
            await asyncio.to_thread(self._record_dir.mkdir, parents=True, exist_ok=True)
        try:
            yield
        except BaseException:
            await self.resources.aclose()
            raise

    async def open(self, app: web.Application) -> None:
        """Serve an application on the platform's port.

        Raises:
            OSError: the port cannot be had.
        """
        self.port = await self.open_another(app, self.port)

    async def open_another(self, app: web.Application, port: int = 0) -> int:
        """Serve an application; return its port.

        Raises:
            OSError: the port cannot be had.
        """
        runner, listener = await listen(app, self.host, port, self._faults, self._allowed)
        self.resources.push_async_callback(runner.cleanup)
        self.resources.callback(listener.close)
        self._listeners.append(listener)
        self.narrow()
        return port_of(listener)

    def narrow(self) -> None:
        """Set a receive buffer for coming connections that is as small as the link is slow."""
        buffer_bytes = receive_buffer_bytes(self._faults())
        if buffer_bytes is not None:
            for listener in self._listeners:
                for socket in listener.sockets:
                    socket.setsockopt(SOL_SOCKET, SO_RCVBUF, buffer_bytes)

    async def close(self, sessions: Sequence[RecordedSession[Any]]) -> None:
        """End the sessions that are connected, then stop listening."""
        self.ending.set()
        await asyncio.gather(*(session.close(WSCloseCode.GOING_AWAY) for session in sessions))
        await self.resources.aclose()

    async def serve(
        self,
        session: RecordedSession[FaultsT],
        socket: web.WebSocketResponse,
        request: web.Request,
        faults: FaultsT,
    ) -> None:
        """Run a session's connection to its end, and record the session."""
        try:
            await session.serve(socket, request, faults)
        finally:
            if self._record_dir is not None:
                await session.record(self._record_dir)


async def listen(
    app: web.Application,
    host: str,
    port: int,
    faults: Callable[[], LinkFaults] = LinkFaults,
    allowed: Collection[str] = (),
) -> tuple[web.AppRunner, asyncio.Server]:
    """Serve an application, to all but the pages of other sites.

    Args:
        app: the application.
        host: the address to listen on.
        port: 0 picks a free one.
        faults: how slow the link is, asked for at any time.
        allowed: further names that it is reached by, as ``checked_names`` returns them.

    Returns:
        What ends it, once the second, which listens, has been closed.

    Raises:
        OSError: the port cannot be had.
    """
    app.middlewares.append(only_own(host, allowed))
    # No access log: it would hold the one-time tokens.
    runner = web.AppRunner(
        app, access_log=None, logger=http_log, shutdown_timeout=SHUTDOWN_TIMEOUT_S
    )
    await runner.setup()
    try:
        serve = cast("Callable[[], asyncio.Protocol]", runner.server)  # there is one after setup()
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(lambda: SlowLink(serve(), faults), host, port)
    except BaseException:
        await runner.cleanup()
        raise
    return runner, listener


def port_of(listener: asyncio.Server) -> int:
    """Return the port that a server listens on."""
    port: int = listener.sockets[0].getsockname()[1]
    return port


def origin(host: str, port: int) -> str:
    """Return the URL under which a client on this machine reaches a listening address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def new_socket(message_limit_bytes: int) -> web.WebSocketResponse:
    """Return what a connection becomes once it is prepared."""
    return web.WebSocketResponse(
        timeout=CLOSE_TIMEOUT_S, compress=False, max_msg_size=message_limit_bytes
    )


async def close_on_demand(
    socket: web.WebSocketResponse, request: web.Request, code: int
) -> web.WebSocketResponse:
    """Take a connection and close it at once, as a fault says."""
    await socket.prepare(request)
    await socket.close(code=code, message=b"fault on demand")
    return socket


def is_same_key(given: str, expected: str) -> bool:
    """Return whether a key is the right one, in the same time for each wrong one, text or not."""
    return secrets.compare_digest(
        given.encode(errors="backslashreplace"), expected.encode(errors="backslashreplace")
    )


def _without_request_bytes(record: logging.LogRecord) -> bool:
    """Leave out the traceback of a malformed request: it quotes what the client sent."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        record.exc_info = None
        # So aiohttp up to 3.14.3 calls one that follows a declined upgrade.
        if record.msg == "Unhandled exception":
            record.msg = "Error handling request: it is malformed"
    return True


http_log.addFilter(_without_request_bytes)
