"""The platform's two REST calls. Source: the wire protocol, "REST"."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from avatarwire import transport
from avatarwire._checks import is_whole
from avatarwire.errors import RestError
from avatarwire.liveavatar.config import AvatarAgentConfig, SessionStartResult
from avatarwire.liveavatar.errors import ErrorCode, SessionStartError
from avatarwire.transport import Secret, redacted

if TYPE_CHECKING:
    from avatarwire.transport import Response, RestClient

__all__ = ["SessionApi", "start_patiently"]

logger: logging.Logger = logging.getLogger("avatarwire.liveavatar")

_ERROR_CODES = {
    40001: ErrorCode.NO_ORCHESTRATION_POD,
    40002: ErrorCode.NO_RENDERER_POD,
    40003: ErrorCode.SESSION_START_FAILED,
    40004: ErrorCode.PRINCIPAL_UNIDENTIFIED,
    40005: ErrorCode.CONCURRENCY_LIMIT_EXCEEDED,
    40006: ErrorCode.QUOTA_EXHAUSTED,
    40007: ErrorCode.SESSION_ACCESS_DENIED,
    401: ErrorCode.PRINCIPAL_UNIDENTIFIED,
    403: ErrorCode.SESSION_ACCESS_DENIED,
}

#: A 403 alone is not among them: anything on the way to the platform may have sent it.
_ABOUT_THE_KEY = {401, 40004, 40007}

START_PATH = "/v1/session/start"

#: What the published SDK's camelCase keys are called in the Python configuration.
_VOICE_CONFIG_KEYS = {"similarity_boost": "similarityBoost"}

#: They come with refusals too, and explain none.
_WORDS_OF_SUCCESS = {"success", "ok"}

#: How often a start is worth repeating, by the platform's code.
_RETRIES = {40001: 3, 40002: 3, 40003: 1}
RETRY_DELAY_S = (2.0, 3.0)

#: stop() must not hang on a platform that has stopped answering.
STOP_TIMEOUT_S = 2.0


class SessionApi:
    """Starts and stops sessions with one account."""

    def __init__(self, client: "RestClient", config: AvatarAgentConfig) -> None:
        self._client = client
        self._config = config
        self._base_url = config.base_url.rstrip("/")

    async def start(
        self, session_id: str | None = None, *, asking: Callable[[], None] | None = None
    ) -> SessionStartResult:
        """Start a session, or get fresh credentials for one that is still active.

        Args:
            session_id: of the one that is active; None: start one.
            asking: called when the platform is about to be asked, after the wait for a turn.

        Raises:
            SessionStartError: the platform refused, answered what it should not, or not at all.
        """
        body = self._start_body()
        if session_id is not None:
            body["sessionId"] = session_id
        try:
            answer = await self._post(START_PATH, body, self._config.timeout, asking)
        except RestError as exc:
            # An error that names a setting has advice of its own.
            advice = "" if exc.setting else "is it running? check base_url"
            raise self._failure(
                0, f"the platform did not answer: {exc}", advice, setting=exc.setting
            ) from None
        outcome = self._outcome(answer)
        if isinstance(outcome, SessionStartResult):
            outcome.resumed = outcome.session_id == session_id
            return outcome
        started = _session_id(answer)
        if started is not None and session_id is None:
            await self.stop(started)
        raise outcome

    async def stop(self, session_id: str) -> str | None:
        """Stop a session; a failure is logged, since the session also ends by disconnecting.

        Returns:
            Why the platform may run it on; None: it does not.
        """
        timeout_s = min(self._config.timeout, STOP_TIMEOUT_S)
        try:
            answer = await self._post("/v1/session/stop", {"sessionId": session_id}, timeout_s)
        except RestError as exc:
            failure = f"failed: {exc}"
        else:
            code = _code(answer)
            if code == 0:
                return None
            said = f"HTTP {answer.status}" if code is None else code
            failure = f"was answered with {said}"
        failure = f"stopping it at the platform {failure}"
        logger.warning("session %s: %s", session_id, failure)
        return failure

    async def _post(
        self,
        path: str,
        body: dict[str, Any],
        timeout_s: float,
        asking: Callable[[], None] | None = None,
    ) -> "Response":
        headers: dict[str, str] = {"Authorization": Secret(f"Bearer {self._config.api_key}")}
        if self._config.sandbox:
            headers["X-Env-Sandbox"] = "true"
        return await transport.post_json(
            self._client,
            self._base_url + path,
            body,
            headers=headers,
            timeout_s=timeout_s,
            begins=asking,
        )

    def _start_body(self) -> dict[str, Any]:
        config = self._config
        body: dict[str, Any] = {"avatarId": config.avatar_id, "mode": config.mode}
        if config.voice_id is not None:
            body["voiceId"] = config.voice_id
        if config.voice_config:
            body["voiceConfig"] = {
                _VOICE_CONFIG_KEYS.get(key, key): value
                for key, value in config.voice_config.items()
                if value is not None
            }
        if config.external_audio_config is not None:
            # As plain integers: JSON has none of NumPy's.
            body["externalAudioConfig"] = {
                name: int(value) for name, value in config.external_audio_config.items()
            }
        if config.rtc_provider is not None:
            body["rtcProvider"] = config.rtc_provider
        return body | dict(config.extra_start_fields or {})

    def _outcome(self, answer: "Response") -> SessionStartResult | SessionStartError:
        """Return the content of the answer, or the error that it stands for.

        Nothing is raised here, because the frames that read an answer hold its tokens.
        """
        code = _code(answer)
        is_fine = 200 <= answer.status < 300
        if code == 0 and is_fine:
            result = _result(answer.body.get("data"))
            if isinstance(result, SessionStartResult):
                return result
            return self._failure(answer.status, f"the platform's answer lacks {result}")
        # The platform's own number says more than the HTTP status, if it is one we know.
        number = code if code in _ERROR_CODES or (code and is_fine) else answer.status
        said = answer.body.get("message") if isinstance(answer.body, dict) else None
        said = redacted(said, self._config.api_key) if isinstance(said, str) else ""
        if code and said and said.casefold() not in _WORDS_OF_SUCCESS:
            return self._failure(number, said)
        message, advice = f"the platform answered HTTP {answer.status}", ""
        if code is not None:
            message += f" with code {code}" + (f" and the words {said!r}" if said else "")
        elif is_fine and answer.body is not None:
            message += ' without a number for "code"'
        elif said:
            message += f": {said}"
        if answer.location is not None:
            where = redacted(answer.location.removesuffix(START_PATH), self._config.api_key)
            message += ", a redirect, which is not followed"
            advice = f"is base_url right? it points to {where}"
        elif answer.body is None:
            cause, advice = _perhaps(answer.status)
            message += f" without JSON{cause}"
        return self._failure(number, message, advice)

    def _failure(
        self, number: int, message: str, advice: str = "", *, setting: str | None = None
    ) -> SessionStartError:
        error_code = _ERROR_CODES.get(number, ErrorCode.SESSION_START_FAILED)
        return SessionStartError(
            number, error_code, message, advice, setting=setting or _setting(number)
        )


async def start_patiently(
    start: Callable[[], Awaitable[SessionStartResult]], most_retries: int
) -> SessionStartResult:
    """Start a session; where the platform is short of capacity, ask again.

    ``most_retries`` more times two to three seconds apart while no pod is free, and once when the
    platform failed at it without a cause (protocol section 2).

    Raises:
        SessionStartError: the last answer.
    """
    failures = 0
    while True:
        try:
            return await start()
        except SessionStartError as exc:
            if failures >= min(_RETRIES.get(exc.code, 0), most_retries):
                raise
            failures += 1
            delay_s = random.uniform(*RETRY_DELAY_S)  # noqa: S311 - spreads load
            # A warning: somebody may be sitting there, and it can take nine seconds.
            logger.warning("the start failed (%s): once more in %.1f s", exc, delay_s)
        await asyncio.sleep(delay_s)


def _setting(number: int) -> str | None:
    """Return which setting a failed start speaks against, by its number."""
    if number in _ABOUT_THE_KEY:
        return "api_key"
    # The platform's own numbers, and the statuses of one that cannot serve now, blame none.
    return None if number == 429 or number >= 500 else "base_url"


def _perhaps(status: int) -> tuple[str, str]:
    """Return why something may have answered without JSON, and what to look at."""
    if status == 401:
        return "", "is api_key right?"
    if status == 403:
        return ": perhaps a proxy or firewall in between did", ""
    if status == 429:
        return ": too many requests", ""
    return (": it is down or overloaded", "") if status >= 500 else ("", "is base_url right?")


def _code(answer: "Response") -> int | None:
    code = answer.body.get("code") if isinstance(answer.body, dict) else None
    return code if is_whole(code) else None


def _session_id(answer: "Response") -> str | None:
    """Return the session that an answer names, whatever else it says."""
    data = answer.body.get("data") if isinstance(answer.body, dict) else None
    session_id = data.get("sessionId") if isinstance(data, dict) else None
    return session_id if isinstance(session_id, str) and session_id else None


def _result(data: object) -> SessionStartResult | str:
    """Return what ``data`` gives, or what it lacks."""
    if not isinstance(data, dict):
        return '"data"'
    required = ("sessionId", "sfuUrl", "userToken")
    missing = [key for key in required if key not in data]
    if missing:
        return repr(missing[0])
    if not all(isinstance(data[key], str) for key in required):
        return "text for sessionId, sfuUrl and userToken"
    optional = ("agentToken", "agentWsUrl", "joinUrl")
    if not all(data.get(key) is None or isinstance(data[key], str) for key in optional):
        return "text for agentToken, agentWsUrl and joinUrl"
    extra = {key: value for key, value in data.items() if key not in {*required, *optional}}
    return SessionStartResult(
        data["sessionId"],
        data["sfuUrl"],
        data["userToken"],
        data.get("agentToken"),
        data.get("agentWsUrl"),
        data.get("joinUrl"),
        extra,
    )
