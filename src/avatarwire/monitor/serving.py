"""Sessions of a running program, shown to whoever has the token."""

import asyncio
import logging
import os
import secrets
import weakref
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as listen
from websockets.exceptions import ConnectionClosed

from avatarwire.monitor.feed import PATH, Feed, asked_sessions
from avatarwire.monitor.hosts import is_reached_as
from avatarwire.session import Session
from avatarwire.session.observing import watchers
from avatarwire.transport.secrets import as_secret

if TYPE_CHECKING:
    from websockets.asyncio.server import Server
    from websockets.http11 import Request, Response

__all__ = ["TOKEN_VARIABLE", "Monitor", "serve"]

TOKEN_VARIABLE = "AVATARWIRE_MONITOR_TOKEN"  # noqa: S105 - its name
#: A shorter one could be guessed.
LEAST_TOKEN = 16
LOOK_S = 0.5
MOST_VIEWERS = 8
#: More than a person can read.
MOST_LISTED = 200
MESSAGE_LIMIT_BYTES = 16_384


class Monitor:
    """What shows the sessions; ``serve`` makes it. An async context manager: leaving it ends it.

    Attributes:
        url: what ``avatarwire monitor`` takes.
        token: what it has to give; no repr and no log shows it.
    """

    def __init__(self, host: str, token: str, sessions: Iterable[Session]) -> None:
        self.token: str = as_secret(token)
        self.url: str = ""
        self._host = host
        self._sessions: weakref.WeakValueDictionary[int, Session] = weakref.WeakValueDictionary()
        self._viewers: set[ServerConnection] = set()
        self._server: Server | None = None
        for session in sessions:
            self._add(session)

    def __repr__(self) -> str:
        return f"<Monitor at {self.url or 'nowhere'}, {len(self._viewers)} look on>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def open(self, port: int) -> None:
        """Listen, and look at the sessions that begin from now on.

        Raises:
            OSError: the port cannot be had.
        """
        # In no hierarchy, so that nobody turns it on: it would show the headers of requests.
        quiet = logging.Logger("avatarwire.monitor.websockets", logging.CRITICAL + 1)  # noqa: LOG001
        self._server = await listen(
            self._show,
            self._host,
            port,
            process_request=self._refusal,
            compression=None,
            max_size=MESSAGE_LIMIT_BYTES,
            logger=quiet,
        )
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        watchers.append(self._add)

    async def close(self) -> None:
        """End it: nobody looks on any more. Safe to call twice."""
        if self._server is not None:
            watchers.remove(self._add)
            server, self._server = self._server, None
            server.close()
            await server.wait_closed()

    def _add(self, session: Session) -> None:
        self._sessions.pop(id(session), None)  # the newest is the last
        self._sessions[id(session)] = session

    def _refusal(self, connection: ServerConnection, request: "Request") -> "Response | None":
        """Return the answer to whoever may not look on."""
        headers = request.headers
        hosts = headers.get_all("Host")
        if len(hosts) != 1 or not is_reached_as(self._host, hosts[0]):
            return connection.respond(
                HTTPStatus.FORBIDDEN, "this Host is no name of the monitor: dial its address\n"
            )
        # Browsers name the page that asks; no page has business here.
        if "Origin" in headers:
            return connection.respond(HTTPStatus.FORBIDDEN, "no page may look on\n")
        given = headers.get_all("Authorization")
        expected = f"Bearer {self.token}".encode()
        is_known = len(given) == 1 and secrets.compare_digest(
            given[0].encode(errors="replace"), expected
        )
        if not is_known:
            return connection.respond(
                HTTPStatus.UNAUTHORIZED, f"the token is missing or wrong: set {TOKEN_VARIABLE}\n"
            )
        if request.path != PATH:
            return connection.respond(HTTPStatus.NOT_FOUND, f"the sessions are at {PATH}\n")
        if len(self._viewers) >= MOST_VIEWERS:
            return connection.respond(
                HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST_VIEWERS} look on already\n"
            )
        return None

    async def _show(self, connection: ServerConnection) -> None:
        self._viewers.add(connection)

        async def send(message: str) -> None:
            with suppress(ConnectionClosed):  # then the loop below ends too
                await connection.send(message)

        feed = Feed(self._listed, _describe, send, content=False, look_s=LOOK_S)
        telling = asyncio.create_task(feed.run())
        try:
            with suppress(ConnectionClosed):
                async for message in connection:
                    wanted = asked_sessions(message)
                    if wanted is not None:
                        await feed.watch(wanted)
        finally:
            self._viewers.discard(connection)
            telling.cancel()
            await asyncio.wait([telling])

    def _listed(self) -> list[Session]:
        running = [session for session in self._sessions.values() if session.ending is None]
        return running[-MOST_LISTED:]


async def serve(
    port: int = 0,
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    sessions: Iterable[Session] = (),
) -> Monitor:
    """Show this program's sessions to ``avatarwire monitor``, from now until it is closed.

    Sessions that begin after it are found by themselves. Lengths and levels are shown, and no
    words and no sound. While nobody looks on, nothing is spent on it but a look at each start.

    Example::

        async with await monitor.serve(8123):
            ...

    Args:
        port: where to listen; 0 picks a free one.
        host: the address; loopback unless you decide otherwise.
        token: what whoever looks on has to give, 16 characters at least; by default that of
            ``AVATARWIRE_MONITOR_TOKEN``, and where there is none a new one.
        sessions: those that have begun already.

    Raises:
        ValueError: the token is too short, or no header can carry it.
        OSError: the port cannot be had.
    """
    token = token or os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(24)
    if len(token) < LEAST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise ValueError(
            f"the monitor's token must be {LEAST_TOKEN} or more characters of ASCII without"
            f" spaces: give another, by token= or {TOKEN_VARIABLE}"
        )
    made = Monitor(host, token, sessions)
    await made.open(port)
    return made


def _describe(session: Any) -> dict[str, object]:  # noqa: ANN401 - a Session, as Feed hands it back
    stats = session.stats()
    return {
        "is_connected": stats.is_connected,
        "reconnects": stats.reconnects,
        "turns": stats.turns_started,
        "sent_ms": round(stats.audio_sent_ms),
        "dropped_ms": round(stats.audio_dropped_ms),
        "queued_ms": round(stats.queued_ms),
        "queued_bytes": stats.backlog_bytes + stats.buffered_bytes,
        "late_ms": round(stats.lateness_max_ms, 1),
        "underruns": stats.underruns,
    }
