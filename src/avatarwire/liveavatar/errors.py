"""The errors of the Live Avatar Channel, beside those of every platform.

AvatarwireError
├── SessionStartError                  the platform refused to start a session
├── UnusableAnswerError                also RuntimeError: a session without an agentWsUrl
├── ResponseStreamStateError           also RuntimeError: a text response out of its order
└── PromptStreamStateError             also RuntimeError: a streamed prompt out of its order
"""

from enum import Enum
from typing import Any, Self

from avatarwire.errors import AvatarwireError

__all__ = [
    "ErrorCode",
    "PromptStreamStateError",
    "ResponseStreamStateError",
    "SessionStartError",
    "UnusableAnswerError",
]


class ErrorCode(Enum):
    """Why the platform refused to start a session (``protocol/liveavatar.md`` §2)."""

    NO_ORCHESTRATION_POD = "NO_ORCHESTRATION_POD"
    NO_RENDERER_POD = "NO_RENDERER_POD"
    SESSION_START_FAILED = "SESSION_START_FAILED"
    PRINCIPAL_UNIDENTIFIED = "PRINCIPAL_UNIDENTIFIED"
    CONCURRENCY_LIMIT_EXCEEDED = "CONCURRENCY_LIMIT_EXCEEDED"
    QUOTA_EXHAUSTED = "QUOTA_EXHAUSTED"
    SESSION_ACCESS_DENIED = "SESSION_ACCESS_DENIED"


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


class UnusableAnswerError(AvatarwireError, RuntimeError):
    """The platform started a session that an agent cannot connect to."""


class ResponseStreamStateError(AvatarwireError, RuntimeError):
    """A call that the life of a text response does not allow; nothing was sent for it.

    Also when a lost connection cut the response off while the session goes on (``on_gap``). The
    text names the ids concerned (protocol section "Response lifecycle").
    """


class PromptStreamStateError(AvatarwireError, RuntimeError):
    """A call that the life of a streamed prompt does not allow; nothing was sent for it.

    Also when a lost connection cut the prompt off while the session goes on (``on_gap``).
    """
