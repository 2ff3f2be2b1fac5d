"""``avatarwire stream --platform akool``."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import click

from avatarwire.akool import (
    AsyncStreamingAvatarClient,
    AudioStreamError,
    AuthenticationError,
    ConfigurationError,
    ConnectionError,  # noqa: A004 - the published name
    RetryError,
    ServiceDiscoveryError,
)
from avatarwire.audio import PcmFormat
from avatarwire.cli.local import local_unless
from avatarwire.cli.speech import (
    Manner,
    Outcome,
    Received,
    Settings,
    Speech,
    advice_on_status,
    by_option,
    in_options,
    speak,
)
from avatarwire.emulator import AkoolEmulator

__all__ = ["AkoolJob", "advice_on", "is_server", "new_client", "require_agora", "told"]

_AGORA_OPTIONS = ("--agora-app-id", "--agora-channel", "--agora-token", "--agora-uid")
_OPTIONS = {
    "discovery_url": "--url",
    "server_url": "--url",
    "api_key": "--api-key",
    "avatar_id": "--avatar-id",
    "env": "--env",
}


class AkoolJob:
    """A session with Akool."""

    frame_ms = 64

    def __init__(
        self,
        client: AsyncStreamingAvatarClient,
        settings: Settings,
        url: str,
        emulator: AkoolEmulator | None,
    ) -> None:
        self.url = url
        self._client = client
        self._settings = settings
        self._emulator = emulator
        self._was_connected = False

    @classmethod
    @contextlib.contextmanager
    def open(cls, settings: Settings) -> "Iterator[AkoolJob]":
        """Check the settings, and run the local platform when they name no other.

        Raises:
            click.UsageError: a setting that cannot work.
        """
        with local_unless(settings.url, AkoolEmulator) as emulator:
            url = emulator.discovery_url if emulator is not None else settings.url or ""
            yield cls(new_client(settings, url), settings, url, emulator)

    def sent_format(self, written: PcmFormat) -> PcmFormat:  # noqa: ARG002
        """Give what Akool takes, whatever is written."""
        return PcmFormat(16000)

    async def stream(
        self, speech: Speech, manner: Manner, advance: Callable[[float], None] | None
    ) -> Outcome:
        """Run one whole session."""
        client, errors, ended = self._client, list[Exception](), asyncio.Event()
        client.on_error = errors.append
        client.on_disconnected = ended.set
        app_id, channel, token, uid = (value or "local" for value in self._settings.agora)
        async with client:
            self._was_connected = True
            await client.set_agora_params(
                app_id, channel, token, uid, voice_id=self._settings.voice_id
            )
            stream = client.audio_stream(
                sample_rate=speech.format.sample_rate,
                channels=speech.format.channels,
                lead_ms=manner.lead_ms,
                paced=manner.paced,
            )
            outcome = await speak(stream, speech, manner, advance)
            if outcome.playout.reason == "lost":
                await ended.wait()
                raise errors[-1] if errors else ConnectionError("the platform has closed it")
        return outcome

    def explain(self, exc: Exception) -> str:
        """Say in one line why it failed, and what to do."""
        words = told(exc)
        no_server = "; check --url, and that a platform answers there"
        if isinstance(exc, ConnectionError):
            words += "; check the network, and run it again" if self._was_connected else no_server
        return f"the session at {self.url} failed: {words}"

    def received(self) -> Received | None:
        """Give what arrived; None when the platform is not a local one."""
        if self._emulator is None:
            return None
        return Received(bytes(self._emulator.sessions[0].pcm), None)


def is_server(url: str) -> bool:
    """Whether a URL names one of Akool's servers, and not its discovery."""
    return url.startswith(("ws://", "wss://"))


def new_client(settings: Settings, url: str) -> AsyncStreamingAvatarClient:
    """Make a client that has not connected yet.

    Raises:
        click.UsageError: a setting that cannot work.
    """
    if settings.sandbox:
        raise click.UsageError("--sandbox is Live Avatar's; with Akool, choose an --env.")
    where: dict[str, Any] = {"server_url" if is_server(url) else "discovery_url": url}
    try:
        return AsyncStreamingAvatarClient(
            settings.api_key or "local", settings.avatar_id or "local", env=settings.env, **where
        )
    except (AuthenticationError, ConfigurationError) as exc:
        raise by_option(exc, _OPTIONS) from exc


def told(exc: Exception) -> str:
    """Say what failed, and what to do about it."""
    advice = advice_on(exc)
    return in_options(str(exc), _OPTIONS) + ("; " if advice else "") + advice


def advice_on(exc: Exception) -> str:
    """Say what to do about a failure; empty where its words say all."""
    match exc:
        case AuthenticationError():
            return "check --api-key or AVATARWIRE_API_KEY"
        case ServiceDiscoveryError():
            return advice_on_status(exc.code) or ""
        case RetryError():
            return (
                advice_on_status(exc.code)
                or "check --url and --env, and that a platform answers there"
            )
        case AudioStreamError():
            return "check the --agora-… settings"
    return ""


def require_agora(settings: Settings) -> None:
    """Refuse to go on without an Agora channel.

    Raises:
        click.UsageError: it names the setting that is missing.
    """
    missing = [
        f"AVATARWIRE{option.removeprefix('-').replace('-', '_').upper()} or {option}"
        for option, value in zip(_AGORA_OPTIONS, settings.agora, strict=True)
        if not value
    ]
    if missing:
        raise click.UsageError(f"Akool needs an Agora channel: set {'; '.join(missing)}.")
