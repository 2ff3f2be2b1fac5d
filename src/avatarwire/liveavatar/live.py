"""One session, from the REST start to its single ending."""

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from typing import Any
from urllib.parse import urlsplit

from avatarwire.codec import AudioFrame, client_message
from avatarwire.errors import ConnectFailedError, HandshakeTimeoutError, SessionLostError
from avatarwire.liveavatar.config import AvatarAgentConfig, SessionStartResult
from avatarwire.liveavatar.inbound import SessionClosing, SessionInit
from avatarwire.liveavatar.listener import Callbacks
from avatarwire.liveavatar.messages import Event, MessageBuilder, encode
from avatarwire.liveavatar.protocol import LiveAvatarProtocol, Received
from avatarwire.liveavatar.rest import SessionApi
from avatarwire.transport import Connection, Link, connect, shared_client

__all__ = ["LiveSession"]

logger = logging.getLogger("avatarwire.liveavatar")

NORMAL_CLOSURE = 1000
#: How long stop() waits for callbacks: for on_closed to run, for the others to be cancelled.
CALLBACK_GRACE_S = 0.5

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class LiveSession:
    """Owns everything that lives as long as one session, and lets go of all of it at the end.

    Attributes:
        result: what the platform's REST start gave; None until then.
        closed: done when the session has ended.
        callbacks: the listener's tasks.
        protocol: what has been received.
    """

    def __init__(self, config: AvatarAgentConfig, listener: object) -> None:
        self._config = config
        self.result: SessionStartResult | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.callbacks = Callbacks(listener)
        self.protocol = LiveAvatarProtocol()
        self._http = shared_client(config.ssl_context)
        self._resources = AsyncExitStack()
        self._api: SessionApi | None = None
        self._link: Link | None = None
        self._initialised: asyncio.Future[asyncio.Task[None] | None] = (
            asyncio.get_running_loop().create_future()
        )
        self._ending: tuple[int, str] | None = None
        self._on_closed: asyncio.Task[None] | None = None
        self._closing_task: asyncio.Task[None] | None = None
        self._start_task: asyncio.Task[SessionStartResult] | None = None
        self._stop_task: asyncio.Task[None] | None = None
        self._stop_callers: set[asyncio.Task[Any]] = set()

    @property
    def is_open(self) -> bool:
        """Whether the handshake is complete and the session has not ended."""
        return self.protocol.is_open and self._ending is None and self._stop_task is None

    def require_open(self) -> Connection | None:
        """Give the connection to send on; None before the handshake and after our own stop.

        Raises:
            SessionLostError: the session has ended, or the platform is closing it.
        """
        if self._stop_task is not None:
            return None
        if self._ending is not None:
            raise SessionLostError(*self._ending)
        if self.protocol.is_closing:
            raise SessionLostError(NORMAL_CLOSURE, "the platform is closing the session")
        return self._link.connection if self._link and self.protocol.is_open else None

    # Start

    async def start(self) -> SessionStartResult:
        """Start the session; whatever goes wrong, nothing is left running."""
        self._start_task = asyncio.create_task(self._start(), name="avatarwire start")
        try:
            return await asyncio.shield(self._start_task)
        except asyncio.CancelledError:
            if self._stop_task is not None and self._start_task.cancelled():
                raise SessionLostError(NORMAL_CLOSURE, "stop() was called during start()") from None
            self._start_task.cancel()
            await asyncio.wait([self._start_task])
            raise

    async def _start(self) -> SessionStartResult:
        # One HTTP client for the whole session: a second one for the stop would cost a handshake.
        api = SessionApi(await self._resources.enter_async_context(self._http), self._config)
        try:
            self.result = await api.start()
            self._api = api
            await self._open(self.result.agent_ws_url)
        except BaseException:
            # The platform bills a session that nobody uses until it is stopped.
            await asyncio.shield(self._release())
            raise
        logger.info("session %s: started", self.result.session_id)
        return self.result

    async def _open(self, url: str | None) -> None:
        config = self._config
        checked = _checked_url(url, config.base_url)

        async def dial() -> Connection:
            return await connect(
                checked,
                open_timeout_s=config.timeout,
                ping_interval_s=config.ping_interval,
                ping_timeout_s=config.ping_timeout,
                ssl_context=config.ssl_context if checked.startswith("wss:") else None,
            )

        self._link = Link(dial, self._receive, self._end)
        await self._link.open()
        try:
            async with asyncio.timeout(config.timeout):
                on_session_init = await self._initialised
        except TimeoutError:
            raise HandshakeTimeoutError(
                f"Timed out waiting for session.init after {config.timeout}s"
            ) from None
        await self.callbacks.settle(on_session_init, config.timeout)

    # Receive

    def _receive(self, message: str | bytes) -> None:
        received = self.protocol.receive(message)
        for reply in self.protocol.replies():
            self._write_event(reply)
        if received is not None:
            self._tell(received)

    def _tell(self, received: Received) -> None:
        if isinstance(received, AudioFrame):
            self.callbacks.audio(received)
            return
        task = self.callbacks.call(received.callback, *received.arguments())
        if isinstance(received, SessionInit) and not self._initialised.done():
            self._initialised.set_result(task)
        if isinstance(received, SessionClosing) and self._link and not self._closing_task:
            self._closing_task = asyncio.create_task(self._link.close())

    # End

    def _end(self, code: int, reason: str) -> None:
        """Tell the ending, once; ours is a normal closure whatever the peer made of it."""
        if self._stop_task is not None:
            code, reason = NORMAL_CLOSURE, ""
        self._ending = (code, reason)
        if not self._initialised.done():
            self._initialised.set_exception(SessionLostError(code, reason or "before session.init"))
            # Nobody waits for it when the start has already failed for another cause.
            self._initialised.exception()
        session_id = None if self.result is None else self.result.session_id
        logger.info("session %s: ended with close code %d", session_id, code)
        self._on_closed = self.callbacks.call("on_closed", code, reason)
        if not self.closed.done():
            self.closed.set_result(None)

    async def stop(self) -> None:
        """End the session; every caller returns when it has ended."""
        caller = asyncio.current_task()
        if caller is not None:
            if caller is self._on_closed and self._stop_task is not None:
                return  # stop() waits for this very callback
            self._stop_callers.add(caller)
        if self._stop_task is None:
            self._stop_task = asyncio.create_task(self._stop(), name="avatarwire stop")
        await asyncio.shield(self._stop_task)

    async def _stop(self) -> None:
        start_task = self._start_task
        if start_task is not None and not start_task.done():
            start_task.cancel()
            await asyncio.wait([start_task])
        else:
            await self._release()
        if self._on_closed is not None and self._on_closed not in self._stop_callers:
            await self.callbacks.settle(self._on_closed, CALLBACK_GRACE_S)
        cancelled = self.callbacks.cancel(keep=self._stop_callers)
        if cancelled:
            await asyncio.wait(cancelled, timeout=CALLBACK_GRACE_S)
        if not self.closed.done():
            self.closed.set_result(None)

    async def _release(self) -> None:
        """Close the connection and stop the platform's session, both within their time limits."""
        await asyncio.gather(self._close_link(), self._stop_at_platform())
        await self._resources.aclose()

    async def _stop_at_platform(self) -> None:
        if self._api is not None and self.result is not None:
            await self._api.stop(self.result.session_id)

    async def _close_link(self) -> None:
        if self._link is None:
            return
        if self.protocol.is_open and self._ending is None and not self.protocol.is_closing:
            self._write_event(MessageBuilder.session_stop())
        await self._link.close()

    def _write_event(self, event: Event) -> None:
        """Write without waiting; a connection that is ending has no use for it."""
        if self._link is not None:
            with suppress(SessionLostError):
                self._link.connection.write_batch(client_message(encode(event), text=True))


def _checked_url(url: str | None, base_url: str) -> str:
    """Check where the platform sends the agent; its token stays out of every error."""
    if not url:
        raise RuntimeError(
            "agentWsUrl not present in /session/start response: "
            "is the WebSocket agent mode enabled for this avatar?"
        )
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme, parts.hostname
    except ValueError:
        scheme, host = "", None
    if scheme not in {"ws", "wss"} or not host:
        raise ConnectFailedError(
            "the platform's agentWsUrl is not a ws:// or wss:// URL"
            + (f" but {scheme}://" if scheme and host else "")
        )
    if scheme == "ws" and base_url.startswith("https:") and host not in _LOOPBACK:
        raise ConnectFailedError(
            f"the platform's agentWsUrl ({host}) is not encrypted although base_url is https: "
            "refused, since it carries a token and the user's voice"
        )
    return url
