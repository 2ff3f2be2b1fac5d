"""The errors of Akool's client, under the names that the published SDK gives them.

AvatarwireError
└── AkoolStreamingAvatarError
    ├── AuthenticationError        a missing or refused API key
    ├── ConnectionError            also the builtin ConnectionError: not, or no longer, connected
    ├── ServiceDiscoveryError      no usable instance was named
    ├── AudioStreamError           sound or Agora parameters that cannot be sent or were refused
    ├── RetryError                 also the builtin ConnectionError: every dial has failed
    └── ConfigurationError         also ValueError: a setting that cannot work
"""

import builtins

from avatarwire.errors import AvatarwireError

__all__ = [
    "AkoolStreamingAvatarError",
    "AudioStreamError",
    "AuthenticationError",
    "ConfigurationError",
    "ConnectionError",
    "RetryError",
    "ServiceDiscoveryError",
]


class AkoolStreamingAvatarError(AvatarwireError):
    """Base of every error of Akool's client.

    Attributes:
        code: the platform's error code, or the WebSocket close code or HTTP status that it gave;
            None when there was none.
    """

    def __init__(self, *words: object, code: int | None = None, setting: str | None = None) -> None:
        super().__init__(*words, setting=setting)
        self.code = code


class AuthenticationError(AkoolStreamingAvatarError):
    """The API key or the avatar id is missing, or the platform refused the key."""


class ConnectionError(AkoolStreamingAvatarError, builtins.ConnectionError):  # noqa: A001
    """There is no connection, it could not be opened, or it ended under a call."""


class ServiceDiscoveryError(AkoolStreamingAvatarError):
    """Discovery failed, or named no available instance."""


class AudioStreamError(AkoolStreamingAvatarError):
    """Sound that cannot be sent, or Agora parameters that were refused or not confirmed."""


class RetryError(AkoolStreamingAvatarError, builtins.ConnectionError):
    """Every attempt to connect has failed; the last failure is the cause."""


class ConfigurationError(AkoolStreamingAvatarError, ValueError):
    """A setting of the client cannot work."""
