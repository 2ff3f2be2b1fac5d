"""Akool's streaming avatar: the client, and its errors, under the published SDK's names."""

from typing import TYPE_CHECKING

from avatarwire._lazy import lazy_names

if TYPE_CHECKING:
    from avatarwire.akool.client import (
        AsyncStreamingAvatarClient,
        StreamingAvatarClient,
        create_client,
    )
    from avatarwire.akool.exceptions import (
        AkoolStreamingAvatarError,
        AudioStreamError,
        AuthenticationError,
        ConfigurationError,
        ConnectionError,  # noqa: A004 - the published name
        RetryError,
        ServiceDiscoveryError,
    )

__all__ = [
    "AkoolStreamingAvatarError",
    "AsyncStreamingAvatarClient",
    "AudioStreamError",
    "AuthenticationError",
    "ConfigurationError",
    "ConnectionError",
    "RetryError",
    "ServiceDiscoveryError",
    "StreamingAvatarClient",
    "create_client",
]

_HOMES = {
    "avatarwire.akool.exceptions": (
        "AkoolStreamingAvatarError AudioStreamError AuthenticationError ConfigurationError"
        " ConnectionError RetryError ServiceDiscoveryError"
    ),
    "avatarwire.akool.client": "AsyncStreamingAvatarClient StreamingAvatarClient create_client",
}

if not TYPE_CHECKING:  # a type checker shall know a misspelt name
    __getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
