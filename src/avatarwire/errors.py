"""Every error that the package raises on purpose.

    AvatarwireError
    ├── RestError                          a REST call got no usable answer
    ├── AlreadyStartedError                also RuntimeError: start() twice without stop()
    ├── NotConnectedError                  also RuntimeError: nothing to send on yet
    ├── ConnectFailedError                 also ConnectionError: the WebSocket could not be opened
    ├── HandshakeTimeoutError              also RuntimeError: no confirmation in time
    ├── SessionLostError                   also ConnectionError: the session ended under the caller
    │   (``SessionLost`` is the same class)
    ├── BacklogFullError                   also ConnectionError: too much waits for a reconnection
    ├── SettingError                       also ValueError: a setting that cannot work
    ├── SettingTypeError                   also TypeError: a setting of the wrong type
    ├── AudioFormatError                   also ValueError: sound of another shape than is taken
    ├── MissingExtraError                  also ImportError: an optional dependency is not installed
    └── UnsupportedVersionError            also ImportError: it is, in a version that will not do

A platform's own are in ``avatarwire.liveavatar.errors`` and ``avatarwire.akool.exceptions``. Each
has ``setting``: the name of the setting to blame, such as ``"base_url"``, or None. Beside all of
them are four builtin ones: ``TypeError`` and ``ValueError`` for a wrong argument, a plain
``RuntimeError`` for a call at the wrong moment (a second audio stream while one is open), and
``TimeoutError`` where a call was given a timeout.
"""

from typing import Any, Self


class AvatarwireError(Exception):
    """Base of every error that the package raises on purpose.

    Attributes:
        setting: the name of the setting to blame, as the configuration calls it, such as
            ``"base_url"``; None when no single setting is known to be wrong.
    """

    def __init__(self, *words: object, setting: str | None = None) -> None:
        super().__init__(*words)
        self.setting = setting


class RestError(AvatarwireError):
    """A REST call that could not be made, or to which no complete answer came.

    An answer with an error status is not this; it is a ``transport.Response``.
    """


class AlreadyStartedError(AvatarwireError, RuntimeError):
    """``start()`` of an agent that has been started and not stopped."""


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
    """The platform accepted the connection but did not confirm the session in time."""


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


class UnsupportedVersionError(AvatarwireError, ImportError):
    """A framework is installed in a version that its adapter does not know."""
