"""One session, from the REST start to its single ending."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

from avatarwire import transport
from avatarwire.codec import AudioFrame
from avatarwire.errors import (
    AvatarwireError,
    ConnectFailedError,
    ErrorCode,
    HandshakeTimeoutError,
    RestError,
    SessionLostError,
    SessionStartError,
    UnusableAnswerError,
)
from avatarwire.liveavatar.config import AvatarAgentConfig, SessionStartResult
from avatarwire.liveavatar.events import SceneReady, SessionClosing, SessionInit
from avatarwire.liveavatar.listener import Callbacks
from avatarwire.liveavatar.messages import Event, MessageBuilder, encode
from avatarwire.liveavatar.protocol import LiveAvatarProtocol, Received
from avatarwire.liveavatar.rest import SessionApi, start_patiently
from avatarwire.liveavatar.sending import framed
from avatarwire.liveavatar.stats import LiveCounts
from avatarwire.session.callbacks import running_callback
from avatarwire.session.outbox import Outbox
from avatarwire.transport import Connection, Link, redacted, secrets_in_url

__all__ = ["LiveSession"]

logger: logging.Logger = logging.getLogger("avatarwire.liveavatar")

NORMAL_CLOSURE = 1000
GOING_AWAY = 1001
ABNORMAL_CLOSURE = 1006
#: After these the platform takes the session as over (protocol section 3).
FINAL_CODES = frozenset({1000, 1002, 1008})
#: Answers to a start after which asking again is of no use (protocol section 2).
FINAL_START_CODES = frozenset({40004, 40005, 40006, 40007, 401, 403})
#: How long stop() waits for the connection and the platform, whatever they do.
STOP_LIMIT_S = 2.5
#: What is left of it for the platform at the least.
MIN_RELEASE_S = 0.3
#: How long a cancelled callback may take to clean up before stop() goes on without it.
CANCEL_GRACE_S = 0.5

T = TypeVar("T")

_kept: set[asyncio.Task[Any]] = set()


class LiveSession:
    """Owns everything that lives as long as one session, and lets go of all of it at the end.

    Args:
        config: what to connect to, and how.
        listener: whose callbacks are called.
        on_received: called with everything received, before the listener.
        on_gap: called when the connection is lost and will be restored, if it can be.
        on_connected: called when a handshake is complete, the first and every further one.
        on_ended: called once nothing can be sent any more; perhaps twice.

    Attributes:
        result: what the platform's REST start gave; None until then.
        closed: done when the session has ended.
        scene: done when the browser shows the avatar, or with the error that it never will.
        callbacks: the listener's tasks.
        protocol: what has been received.
    """

    def __init__(
        self,
        config: AvatarAgentConfig,
        listener: object,
        *,
        on_received: Callable[[Received], None],
        on_gap: Callable[[], None],
        on_connected: Callable[[], None],
        on_ended: Callable[[], None],
    ) -> None:
        self._config = config
        self._on_received = on_received
        self._on_gap = on_gap
        self._on_connected = on_connected
        self._on_ended = on_ended
        self.result: SessionStartResult | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.scene: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.callbacks: Callbacks = Callbacks(listener)
        self.protocol: LiveAvatarProtocol = LiveAvatarProtocol()
        self._http = transport.shared_client(config.ssl_context)
        self._resources = AsyncExitStack()
        self._api: SessionApi | None = None
        self._rest_start: asyncio.Task[SessionStartResult] | None = None
        self._link: Link | None = None
        self._tap = self._show if self.callbacks.has("on_wire") else None
        self.outbox: Outbox = Outbox(
            config.reconnect_buffer_bytes,
            keeps=config.reconnect,
            tap=self._tap and (lambda message: self._show("sent", message)),
        )
        self._received: Counter[str] = Counter()
        self._connections = 0
        self._backlog_lost_bytes = 0
        self._initialised: asyncio.Future[asyncio.Task[None] | None]
        self._was_open = False
        self._is_connected = False
        self._reconnect_task: asyncio.Task[None] | None = None
        self._ending: tuple[int, str] | None = None
        self._on_closed: asyncio.Task[None] | None = None
        self._closing_task: asyncio.Task[None] | None = None
        self._start_task: asyncio.Task[SessionStartResult] | None = None
        self._stop_task: asyncio.Task[None] | None = None
        self._stop_callers: set[asyncio.Task[None]] = set()

    @property
    def _session_id(self) -> str | None:
        return None if self.result is None else self.result.session_id

    @property
    def is_open(self) -> bool:
        """Whether the first handshake is complete and the session has not ended."""
        return self._was_open and self._ending is None and self._stop_task is None

    def require_open(self) -> Outbox | None:
        """Give what to send through; None before the handshake and after our own stop.

        Raises:
            SessionLostError: the session has ended, or the platform is closing it.
        """
        if self._stop_task is not None:
            return None
        if self._ending is not None:
            raise SessionLostError(*self._ending)
        if self.protocol.is_closing:
            raise SessionLostError(NORMAL_CLOSURE, "the platform is closing the session")
        return self.outbox if self._was_open else None

    def counts(self) -> LiveCounts:
        """Give what this session has done so far."""
        connection, outbox = self.outbox.connection, self.outbox
        round_trip_s = None if connection is None else connection.round_trip_s
        ours = {
            "audio_callback_slow": self.callbacks.dropped_frames,
            "backlog_bytes": self._backlog_lost_bytes,
        }
        dropped = {**self.protocol.ignored, **{cause: n for cause, n in ours.items() if n}}
        return LiveCounts(
            is_connected=self._is_connected and self._ending is None,
            reconnects=max(0, self._connections - 1),
            round_trip_ms=None if round_trip_s is None else round_trip_s * 1000,
            events_sent=outbox.events,
            audio_frames_sent=outbox.audio_frames,
            binary_messages_sent=outbox.binaries,
            bytes_sent=outbox.wire_bytes,
            events_received=self._received["events"],
            audio_frames_received=self._received["binaries"],
            bytes_received=self._received["bytes"],
            backlog_bytes=outbox.backlog_bytes,
            buffered_bytes=0 if connection is None else connection.buffered_bytes,
            dropped=dropped,
        )

    # Start

    async def start(self) -> SessionStartResult:
        """Start the session; whatever goes wrong, nothing is left running."""
        self._start_task = _keep(asyncio.create_task(self._start(), name="avatarwire start"))
        try:
            return await asyncio.shield(self._start_task)
        except BaseException:
            stopped = self._stop_task is not None and self._start_task.cancelled()
            await self.stop()
            if stopped:
                raise SessionLostError(NORMAL_CLOSURE, "stop() was called during start()") from None
            raise

    async def _start(self) -> SessionStartResult:
        self.result = result = await start_patiently(self._start_once, self._config.start_retries)
        await self._open(result.agent_ws_url)
        logger.info("session %s: started", result.session_id)
        return result

    async def _start_once(self) -> SessionStartResult:
        # Its own task: a start that is abandoned while the platform works on it still makes a
        # session, and only its answer tells which one to stop.
        self._rest_start = _keep(asyncio.create_task(self._start_at_platform()))
        return await asyncio.shield(self._rest_start)

    async def _start_at_platform(self) -> SessionStartResult:
        # One HTTP client for the whole session: a second one for the stop would cost a handshake.
        if self._api is None:
            try:
                client = await self._resources.enter_async_context(self._http)
            except RestError as exc:
                raise SessionStartError(
                    0, ErrorCode.SESSION_START_FAILED, str(exc), setting=exc.setting
                ) from exc
            self._api = SessionApi(client, self._config)
        return await self._api.start()

    async def _open(self, url: str | None) -> None:
        config = self._config
        checked = _checked_url(url, config.base_url)

        async def dial() -> Connection:
            return await transport.connect(
                checked,
                open_timeout_s=config.timeout,
                ping_interval_s=config.ping_interval,
                ping_timeout_s=config.ping_timeout,
                ssl_context=config.ssl_context if urlsplit(checked).scheme == "wss" else None,
            )

        self._initialised = asyncio.get_running_loop().create_future()
        self._link = Link(dial, self._receive, self._end_of_connection)
        try:
            await self._link.open()
        except ValueError as exc:
            raise ConnectFailedError(f"the platform's agentWsUrl is unusable: {exc}") from exc
        try:
            async with asyncio.timeout(config.timeout):
                on_session_init = await asyncio.shield(self._initialised)
        except TimeoutError:
            # Cancelled: an init that arrived too late, and is read while we close, opens nothing.
            if self._initialised.cancel():
                raise HandshakeTimeoutError(
                    f"Timed out waiting for session.init after {config.timeout}s"
                ) from None
            on_session_init = self._initialised.result()
        if on_session_init is not None:
            await asyncio.wait(
                [on_session_init, self.closed],
                timeout=config.timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
        if self._ending is not None:
            raise SessionLostError(*self._ending)

    # Reconnect

    def _may_reconnect(self, code: int) -> bool:
        return (
            self._config.reconnect
            and self._was_open
            and self._stop_task is None
            and code not in FINAL_CODES
            and not self.protocol.is_closing
        )

    async def _reconnect(self, api: SessionApi, session_id: str) -> None:
        """Restore the connection, or end the session."""
        config = self._config
        limit_s = config.reconnect_base_delay
        for attempt in range(1, config.reconnect_max_attempts + 1):
            # Full jitter: sessions that were cut together do not come back together.
            delay_s = random.uniform(0, min(limit_s, config.reconnect_max_delay))  # noqa: S311
            limit_s = min(limit_s * 2, config.reconnect_max_delay)
            self.callbacks.call("on_reconnecting", attempt, delay_s)
            await asyncio.sleep(delay_s)
            try:
                await self._reconnect_once(api, session_id)
            except (SessionStartError, SessionLostError) as exc:
                is_over = exc.code in FINAL_CODES or self.protocol.is_closing
                if isinstance(exc, SessionLostError) and is_over:
                    self._end(exc.code, exc.reason)
                    return
                if isinstance(exc, SessionStartError) and exc.code in FINAL_START_CODES:
                    self._end(ABNORMAL_CLOSURE, f"the platform refused to reconnect: {exc}")
                    return
                logger.info("session %s: attempt %d failed: %s", session_id, attempt, exc)
            except (AvatarwireError, OSError) as exc:
                logger.info("session %s: attempt %d failed: %s", session_id, attempt, exc)
            else:
                logger.info("session %s: reconnected, attempt %d", session_id, attempt)
                return
        self._end(ABNORMAL_CLOSURE, f"not reconnected in {config.reconnect_max_attempts} attempts")

    async def _reconnect_once(self, api: SessionApi, session_id: str) -> None:
        # The URL of the first connection is spent; this answer brings another.
        result = await api.start(session_id)
        self.protocol.reconnected()
        try:
            await self._open(result.agent_ws_url)
        except BaseException:
            if self._link is not None:
                # 1000 would tell the platform that the session is over.
                await self._link.close(GOING_AWAY)
            raise
        self.result = result
        self.callbacks.call("on_reconnected", result)

    # Receive

    def _receive(self, message: str | bytes) -> None:
        data = message if isinstance(message, bytes) else message.encode()
        self._received["bytes"] += len(data)
        self._received["events" if isinstance(message, str) else "binaries"] += 1
        if self._tap is not None:
            self._tap("received", message)
        received = self.protocol.receive(message)
        for reply in self.protocol.replies():
            self._write_event(reply)
        if received is not None:
            self._tell(received)

    def _show(self, direction: str, message: str | bytes) -> None:
        """Hand a message to whoever looks at the wire."""
        kind = "text" if isinstance(message, str) else "binary"
        self.callbacks.call("on_wire", direction, kind, message)

    def _tell(self, received: Received) -> None:
        self._on_received(received)
        if isinstance(received, SceneReady) and not self.scene.done():
            self.scene.set_result(None)
        if isinstance(received, AudioFrame):
            self.callbacks.audio(received)
            return
        if isinstance(received, SessionInit):
            self._open_for_sending(received)
            return
        self.callbacks.call(received.callback, *received.arguments())
        if isinstance(received, SessionClosing) and self._link and not self._closing_task:
            self._on_ended()
            self._closing_task = asyncio.create_task(self._link.close())

    def _open_for_sending(self, init: SessionInit) -> None:
        """Take the handshake as complete, on the first connection or on another."""
        if self._initialised.done() or self._link is None:
            return
        task = None
        if not self._was_open:
            self._was_open = True
            task = self.callbacks.call(init.callback, *init.arguments())
        self._is_connected = True
        self._connections += 1
        self.outbox.connected(self._link.connection)
        self._initialised.set_result(task)
        self._on_connected()

    # End

    def _end_of_connection(self, code: int, reason: str) -> None:
        """Go on with another connection, or end the session."""
        reason = self._redacted(reason)
        if not self._initialised.done():
            self._initialised.set_exception(SessionLostError(code, reason or "before session.init"))
            # Nobody waits for it when the start has already failed for another cause.
            self._initialised.exception()
        if self._reconnect_task is not None and not self._is_connected:
            return  # one attempt has failed, and its task knows
        self._is_connected = False
        if not self._may_reconnect(code):
            self._end(code, reason)
            return
        logger.info("session %s: connection lost with close code %d", self._session_id, code)
        self.outbox.disconnected()
        if self.scene.done():
            self.scene = asyncio.get_running_loop().create_future()
        self._on_gap()
        session_id = self._session_id
        if session_id is not None and self._api is not None:
            work = self._reconnect(self._api, session_id)
            self._reconnect_task = asyncio.create_task(work, name="avatarwire reconnect")

    def _redacted(self, reason: str) -> str:
        """Take the key and the tokens out of the platform's words."""
        result = self.result
        tokens: list[str | None] = []
        if result is not None:
            tokens = [result.user_token, result.agent_token, *secrets_in_url(result.agent_ws_url)]
        return redacted(reason, self._config.api_key, *tokens)

    def _end(self, code: int, reason: str) -> None:
        """Tell the ending, once; ours is a normal closure whatever the peer made of it."""
        if self._ending is not None:
            return
        if self._stop_task is not None:
            code, reason = NORMAL_CLOSURE, ""
        self._ending = (code, reason)
        logger.info("session %s: ended with close code %d", self._session_id, code)
        self._on_ended()
        dropped_bytes = self.outbox.ended(SessionLostError(code, reason))
        self._backlog_lost_bytes += dropped_bytes
        if dropped_bytes:
            logger.warning(
                "session %s: %d bytes waited for a connection in vain",
                self._session_id,
                dropped_bytes,
            )
        self._on_closed = self.callbacks.call("on_closed", code, reason)
        self._settle(code, reason)

    def _settle(self, code: int, reason: str) -> None:
        """Let go of everyone who waits for the session."""
        if not self.scene.done():
            self.scene.set_exception(SessionLostError(code, reason))
            self.scene.exception()  # nobody may be waiting
        if not self.closed.done():
            self.closed.set_result(None)

    async def stop(self) -> None:
        """End the session; every caller returns when it has ended."""
        callback = running_callback()
        if callback is not None:
            if callback is self._on_closed and self._stop_task is not None:
                return  # stop() waits for this very callback
            self._stop_callers.add(callback)
        if self._stop_task is None:
            self._on_ended()
            self._stop_task = _keep(asyncio.create_task(self._stop(), name="avatarwire stop"))
        await asyncio.shield(self._stop_task)

    async def _stop(self) -> None:
        deadline_s = asyncio.get_running_loop().time() + STOP_LIMIT_S
        try:
            if self._start_task is not None and not self._start_task.done():
                self._start_task.cancel()
                await asyncio.wait([self._start_task])
            if self._reconnect_task is not None and not self._reconnect_task.done():
                self._reconnect_task.cancel()
                await asyncio.wait([self._reconnect_task])
            # In this order: the platform drops what it has not read once it is told to stop.
            await self._close_link()
            cancelled = self._start_task is not None and self._start_task.cancelled()
            if self._was_open or cancelled:
                self._end(NORMAL_CLOSURE, "")  # where there was no connection to tell it
            release = _keep(asyncio.create_task(self._release(), name="avatarwire release"))
            # A platform that takes its time is told in the background; ours is not to wait for it.
            left_s = max(MIN_RELEASE_S, deadline_s - asyncio.get_running_loop().time())
            await asyncio.wait([release], timeout=left_s)
            await self._end_callbacks()
        finally:
            self._settle(NORMAL_CLOSURE, "stop() was called")

    async def _end_callbacks(self) -> None:
        if self._on_closed is not None and self._on_closed not in self._stop_callers:
            await asyncio.wait([self._on_closed], timeout=self._config.timeout)
            if not self._on_closed.done():
                logger.warning("on_closed took over %s s: cancelled", self._config.timeout)
        cancelled = self.callbacks.cancel(keep=self._stop_callers)
        if cancelled:
            await asyncio.wait(cancelled, timeout=CANCEL_GRACE_S)

    async def _close_link(self) -> None:
        if self._link is None:
            return
        if self.protocol.is_open and self._ending is None and not self.protocol.is_closing:
            self._write_event(MessageBuilder.session_stop())
        await self._link.close()

    async def _release(self) -> None:
        """Stop the platform's session, which it would bill until it is stopped."""
        try:
            if self._rest_start is not None:
                await asyncio.wait([self._rest_start])
                if self._rest_start.exception() is None and self._api is not None:
                    await self._api.stop(self._rest_start.result().session_id)
        finally:
            await self._resources.aclose()

    def _write_event(self, event: Event) -> None:
        """Write without waiting; a connection that is ending has no use for it."""
        if self._link is not None:
            with suppress(SessionLostError):
                self._link.connection.write_batch(framed(event))
                if self._tap is not None:
                    self._tap("sent", encode(event).decode())


def _keep(task: asyncio.Task[T]) -> asyncio.Task[T]:
    """Hold a task until it is done; the event loop holds it weakly."""
    _kept.add(task)
    task.add_done_callback(_kept.discard)
    # What it raised is told to whoever waits; nobody may be left to.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


def _checked_url(url: str | None, base_url: str) -> str:
    """Check where the platform sends the agent; its token stays out of every error."""
    if not url:
        raise UnusableAnswerError(
            "agentWsUrl not present in /session/start response: "
            "is the WebSocket agent mode enabled for this avatar?"
        )
    scheme, host = _scheme_and_host(url)
    if scheme not in {"ws", "wss"} or not host:
        raise ConnectFailedError(
            "the platform's agentWsUrl is not a ws:// or wss:// URL"
            + (f" but {scheme}://" if scheme and host else "")
        )
    if scheme == "ws" and urlsplit(base_url).scheme == "https" and not transport.is_loopback(host):
        raise ConnectFailedError(
            f"the platform's agentWsUrl ({host}) is not encrypted although base_url is https: "
            "refused, since it carries a token and the user's voice",
            setting="base_url",
        )
    return url


def _scheme_and_host(url: str) -> tuple[str, str | None]:
    """Take the URL apart where no error is raised: its parts, the token too, are local here."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", None
    return parts.scheme, parts.hostname
