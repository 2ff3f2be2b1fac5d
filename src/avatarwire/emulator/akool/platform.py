"""The Akool platform on this machine: discovery and WebSocket on one port."""

import asyncio
import functools
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from os import PathLike
from types import TracebackType
from typing import Literal, Self

from aiohttp import web

from avatarwire.emulator.akool.controls import AkoolControls
from avatarwire.emulator.akool.faults import AkoolFaults, DiscoveryFault
from avatarwire.emulator.akool.session import AkoolSession
from avatarwire.emulator.arrivals import Arrivals
from avatarwire.emulator.playground import Agents, Playground
from avatarwire.emulator.server import Server, close_on_demand, is_same_key, new_socket
from avatarwire.recording import Source

__all__ = ["AkoolEmulator", "AkoolInstance"]

DISCOVERY_PATH = "/streamingAvatar/service_status"
WEBSOCKET_PATH = "/streamingAvatar/ws/v1"
# Over two minutes of sound in one message.
MESSAGE_LIMIT_BYTES = 8 * 1024 * 1024
OCCUPIED = 4003

log: logging.Logger = logging.getLogger("avatarwire.emulator")


@dataclass(slots=True, kw_only=True)
class AkoolInstance:
    """One server of the platform; change it at any time, except ``dead``.

    Attributes:
        avatar_id: the avatar that discovery says it holds; empty: whichever is asked for.
        status: what discovery says of it: ``available``, or another word.
        healthy: what discovery says of its health.
        dead: it drops every connection before a byte is answered.
        occupied: it closes every connection with 4003, whatever discovery says.
        dials: how many connections have come to it.
        port: where it listens; set by the emulator.
    """

    avatar_id: str = ""
    status: str = "available"
    healthy: bool = True
    dead: bool = False
    occupied: bool = False
    dials: int = 0
    port: int = 0


class AkoolEmulator:
    """An Akool platform to run against, as an async context manager.

    It answers both wire forms as documented; nothing is rendered. The first instance that is not
    dead shares its port with discovery, the others have ports of their own. Sessions and all that
    they received are kept until the emulator is dropped.

    Args:
        host: the address to listen on; loopback unless you decide otherwise. Pages of other
            sites are refused, and so is a Host that is no name of it: on loopback ``localhost``
            and loopback addresses are, elsewhere any address, this machine's name and ``host``.
        allowed_hosts: further names that it is reached by, such as that of a container or of a
            proxy in front of it.
        port: discovery's; 0 picks a free one.
        api_key: the only key to accept; None accepts any, and none.
        instances: the platform's servers; also the ``instances`` attribute. One, unless given.
        discovery: the form of discovery's answer: "instances", as the service sends it, or
            "services", as the published README shows it.
        record_dir: where each session's sound (WAV) and transcript (JSON lines) go when its
            connection ends, called after its id, numbered where that name is taken; made when
            missing. Tokens are not written down.
        playground: serve a page at ``playground_url`` that shows the sessions in a browser, and
            lets whoever opens it, without a key, break things.
        faults: what goes wrong; also the ``faults`` attribute, at any time.

    Attributes:
        sessions: every session, in the order of their first connection.
        discovery_queries: the query of each question for instances.

    Raises:
        TypeError, ValueError: ``allowed_hosts`` is no list of names.
        OSError: on entering, the port or ``record_dir`` cannot be had.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        allowed_hosts: Collection[str] = (),
        api_key: str | None = None,
        instances: Sequence[AkoolInstance] | None = None,
        discovery: Literal["instances", "services"] = "instances",
        record_dir: str | PathLike[str] | None = None,
        playground: bool = False,
        faults: AkoolFaults | None = None,
    ) -> None:
        self.faults: AkoolFaults = faults or AkoolFaults()
        self.instances: list[AkoolInstance] = (
            [AkoolInstance()] if instances is None else list(instances)
        )
        self.sessions: list[AkoolSession] = []
        self.discovery_queries: list[dict[str, str]] = []
        self._api_key = api_key
        self._discovery = discovery
        self._has_playground = playground
        self._agents = Agents()
        self._arrivals = Arrivals(self.sessions)
        self._server = Server(host, port, record_dir, lambda: self.faults, allowed_hosts)
        self._news = asyncio.Event()

    @property
    def discovery_url(self) -> str:
        """What a client takes as its discovery URL."""
        return self._server.url + DISCOVERY_PATH

    @property
    def server_url(self) -> str:
        """What a client takes as its server URL: the first instance that is not dead."""
        return self._server.url

    @property
    def playground_url(self) -> str:
        """Where a browser finds the page, if there is one."""
        return self._server.url + "/"

    def show_agent(self, agent: Source) -> None:
        """Have the page show what an agent of this program writes, which no platform knows."""
        self._agents.add(agent)

    def observe_sessions(self, began: Callable[[Source], Callable[[], None]]) -> Callable[[], None]:
        """Call ``began`` for each session, those so far first; return what ends it.

        What ``began`` returns is called when the emulator lets go of that session. ``Recorder``
        observes them.
        """
        return self._arrivals.observe(began)

    async def __aenter__(self) -> Self:
        async with self._server.opening():
            app = web.Application()
            app.router.add_get(DISCOVERY_PATH, self._discover)
            if self._has_playground:
                controls = AkoolControls(self.sessions, lambda: self.faults)
                Playground(controls, self._agents).add_to(app)
            has_instance = False
            for instance in self.instances:
                if instance.dead:
                    instance.port = await self._listen_dead(instance)
                elif has_instance:
                    other = web.Application()
                    self._add(instance, other)
                    instance.port = await self._server.open_another(other)
                else:
                    has_instance = True
                    self._add(instance, app)
            await self._server.open(app)
            for instance in self.instances:
                instance.port = instance.port or self._server.port
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.close(self.sessions)

    async def wait_for_session(self, count: int = 1, timeout_s: float = 5.0) -> AkoolSession:
        """Return the session of that number, from 1, as soon as it has connected.

        Raises:
            TimeoutError: it did not come.
        """
        async with asyncio.timeout(timeout_s):
            while len(self.sessions) < count:
                self._news.clear()
                await self._news.wait()
        return self.sessions[count - 1]

    def fail_next_discovery(
        self, *, status: int = 200, body: object = "", no_answer: bool = False, times: int = 1
    ) -> None:
        """Let the next ``times`` questions for instances fail; see ``DiscoveryFault``."""
        fault = DiscoveryFault(status=status, body=body, no_answer=no_answer)
        self.faults.discoveries.extend([fault] * times)

    def refuse_next(self, code: int, *, times: int = 1) -> None:
        """Refuse the next ``times`` connections with an HTTP status, or a close code from 1000."""
        self.faults.handshakes.extend([code] * times)

    def _add(self, instance: AkoolInstance, app: web.Application) -> None:
        app.router.add_get(WEBSOCKET_PATH, functools.partial(self._connect, instance))

    async def _listen_dead(self, instance: AkoolInstance) -> int:
        def drop(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            instance.dials += 1
            writer.transport.abort()

        server = await asyncio.start_server(drop, self._server.host, 0)
        self._server.resources.callback(server.close)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _discover(self, request: web.Request) -> web.StreamResponse:
        self.discovery_queries.append(dict(request.query))
        self._server.narrow()
        if self.faults.discoveries:
            return await self._fail(self.faults.discoveries.popleft())
        if not self._authorised(request):
            return web.json_response({"code": 4001, "msg": "invalid api_key", "data": None})
        host = request.url.host
        if self._discovery == "services":
            services = [
                {
                    "host": host,
                    "port": instance.port,
                    "status": "active" if instance.status == "available" else instance.status,
                }
                for instance in self.instances
                if instance.healthy
            ]
            return web.json_response({"success": True, "data": {"services": services}})
        instances = [
            {
                "ip": host,
                "port": instance.port,
                "avatar_id": instance.avatar_id or request.query.get("avatar_id", ""),
                "status": instance.status,
                "healthy": instance.healthy,
                "index": index,
            }
            for index, instance in enumerate(self.instances)
        ]
        return web.json_response({"code": 1000, "msg": "OK", "data": {"instances": instances}})

    async def _fail(self, fault: DiscoveryFault) -> web.StreamResponse:
        what = "left without an answer" if fault.no_answer else f"answered HTTP {fault.status}"
        log.info("discovery %s, on demand", what)
        if fault.no_answer:
            await self._server.ending.wait()
            return web.Response(status=503)
        if isinstance(fault.body, str):
            return web.Response(text=fault.body, content_type="text/html", status=fault.status)
        return web.json_response(fault.body, status=fault.status)

    async def _connect(self, instance: AkoolInstance, request: web.Request) -> web.StreamResponse:
        instance.dials += 1
        refusal = self.faults.handshakes.popleft() if self.faults.handshakes else None
        if refusal is None and instance.occupied:
            refusal = OCCUPIED
        if refusal is not None:
            log.info("connection refused with %d, on demand", refusal)
        if refusal is not None and refusal < 1000:
            return web.Response(text="fault on demand", status=refusal)
        if not self._authorised(request):
            return web.Response(text="invalid api_key", status=401)
        session_id, avatar_id = request.query.get("session_id"), request.query.get("avatar_id")
        if not session_id or not avatar_id:
            return web.Response(text="session_id and avatar_id are required", status=400)
        socket = new_socket(MESSAGE_LIMIT_BYTES)
        if not socket.can_prepare(request).ok:
            return web.Response(text="this address takes WebSocket connections only", status=426)
        if refusal is not None:
            return await close_on_demand(socket, request, refusal)
        await socket.prepare(request)
        session = self._session(session_id, avatar_id)
        await self._server.serve(session, socket, request, self.faults)
        return socket

    def _session(self, session_id: str, avatar_id: str) -> AkoolSession:
        for session in self.sessions:
            if (session.session_id, session.avatar_id) == (session_id, avatar_id):
                return session
        session = AkoolSession(session_id, avatar_id, self._api_key)
        self.sessions.append(session)
        self._arrivals.begin(session)
        self._news.set()
        return session

    def _authorised(self, request: web.Request) -> bool:
        given = request.headers.get("api_key", "")
        return self._api_key is None or is_same_key(given, self._api_key)
