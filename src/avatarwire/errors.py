"""Every error that the package raises on purpose.

    AvatarwireError
    ├── SessionStartError                  the platform refused to start a session
    ├── RestError                          a REST call got no usable answer
    ├── AlreadyStartedError                also RuntimeError: start() twice without stop()
    ├── UnusableAnswerError                also RuntimeError: a session without an agentWsUrl
    ├── NotConnectedError                  also RuntimeError: nothing to send on yet
    ├── ConnectFailedError                 also ConnectionError: the WebSocket could not be opened
    ├── HandshakeTimeoutError              also RuntimeError: session.init did not arrive in time
    ├── SessionLostError                   also ConnectionError: the session ended under the caller
    │   (``SessionLost`` is the same class)
    ├── BacklogFullError                   also ConnectionError: too much waits for a reconnection
    ├── SettingError                       also ValueError: a setting that cannot work
    ├── SettingTypeError                   also TypeError: a setting of the wrong type
    ├── ResponseStreamStateError           also RuntimeError: a text response out of its order
    ├── PromptStreamStateError             also RuntimeError: a streamed prompt out of its order
    ├── AudioFormatError                   also ValueError: sound of another shape than is taken
    └── MissingExtraError                  also ImportError: an optional dependency is not installed

Akool's own are in ``avatarwire.akool.exceptions``. Each has ``setting``: the name of the setting
to blame, such as ``"base_url"``, or None. Beside all of them are four builtin ones:
``TypeError`` and ``ValueError`` for a wrong argument, a plain ``RuntimeError`` for a call at the
wrong moment (a second audio stream while one is open), and ``TimeoutError`` where a call was given
a timeout.
"""

from enum import Enum
from typing import Any, Self


class ErrorCode(Enum):
    """Why the platform refused to start a session (``protocol/liveavatar.md`` §2)."""

    NO_ORCHESTRATION_POD = "NO_ORCHESTRATION_POD"
    NO_RENDERER_POD = "NO_RENDERER_POD"
    SESSION_START_FAILED = "SESSION_START_FAILED"
    PRINCIPAL_UNIDENTIFIED = "PRINCIPAL_UNIDENTIFIED"
    CONCURRENCY_LIMIT_EXCEEDED = "CONCURRENCY_LIMIT_EXCEEDED"
    QUOTA_EXHAUSTED = "QUOTA_EXHAUSTED"
    SESSION_ACCESS_DENIED = "SESSION_ACCESS_DENIED"


class AvatarwireError(Exception):
    """Base of every error that the package raises on purpose.

    Attributes:
        setting: the name of the setting to blame, as the configuration calls it, such as
            ``"base_url"``; None when no single setting is known to be wrong.
    """

    def __init__(self, *words: object, setting: str | None = None) -> None:
        super().__init__(*words)
        self.setting = setting


class SessionStartError(AvatarwireError):
    """The platform refused, or failed to answer, ``POST /v1/session/start``.

    Attributes:
        code: the platform's number (40001 to 40007), or the HTTP status when it sent none;
            0 when there was no answer at all.
        error_code: what the number means; an unknown number is ``SESSION_START_FAILED``.
        message: the platform's words, or ours where it had none.
        advice: which setting to look at, where the words are ours; may be empty.
    """

    def __init__(
        self,
        code: int,
        error_code: ErrorCode,
        message: str,
        advice: str = "",
        *,
        setting: str | None = None,
    ) -> None:
        self.code = code
        self.error_code = error_code
        self.message = message
        self.advice = advice
        super().__init__(
            f"[{code}] {error_code.name}: {message}{': ' if advice else ''}{advice}",
            setting=setting,
        )

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...], dict[str, Any]]:
        return type(self), (self.code, self.error_code, self.message, self.advice), vars(self)


class RestError(AvatarwireError):
    """A REST call that could not be made, or to which no complete answer came.

    An answer with an error status is not this; it is a ``transport.Response``.
    """


class AlreadyStartedError(AvatarwireError, RuntimeError):
    """``start()`` of an agent that has been started and not stopped."""


class UnusableAnswerError(AvatarwireError, RuntimeError):
    """The platform started a session that an agent cannot connect to."""


class NotConnectedError(AvatarwireError, RuntimeError):
    """A send before ``start()`` or after ``stop()``."""


class ConnectFailedError(AvatarwireError, ConnectionError):
    """The WebSocket could not be opened.

    Attributes:
        status: the HTTP status that refused it; None when it failed in another way.
    """

    def __init__(
        self, message: str = "", status: int | None = None, *, setting: str | None = None
    ) -> None:
        super().__init__(message, setting=setting)
        self.status = status


class HandshakeTimeoutError(AvatarwireError, RuntimeError):
    """The platform accepted the connection but did not send ``session.init`` in time."""


class SessionLostError(AvatarwireError, ConnectionError):
    """The session ended while a caller depended on it.

    Attributes:
        code: the WebSocket close code; 1006 when the connection was cut, 1011 when it fell silent.
        reason: the peer's words; may be empty.
    """

    def __init__(self, code: int = 1006, reason: str = "") -> None:
        self.code = code
        self.reason = reason
        super().__init__(
            f"the session has ended (close code {code}{': ' if reason else ''}{reason})"
        )

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...], dict[str, Any]]:
        return type(self), (self.code, self.reason), vars(self)


SessionLost = SessionLostError


class BacklogFullError(AvatarwireError, ConnectionError):
    """The connection is being restored and too much waits for it already; nothing was queued.

    Attributes:
        waiting_bytes: what waits.
        limit_bytes: ``reconnect_buffer_bytes`` of the configuration.
    """

    def __init__(self, waiting_bytes: int, limit_bytes: int) -> None:
        self.waiting_bytes = waiting_bytes
        self.limit_bytes = limit_bytes
        super().__init__(
            f"the connection is being restored and {waiting_bytes:,} of {limit_bytes:,} bytes wait"
            " already: send less, or raise reconnect_buffer_bytes",
            setting="reconnect_buffer_bytes",
        )

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...], dict[str, Any]]:
        return type(self), (self.waiting_bytes, self.limit_bytes), vars(self)


class SettingError(AvatarwireError, ValueError):
    """A setting that cannot work; ``setting`` names it."""


class SettingTypeError(AvatarwireError, TypeError):
    """A setting of another type than it has; ``setting`` names it."""


class ResponseStreamStateError(AvatarwireError, RuntimeError):
    """A call that the life of a text response does not allow; nothing was sent for it.

    Also when a lost connection cut the response off while the session goes on (``on_gap``). The
    text names the ids concerned (protocol section "Response lifecycle").
    """


class PromptStreamStateError(AvatarwireError, RuntimeError):
    """A call that the life of a streamed prompt does not allow; nothing was sent for it.

    Also when a lost connection cut the prompt off while the session goes on (``on_gap``).
    """


class AudioFormatError(AvatarwireError, ValueError):
    """Sound of another shape than the call takes; the text says what it is and what to do."""


class MissingExtraError(AvatarwireError, ImportError):
    """An optional dependency is not installed; the text is the command that installs it."""

    def __init__(self, feature: str, extra: str) -> None:
        self.feature = feature
        self.extra = extra
        super().__init__(f'{feature} needs an extra: pip install "avatarwire[{extra}]"')

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...], dict[str, Any]]:
        return type(self), (self.feature, self.extra), vars(self)
