"""What a platform serves beside its own protocol: a page, its files, and its WebSocket."""

from importlib import resources

from aiohttp import WSCloseCode, web

from avatarwire.emulator.playground.agents import Agents
from avatarwire.emulator.playground.controls import Controls
from avatarwire.emulator.playground.viewer import Viewer, spare
from avatarwire.emulator.server import new_socket
from avatarwire.monitor.feed import PATH

__all__ = ["Playground"]

LIVE_PATH = "/playground/live"
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
#: A third of a second of sound is far less.
MESSAGE_LIMIT_BYTES = 65_536
MOST_VIEWERS = 16
#: The page has no script and no style but its own files, and sends nothing elsewhere.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-cache",
}


class Playground:
    """The page of one platform; it is added to the application that serves the platform.

    Pages of other sites are kept away as they are from the platform: by their Origin and Host.

    Args:
        controls: what the platform lets the page do.
        agents: what agents of the same program tell.
    """

    def __init__(self, controls: Controls, agents: Agents) -> None:
        self._controls = controls
        self._agents = agents
        self._sockets: set[web.WebSocketResponse] = set()
        folder = resources.files("avatarwire.emulator.playground").joinpath("static")
        self._files = {
            each.name: (each.read_bytes(), TYPES[each.name[each.name.rindex(".") :]])
            for each in folder.iterdir()
            if each.name.endswith(tuple(TYPES))
        }

    def add_to(self, app: web.Application) -> None:
        """Serve it at ``/`` and below ``/playground/``."""
        app.router.add_get("/", self._page)
        app.router.add_get(LIVE_PATH, self._live)
        app.router.add_get(PATH, self._live)  # a monitor asks every program there
        app.router.add_get("/playground/{name}", self._file)
        app.on_shutdown.append(self._end)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        return self._answer(request, "index.html")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return self._answer(request, request.match_info["name"])

    def _answer(self, request: web.Request, name: str) -> web.Response:
        spare(request)
        if name not in self._files:
            return web.Response(text="there is no such file", status=404)
        body, type_ = self._files[name]
        return web.Response(body=body, content_type=type_, charset="utf-8", headers=HEADERS)

    async def _live(self, request: web.Request) -> web.StreamResponse:
        spare(request)
        socket = new_socket(MESSAGE_LIMIT_BYTES)
        if not socket.can_prepare(request).ok:
            return web.Response(text="this address takes WebSocket connections only", status=426)
        if len(self._sockets) >= MOST_VIEWERS:
            return web.Response(text=f"{MOST_VIEWERS} pages look on already", status=503)
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            await Viewer(self._controls, self._agents, socket).run()
        except ConnectionError:
            pass  # it went while it was told something
        finally:
            self._sockets.discard(socket)
        return socket

    async def _end(self, _: web.Application) -> None:
        for socket in [*self._sockets]:
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the platform has ended")
