"""Live Avatar Channel's words: where a session is dialled, what opens it, and how it is left.

Source: the wire protocol, "REST" and "Connection".
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from avatarwire import transport
from avatarwire._tasks import begin_later
from avatarwire.codec import AudioFrame
from avatarwire.errors import ConnectFailedError, RestError, SessionLostError
from avatarwire.liveavatar.config import AvatarAgentConfig, SessionStartResult
from avatarwire.liveavatar.errors import ErrorCode, SessionStartError, UnusableAnswerError
from avatarwire.liveavatar.events import PlatformError, SessionClosing
from avatarwire.liveavatar.messages import MessageBuilder, encode
from avatarwire.liveavatar.protocol import LiveAvatarProtocol, Received
from avatarwire.liveavatar.rest import SessionApi, start_patiently
from avatarwire.session.dialect import Dialect, Endpoint, Permit
from avatarwire.session.tasks import keep
from avatarwire.transport import redacted, secrets_in_url

if TYPE_CHECKING:
    from avatarwire.transport import RestClient

__all__ = ["LiveAvatarDialect"]

#: After these the platform takes the session as over (protocol section 3).
FINAL_CODES = frozenset({1000, 1002, 1008})
#: Answers to a start with a session's id when that session has been closed (protocol section 2).
SESSION_IS_OVER = frozenset({403, 40007})
#: Answers to a start after which asking again is of no use (protocol section 2).
FINAL_START_CODES = frozenset({40004, 40005, 40006, 40007, 401, 403})


class LiveAvatarDialect(Dialect[Received]):
    """One agent's conversation with the platform, over REST and WebSocket.

    Args:
        config: what to connect to.
        permit: asked before the platform is; None: the session is always ours.

    Attributes:
        protocol: what has been received in this session.
        result: what the platform gave for the connection of now; None before the first.
    """

    def __init__(self, config: AvatarAgentConfig, permit: Permit | None = None) -> None:
        self.protocol: LiveAvatarProtocol = LiveAvatarProtocol()
        self.result: SessionStartResult | None = None
        self._config = config
        self._permit = permit
        self._resumes: str | None = None
        self._client: RestClient | None = None
        self._rest_start: asyncio.Task[SessionStartResult] | None = None  # until it has ended
        self._started_id: str | None = None  # what the platform runs for us
        self._offered: SessionStartResult | None = None

    def begin(self, session_id: str | None = None) -> None:
        """Forget the last session; go on with ``session_id``, which another process has begun."""
        self._resumes = session_id
        self.protocol = LiveAvatarProtocol()
        self.result = self._offered = self._client = self._rest_start = None
        self._started_id = None

    @property
    def session_id(self) -> str | None:
        """The platform's id of the session; None before it has given one."""
        result = self.result or self._offered
        return None if result is None else result.session_id

    @property
    def is_ready(self) -> bool:
        """Whether ``session.init`` has come."""
        return self.protocol.is_open

    @property
    def is_closing(self) -> bool:
        """Whether ``session.closing`` has come."""
        return self.protocol.is_closing

    async def endpoints(self, *, again: bool) -> Sequence[Endpoint]:
        """Start the session, or get other credentials for it: a URL serves once.

        Raises:
            SessionStartError: the platform refused, or did not answer properly.
            SessionLostError: the session to go on with is over, or no longer this process's.
            UnusableAnswerError, ConnectFailedError: it gave no URL that an agent can dial.
        """
        config = self._config
        if self._permit is not None:
            await self._permit()
        if again and self._client is not None:
            self._offered = await self._start_once(self.session_id)
        else:
            start = partial(self._start_once, self._resumes)
            try:
                self._offered = await start_patiently(start, config.start_retries)
            except SessionStartError as exc:
                if self._resumes is not None and exc.code in SESSION_IS_OVER:
                    raise SessionLostError(1000, f"the session is over: {exc}") from exc
                raise
        url = _checked_url(self._offered.agent_ws_url, config.base_url)
        return [
            Endpoint(
                url=url,
                name="the platform's agentWsUrl",
                confirmation="session.init",
                timeout_s=config.timeout,
                ping_interval_s=config.ping_interval,
                ping_timeout_s=config.ping_timeout,
                max_message_bytes=config.max_message_bytes,
                ssl_context=config.ssl_context if urlsplit(url).scheme == "wss" else None,
            )
        ]

    def greeting(self, endpoint: Endpoint) -> Sequence[bytes]:
        """Forget the last connection; the platform speaks first."""
        del endpoint
        self.protocol.reconnected()
        return ()

    def receive(self, message: str | bytes) -> Received | None:
        """Return what a message means; None when there is nothing to tell."""
        received = self.protocol.receive(message)
        if self.protocol.is_open:
            self.result = self._offered
        # Programs log what these say.
        match received:
            case PlatformError(code, words):
                return PlatformError(self.redacted(code), self.redacted(words))
            case SessionClosing(str(reason)):
                return SessionClosing(self.redacted(reason))
        return received

    def hear(self, messages: list[str | bytes], start: int, most: int) -> list[AudioFrame]:
        """Return the user's audio frames from ``start`` on, up to the first other message."""
        return self.protocol.hear(messages, start, most)

    def replies(self) -> Sequence[bytes]:
        """Return ``session.ready`` after each ``session.init``."""
        replies = self.protocol.replies()
        return [encode(event) for event in replies] if replies else ()

    def redacted(self, words: str) -> str:
        """Return the platform's words without the key and the tokens of the session."""
        tokens: list[str | None] = [self._config.api_key]
        for result in (self._offered, self.result):
            if result is not None:
                tokens += [result.user_token, result.agent_token]
                tokens += secrets_in_url(result.agent_ws_url)
        return redacted(words, *tokens)

    def is_final(self, error: Exception) -> bool:
        """Return whether the session is over after ``error`` (protocol sections 2 and 3)."""
        if isinstance(error, SessionLostError):
            return error.code in FINAL_CODES
        return isinstance(error, SessionStartError) and error.code in FINAL_START_CODES

    async def goodbye(self, say: Callable[[bytes], None]) -> None:
        """Say ``session.stop``, unless the session is another process's by now."""
        if await self._is_ours():
            say(encode(MessageBuilder.session_stop()))

    async def leave(self) -> None:
        """Give the HTTP client back; the platform keeps the session."""
        if self._client is not None:
            await transport.return_client(self._client, self._config.ssl_context)

    async def release(self) -> str | None:
        """Stop the platform's session, which it would bill until it is stopped.

        One that was to be taken over, and was not, is left as it is: who has its id can try again.

        Returns:
            Why it may run on; None: it does not.
        """
        # Taken now: another session may begin before the platform has answered.
        client, rest_start, started_id = self._client, self._rest_start, self._started_id
        if client is None:
            return None
        api, failure = SessionApi(client, self._config), None
        try:
            if self._resumes is not None and self.result is None:
                return None
            if not await self._is_ours():
                return "another process has taken the session over"
            if started_id is not None:
                failure = await api.stop(started_id)
            if rest_start is not None:
                # The platform may come to it after the stop: what it then runs is stopped too.
                await asyncio.wait([rest_start])
                if not rest_start.cancelled() and rest_start.exception() is None:
                    failure = await api.stop(rest_start.result().session_id)
            return failure
        finally:
            await transport.return_client(client, self._config.ssl_context)

    async def _start_once(self, session_id: str | None = None) -> SessionStartResult:
        # One HTTP client for the whole session: a second one for the stop would cost a handshake.
        if self._client is None:
            self._client = await self._borrow_client()
        # Its own task: a start that is abandoned while the platform works on it still makes a
        # session, and only its answer tells which one to stop.
        asked = asyncio.Event()
        start = SessionApi(self._client, self._config).start(session_id, asking=asked.set)
        self._rest_start = starting = keep(begin_later(start, name="avatarwire REST start"))
        try:
            result = await asyncio.shield(starting)
        except SessionStartError:
            self._rest_start = None
            raise
        except asyncio.CancelledError:
            if not asked.is_set():
                starting.cancel()  # it waits for its turn, and the platform knows nothing of it
            raise
        self._rest_start, self._started_id = None, result.session_id
        return result

    async def _is_ours(self) -> bool:
        if self._permit is None:
            return True
        try:
            await self._permit()
        except SessionLostError:
            return False
        return True

    async def _borrow_client(self) -> "RestClient":
        try:
            return await transport.borrow_client(self._config.ssl_context)
        except RestError as exc:
            raise SessionStartError(
                0, ErrorCode.SESSION_START_FAILED, str(exc), setting=exc.setting
            ) from exc


def _checked_url(url: str | None, base_url: str) -> str:
    """Return where the platform sends the agent, checked; its token stays out of every error."""
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
