"""The Live Avatar platform on this machine: REST and WebSocket on one port."""

import asyncio
import logging
import secrets
import uuid
from collections.abc import Callable, Collection
from os import PathLike
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from avatarwire._json import loads
from avatarwire.audio import read
from avatarwire.emulator.arrivals import Arrivals
from avatarwire.emulator.liveavatar.controls import LiveAvatarControls
from avatarwire.emulator.liveavatar.faults import Faults, StartFault
from avatarwire.emulator.liveavatar.session import FINAL_CODES, LiveSession
from avatarwire.emulator.liveavatar.user import USER_FORMAT, User
from avatarwire.emulator.playground import Agents, Playground
from avatarwire.emulator.server import HTML, Server, close_on_demand, is_same_key, new_socket
from avatarwire.errors import AudioFormatError
from avatarwire.recording import Source

__all__ = ["LiveAvatarEmulator"]

log: logging.Logger = logging.getLogger("avatarwire.emulator")

AGENT_PATH = "/v1/session/agent"
# Larger than any event of the protocol; binary messages have a limit of their own.
MESSAGE_LIMIT_BYTES = 4 * 1024 * 1024


class LiveAvatarEmulator:
    """A Live Avatar platform to run against, as an async context manager.

    It answers as the platform documents: one-time URLs, the 65,536-byte limit of a binary message
    (close code 1009), 1002 for malformed JSON, states that follow what arrives. Nothing is
    rendered. Sessions and all that they received are kept until the emulator is dropped.

    Args:
        host: the address to listen on; loopback unless you decide otherwise. Pages of other
            sites are refused, and so is a Host that is no name of it: on loopback ``localhost``
            and loopback addresses are, elsewhere any address, this machine's name and ``host``.
        allowed_hosts: further names that it is reached by, such as that of a container or of a
            proxy in front of it.
        port: 0 picks a free one.
        api_key: the only key to accept; None accepts any, and none.
        greeting: the text that each new user types after ``session.ready``; None: nothing.
        user_audio: what each new user says after ``session.ready``, sent in real time as 40 ms
            frames: a 16 kHz mono WAV file, or 16 kHz mono PCM. Two seconds of silence follow, as
            from a microphone that stays open.
        user_transcript: the words of it. With them the platform does the recognition: instead of
            frames, the client gets voice, partial and final events and an ``input.text``.
        record_dir: where each session's sound (WAV) and transcript (JSON lines) go when its
            connection ends; made when missing.
        playground: serve a page at ``playground_url`` that shows the sessions in a browser, and
            lets whoever opens it, without a key, type, speak and break things as the user.
        faults: what goes wrong; also the ``faults`` attribute, at any time.

    Raises:
        AudioFormatError: ``user_audio`` is a file of another format.
        TypeError: ``allowed_hosts`` is no list of text.
        ValueError: ``user_transcript`` without ``user_audio``; one of ``allowed_hosts`` is no name.
        OSError: ``user_audio`` cannot be read; on entering, the port or ``record_dir`` cannot
            be had.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        allowed_hosts: Collection[str] = (),
        api_key: str | None = None,
        greeting: str | None = "Hello",
        user_audio: str | PathLike[str] | bytes | None = None,
        user_transcript: str | None = None,
        record_dir: str | PathLike[str] | None = None,
        playground: bool = False,
        faults: Faults | None = None,
    ) -> None:
        self.faults: Faults = faults or Faults()
        self.sessions: list[LiveSession] = []
        self._api_key = api_key
        self._greeting = greeting
        spoken = _load(user_audio)
        if user_transcript is not None and not spoken:
            raise ValueError("user_transcript is what is said in user_audio: give both")
        self._user = User(spoken, user_transcript)
        self._server = Server(host, port, record_dir, lambda: self.faults, allowed_hosts)
        self._has_playground = playground
        self._agents = Agents()
        self._arrivals = Arrivals(self.sessions)
        self._by_id: dict[str, LiveSession] = {}
        self._by_token: dict[str, LiveSession] = {}

    @property
    def base_url(self) -> str:
        """What a client takes as the platform's base URL."""
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
        app = web.Application()
        app.router.add_post("/v1/session/start", self._start)
        app.router.add_post("/v1/session/stop", self._stop)
        app.router.add_get(AGENT_PATH, self._connect)
        if self._has_playground:
            controls = LiveAvatarControls(self.sessions, lambda: self.faults)
            Playground(controls, self._agents).add_to(app)
        async with self._server.opening():
            await self._server.open(app)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.close(self.sessions)
        for session in self.sessions:
            session.dispose()

    def fail_next_start(
        self,
        *,
        code: int | None = None,
        status: int | None = None,
        html: bool = False,
        no_answer: bool = False,
        agent_ws_url: str | None = None,
        times: int = 1,
    ) -> None:
        """Let the next ``times`` starts fail; see ``StartFault`` for the ways."""
        fault = StartFault(
            code=code, status=status, html=html, no_answer=no_answer, agent_ws_url=agent_ws_url
        )
        self.faults.starts.extend([fault] * times)

    def forget(self, session: LiveSession) -> None:
        """Let go of a session that has ended, with all that it received.

        Raises:
            ValueError: the session is connected, or of another emulator.
        """
        if session.is_connected:
            raise ValueError(f"{session} is still connected")
        self.sessions.remove(session)
        del self._by_id[session.session_id]
        self._end_tokens(session)
        self._arrivals.forget(session)
        session.dispose()

    def reject_next_response(self, reason: str = "SESSION_BUSY", *, times: int = 1) -> None:
        """Reject the next ``times`` responses, streamed prompts or audio turns, for ``reason``."""
        self.faults.rejections.extend([reason] * times)

    async def _start(self, request: web.Request) -> web.StreamResponse:
        faults = self.faults
        fault = faults.next_start()
        self._server.narrow()
        await asyncio.sleep(faults.delay_s)
        if fault is not None and fault.refuses:
            return await self._refuse(fault)
        if not self._authorised(request):
            log.info("start refused: another API key")
            return _answer(40004, "PRINCIPAL_UNIDENTIFIED", status=401)
        body = await _body(request)
        if body is None or not _filled(body.get("avatarId")):
            return _answer(40003, "avatarId is required", status=400)

        session_id = body.get("sessionId")
        if session_id is None:
            session = self._new_session(sandbox=request.headers.get("X-Env-Sandbox") == "true")
        else:
            known = self._by_id.get(session_id) if isinstance(session_id, str) else None
            if known is None or known.ended:
                return _answer(40007, "this session is closed; start a new one", status=403)
            session = known
        session.start_requests.append(body)

        # One token a session: a fresh one ends those before it.
        self._end_tokens(session)
        token = secrets.token_urlsafe(24)
        self._by_token[token] = session
        if faults.token_life_s is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(faults.token_life_s, self._by_token.pop, token, None)
        data = {
            "sessionId": session.session_id,
            "sfuUrl": "ws://127.0.0.1:7880",
            "userToken": secrets.token_urlsafe(24),
            "agentToken": secrets.token_urlsafe(24),
            "agentWsUrl": f"ws://{request.host}{AGENT_PATH}?token={token}",
        }
        if fault is not None and fault.agent_ws_url is not None:
            data["agentWsUrl"] = fault.agent_ws_url
            if not fault.agent_ws_url:
                del data["agentWsUrl"]
        return web.json_response({"code": 0, "message": "success", "data": data})

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        if not self._authorised(request):
            return _answer(40004, "PRINCIPAL_UNIDENTIFIED", status=401)
        body = await _body(request)
        session_id = None if body is None else body.get("sessionId")
        session = self._by_id.get(session_id) if isinstance(session_id, str) else None
        if session is None:
            return _answer(40007, "no such session", status=403)
        session.stop_requests += 1
        session.ended = True
        await session.close(1000, "stopped")
        return _answer(0, "success")

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        socket = new_socket(MESSAGE_LIMIT_BYTES)
        if not socket.can_prepare(request).ok:
            return _answer(40003, "this address takes WebSocket connections only", status=426)
        refusal = self.faults.next_handshake()
        if refusal is not None:
            log.info("connection refused with %d, on demand", refusal)
        if refusal is not None and refusal < 1000:
            return _answer(40003, "fault on demand", status=refusal)
        session = self._by_token.pop(request.query.get("token", ""), None)
        if session is None or session.ended:
            log.info("connection refused: its URL has been used, has expired, or never was one")
            return _answer(40007, "this URL has been used, or never was one", status=403)
        if refusal is not None:
            session.ended = refusal in FINAL_CODES
            return await close_on_demand(socket, request, refusal)
        await socket.prepare(request)
        await self._server.serve(session, socket, request, self.faults)
        return socket

    async def _refuse(self, fault: StartFault) -> web.StreamResponse:
        what = f"refused with {fault.code or fault.status or 'a web page'}"
        log.info("start %s, on demand", "left without an answer" if fault.no_answer else what)
        if fault.no_answer:
            await self._server.ending.wait()
        if fault.html:
            return web.Response(text=HTML, content_type="text/html", status=fault.status or 200)
        if fault.code is None:
            return web.Response(text="fault on demand", status=fault.status or 503)
        return _answer(fault.code, "fault on demand", status=fault.status or 200)

    def _new_session(self, *, sandbox: bool) -> LiveSession:
        session = LiveSession(
            str(uuid.uuid4()),
            greeting=self._greeting,
            user=self._user,
            sandbox=sandbox,
        )
        self.sessions.append(session)
        self._by_id[session.session_id] = session
        self._arrivals.begin(session)
        return session

    def _end_tokens(self, session: LiveSession) -> None:
        for token in [token for token, owner in self._by_token.items() if owner is session]:
            del self._by_token[token]

    def _authorised(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "")
        return self._api_key is None or is_same_key(given, f"Bearer {self._api_key}")


async def _body(request: web.Request) -> dict[str, Any] | None:
    try:
        body = loads(await request.read())
    except (ValueError, ConnectionError):  # also a client that left in the middle
        return None
    return body if isinstance(body, dict) else None


def _filled(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _answer(code: int, message: str, *, status: int = 200) -> web.Response:
    return web.json_response({"code": code, "message": message}, status=status)


def _load(user_audio: str | PathLike[str] | bytes | None) -> bytes:
    if user_audio is None or isinstance(user_audio, bytes):
        return user_audio or b""
    chunks, format_ = read(user_audio)
    if format_ != USER_FORMAT:
        raise AudioFormatError(
            f"{user_audio}: {format_}, but a user is heard at {USER_FORMAT}; "
            "convert it: ffmpeg -i IN.wav -ar 16000 -ac 1 -c:a pcm_s16le OUT.wav"
        )
    return b"".join(chunks)
