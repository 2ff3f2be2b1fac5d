"""One port of this machine, for REST and WebSocket."""

import logging

from aiohttp import web
from aiohttp.http import HttpProcessingError

__all__ = ["listen", "origin", "printable"]

http_log: logging.Logger = logging.getLogger("avatarwire.emulator.http")

SHUTDOWN_TIMEOUT_S = 5.0


async def listen(app: web.Application, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Serve an application; give what ends it, and the port.

    Args:
        app: the application.
        host: the address to listen on.
        port: 0 picks a free one.

    Raises:
        OSError: the port cannot be had.
    """
    # No access log: it would hold the one-time tokens.
    runner = web.AppRunner(
        app, access_log=None, logger=http_log, shutdown_timeout=SHUTDOWN_TIMEOUT_S
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except BaseException:
        await runner.cleanup()
        raise
    return runner, runner.addresses[0][1]


def origin(host: str, port: int) -> str:
    """Give the URL under which a client on this machine reaches a listening address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def printable(name: str) -> str:
    """Keep a client's words from breaking or filling a log line."""
    return name if name.isprintable() and len(name) <= 64 else ascii(name[:64])


def _without_request_bytes(record: logging.LogRecord) -> bool:
    """Leave out the traceback of a malformed request: it quotes what the client sent."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        record.exc_info = None
        # So aiohttp up to 3.14.3 calls one that follows a declined upgrade.
        if record.msg == "Unhandled exception":
            record.msg = "Error handling request: it is malformed"
    return True


http_log.addFilter(_without_request_bytes)
