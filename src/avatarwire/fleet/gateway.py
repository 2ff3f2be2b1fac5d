"""The gateway: a fleet over HTTP. It keeps nothing, so there may be several."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, Field
from starlette.types import Message, Receive, Scope, Send

from avatarwire.fleet.errors import FleetError, NoCapacityError, UnknownSessionError
from avatarwire.fleet.exposition import exposition
from avatarwire.fleet.reaching import ASK_AGAIN_S, Directory

__all__ = ["MOST_BODY_BYTES", "new_gateway"]

MOST_BODY_BYTES = 64 * 1024


class Start(BaseModel):
    """What starts a session."""

    avatar_id: str = Field(
        default="", max_length=256, description="By default AVATARWIRE_AVATAR_ID of the hosts."
    )
    data: Any = None
    turns: bool = Field(default=False, description="Tell turns in the events too.")


class Started(BaseModel):
    """What the starter of a session gets; nobody else is shown its token."""

    id: str
    session_id: str
    user_token: str
    sfu_url: str
    host: str


class Shown(BaseModel):
    """A session as anyone may see it."""

    id: str
    session_id: str | None
    state: str = Field(description="running or ended")
    host: str | None
    pid: int | None
    resumed: int = Field(description="How often another host went on with it.")
    ending: str | None


class HostShown(BaseModel):
    """A host as it was heard of last."""

    host: str
    pid: int
    sessions: int
    max_sessions: int
    cpu: float
    lateness_s: float
    is_draining: bool
    heard_s: float


class Say(BaseModel):
    """What the avatar is to say."""

    text: str = Field(min_length=1, max_length=10_000)


class Custom(BaseModel):
    """An event for the platform."""

    event: str = Field(min_length=1, max_length=256)
    request_id: str = ""
    data: dict[str, Any] | None = None


class _TooLargeError(Exception):
    """The body is larger than a request may have."""


class _LimitBodies:
    """Refuses bodies that are larger than ``MOST_BODY_BYTES``, whatever their header says."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MOST_BODY_BYTES:
                raise _TooLargeError
            return message

        try:
            await self._app(scope, limited if scope["type"] == "http" else receive, send)
        except _TooLargeError:
            words = f"a body may have {MOST_BODY_BYTES} bytes"
            await JSONResponse({"detail": words}, 413)(scope, receive, send)


def new_gateway(fleet: str, token: str | None) -> FastAPI:
    """Return the application of one gateway.

    Args:
        fleet: the name of the fleet.
        token: what each caller must give as its bearer token; None: callers are not asked.
    """
    directory = Directory(fleet)

    async def allowed(authorization: Annotated[str, Header()] = "") -> None:
        expected = f"Bearer {token}"
        if token is not None and not secrets.compare_digest(
            authorization.encode(), expected.encode()
        ):
            raise HTTPException(401, "give the fleet's token as a bearer token")

    app = FastAPI(title="avatarwire fleet", version="1", docs_url=None, redoc_url=None)
    app.add_middleware(_LimitBodies)
    asked = [Depends(allowed)]
    _answer_errors(app)
    _add_sessions(app, directory, asked)
    _add_commands(app, directory, asked)
    _add_events(app, directory, asked)
    _add_hosts(app, directory, asked)
    return app


def _add_sessions(app: FastAPI, directory: Directory, asked: list[Any]) -> None:
    @app.post("/sessions", status_code=201, response_model=Started, dependencies=asked)
    async def start(body: Start) -> Any:
        """Start a session on a host with room."""
        return await directory.call("start", body.avatar_id, body.data, body.turns, limit_s=90.0)

    @app.get("/sessions", response_model=list[Shown], dependencies=asked)
    async def sessions() -> Any:
        """List the sessions, those that have ended in the last minutes included."""
        return await directory.call("sessions")

    @app.get("/sessions/{session}", response_model=Shown, dependencies=asked)
    async def one(session: str) -> Any:
        """Show one session."""
        return await directory.call("session", session)


def _add_commands(app: FastAPI, directory: Directory, asked: list[Any]) -> None:
    @app.post("/sessions/{session}/say", status_code=204, dependencies=asked)
    async def say(session: str, body: Say) -> Response:
        """Let the avatar say a text, in the program's voice or the platform's."""
        return await command(session, {"do": "say", "text": body.text})

    @app.post("/sessions/{session}/interrupt", status_code=204, dependencies=asked)
    async def interrupt(session: str) -> Response:
        """Stop what the avatar says."""
        return await command(session, {"do": "interrupt"})

    @app.post("/sessions/{session}/stop", status_code=204, dependencies=asked)
    async def stop(session: str) -> Response:
        """End the session."""
        return await command(session, {"do": "stop"})

    @app.post("/sessions/{session}/custom", status_code=204, dependencies=asked)
    async def custom(session: str, body: Custom) -> Response:
        """Send the platform an event of your own."""
        return await command(session, {"do": "custom", **body.model_dump()})

    async def command(session: str, order: dict[str, Any]) -> Response:
        await directory.call("command", session, order)
        return Response(status_code=204)


def _add_events(app: FastAPI, directory: Directory, asked: list[Any]) -> None:
    @app.get("/sessions/{session}/events", dependencies=asked)
    async def events(
        request: Request,
        session: str,
        user_token: Annotated[str, Header()] = "",
        last_event_id: Annotated[int, Header()] = 0,
    ) -> StreamingResponse:
        """Stream what happens to a session as server-sent events.

        Fresh tokens are in them for who gives one of the session's in ``User-Token``.
        """
        await directory.call("session", session)

        async def stream() -> AsyncIterator[str]:
            after = last_event_id
            while not await request.is_disconnected():
                try:
                    some = await directory.call("events", session, after, user_token)
                except UnknownSessionError:
                    return
                except FleetError:
                    await asyncio.sleep(ASK_AGAIN_S)  # the directory is being restarted
                    continue
                yield ": alive\n\n"
                for each in some:
                    after = each["number"]
                    kind = each["event"]
                    yield f"id: {after}\nevent: {kind}\ndata: {json.dumps(each)}\n\n"
                    if kind == "ended":
                        return

        return StreamingResponse(stream(), media_type="text/event-stream")


def _add_hosts(app: FastAPI, directory: Directory, asked: list[Any]) -> None:
    @app.get("/hosts", response_model=list[HostShown], dependencies=asked)
    async def hosts() -> Any:
        """List the hosts."""
        return await directory.call("hosts")

    @app.get("/directory", dependencies=asked)
    async def the_directory() -> dict[str, int]:
        """Show which process knows whose each session is."""
        return {"pid": await directory.call("pid")}

    @app.post("/hosts/{host}/drain", status_code=204, dependencies=asked)
    async def drain(host: str) -> Response:
        """Have a host take nothing new and hand its sessions over."""
        await directory.call("drain", host)
        return Response(status_code=204)

    @app.post("/stop", dependencies=asked)
    async def stop_all() -> dict[str, int]:
        """End every session."""
        return {"stopped": await directory.call("stop_sessions", 10.0)}

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Say that the fleet answers."""
        await directory.call("hosts", limit_s=3.0)
        return {"status": "ok"}

    @app.get("/metrics", response_class=PlainTextResponse, dependencies=asked)
    async def metrics() -> str:
        """Show the hosts' figures as Prometheus reads them."""
        return exposition(await directory.call("hosts"))


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(NoCapacityError)
    async def no_capacity(_: Request, error: NoCapacityError) -> JSONResponse:
        after = str(max(1, round(error.retry_after_s)))
        return JSONResponse({"detail": str(error)}, 503, {"Retry-After": after})

    @app.exception_handler(UnknownSessionError)
    async def unknown(_: Request, error: UnknownSessionError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 404)

    @app.exception_handler(FleetError)
    async def failed(_: Request, error: FleetError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 502)
