"""``avatarwire stream`` with Akool."""

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
from avatarwire.cli.job import (
    Delivery,
    Outcome,
    ReceivedSpeech,
    Settings,
    Speech,
    advice_on_status,
    in_options,
    speak,
    usage_error,
)
from avatarwire.cli.local import local_unless
from avatarwire.emulator import AkoolEmulator
from avatarwire.session import Connect, Session

__all__ = [
    "AGORA",
    "AKOOL_FORMAT",
    "AkoolJob",
    "advice_on",
    "agora_params",
    "is_server",
    "new_client",
    "require_agora",
    "words_and_advice",
]

#: What Akool takes.
AKOOL_FORMAT = PcmFormat(16000)
#: The parameters that say where the avatar appears, in the order of ``set_agora_params``.
AGORA = {
    "agora_app_id": "application",
    "agora_channel": "channel",
    "agora_token": "RTC token",
    "agora_uid": "user id of the avatar",
}
#: What the user can type, by the client's name for it.
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
        """Return what Akool takes, whatever is written."""
        return AKOOL_FORMAT

    async def stream(
        self, speech: Speech, delivery: Delivery, advance: Callable[[float], None] | None
    ) -> Outcome:
        """Run one whole session."""
        client, errors, ended = self._client, list[Exception](), asyncio.Event()
        client.on_error = errors.append
        client.on_disconnected = ended.set
        async with client:
            self._was_connected = True
            await client.set_agora_params(
                *agora_params(self._settings), voice_id=self._settings.voice_id
            )
            outcome = await speak(client, speech, delivery, advance)
            if outcome.playout.reason == "lost":
                await ended.wait()
                raise errors[-1] if errors else ConnectionError("the platform has closed it")
        return outcome

    def session(self, connect: Connect | None = None) -> AsyncStreamingAvatarClient:
        """Return a session that has not been started."""
        return new_client(self._settings, self.url, connect)

    async def prepare(self, session: Session) -> None:
        """Have the avatar join its channel."""
        if isinstance(session, AsyncStreamingAvatarClient):
            voice_id = self._settings.voice_id
            await session.set_agora_params(*agora_params(self._settings), voice_id=voice_id)

    def explain(self, exc: Exception) -> str:
        """Return in one line why it failed, and what to do."""
        words = words_and_advice(exc)
        no_server = "; check --url, and that a platform answers there"
        if isinstance(exc, ConnectionError):
            words += "; check the network, and run it again" if self._was_connected else no_server
        return f"the session at {self.url} failed: {words}"

    def received(self) -> ReceivedSpeech | None:
        """Return what arrived; None when the platform is not a local one."""
        if self._emulator is None:
            return None
        return ReceivedSpeech(bytes(self._emulator.sessions[0].pcm), None)


def is_server(url: str) -> bool:
    """Return whether a URL names one of Akool's servers, and not its discovery."""
    return url.startswith(("ws://", "wss://"))


def new_client(
    settings: Settings, url: str, connect: Connect | None = None
) -> AsyncStreamingAvatarClient:
    """Return a client that has not connected yet.

    Raises:
        click.UsageError: a setting that cannot work.
    """
    if settings.own["sandbox"]:
        raise click.UsageError("--sandbox is Live Avatar's; with Akool, choose an --env.")
    where: dict[str, Any] = {"server_url" if is_server(url) else "discovery_url": url}
    try:
        return AsyncStreamingAvatarClient(
            settings.api_key or "local",
            settings.avatar_id or "local",
            env=settings.own["env"],
            connect=connect,
            **where,
        )
    except (AuthenticationError, ConfigurationError) as exc:
        raise usage_error(exc, _OPTIONS) from exc


def words_and_advice(exc: Exception) -> str:
    """Return what failed, and what to do about it."""
    advice = advice_on(exc)
    return in_options(exc, _OPTIONS) + ("; " if advice else "") + advice


def advice_on(exc: Exception) -> str:
    """Return what to do about a failure; empty where its words say all."""
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


def agora_params(settings: Settings) -> tuple[str, str, str, str]:
    """Return the Agora application, channel, token and user id; a local platform takes any."""
    app_id, channel, token, uid = (settings.own[name] or "local" for name in AGORA)
    return app_id, channel, token, uid


def require_agora(settings: Settings) -> None:
    """Refuse to go on without an Agora channel.

    Raises:
        click.UsageError: it names the setting that is missing.
    """
    missing = [
        f"AVATARWIRE_{name.upper()} or --{name.replace('_', '-')}"
        for name in AGORA
        if not settings.own[name]
    ]
    if missing:
        raise click.UsageError(f"Akool needs an Agora channel: set {'; '.join(missing)}.")
