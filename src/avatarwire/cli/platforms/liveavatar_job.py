"""``avatarwire stream`` with Live Avatar."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from avatarwire import (
    AgentListener,
    AvatarAgent,
    AvatarAgentConfig,
    ConnectFailedError,
    ErrorCode,
    HandshakeTimeoutError,
    SessionLostError,
    SessionStartError,
    SettingError,
)
from avatarwire.audio import PcmFormat
from avatarwire.cli.job import (
    Delivery,
    Outcome,
    ReceivedSpeech,
    Settings,
    Speech,
    advice_on_status,
    speak,
    usage_error,
)
from avatarwire.cli.local import local_unless
from avatarwire.codec.header import FRAME_RATES
from avatarwire.emulator import LiveAvatarEmulator
from avatarwire.session import Connect, Session

__all__ = [
    "FIRST_PLATFORM_CODE",
    "OPTIONS",
    "LiveAvatarJob",
    "new_config",
    "quiet_emulator",
    "words_and_advice",
]

_ADVICE = {
    ErrorCode.PRINCIPAL_UNIDENTIFIED: "check --api-key or AVATARWIRE_API_KEY",
    ErrorCode.SESSION_ACCESS_DENIED: "check that the key may use this avatar",
    ErrorCode.CONCURRENCY_LIMIT_EXCEEDED: "end another session first",
    ErrorCode.QUOTA_EXHAUSTED: "check the plan in the platform's console",
    ErrorCode.NO_ORCHESTRATION_POD: "the platform is busy; try again in a few seconds",
    ErrorCode.NO_RENDERER_POD: "the platform is busy; try again in a few seconds",
    ErrorCode.SESSION_START_FAILED: "check --url, and that a platform answers there",
}
#: From here on a number is the platform's own, below it an HTTP status.
FIRST_PLATFORM_CODE = 1000
#: What the user can type, by the configuration's name for it.
OPTIONS = {"base_url": "--url", "api_key": "--api-key", "avatar_id": "--avatar-id"}


def words_and_advice(exc: SessionStartError) -> str:
    """Return why a start was refused, and what to do about it."""
    # Without an answer there is no code worth showing.
    code = f"[{exc.code}] {exc.error_code.name}: " if exc.code else ""
    return f"{code}{exc.message}; {_advice_on(exc)}"


def _advice_on(exc: SessionStartError) -> str:
    """Return what to do about a start that was refused."""
    is_platforms = exc.code >= FIRST_PLATFORM_CODE
    if exc.error_code is ErrorCode.SESSION_START_FAILED and is_platforms:
        return "check --avatar-id, and try again in a few seconds"
    if exc.code == 403:
        return "check --url, the network, and whether the key may use this avatar"
    return advice_on_status(exc.code) or _ADVICE[exc.error_code]


def quiet_emulator() -> LiveAvatarEmulator:
    """Return a platform whose user says nothing."""
    return LiveAvatarEmulator(greeting=None)


def new_config(
    settings: Settings,
    emulator: LiveAvatarEmulator | None,
    **limits: Any,  # noqa: ANN401 - whatever else the configuration takes
) -> AvatarAgentConfig:
    """Return what a session needs; a platform on this machine takes any account.

    Raises:
        SettingError: a setting that cannot work.
    """
    return AvatarAgentConfig(
        api_key=settings.api_key or "local",
        avatar_id=settings.avatar_id or "local",
        base_url=emulator.base_url if emulator is not None else settings.url or "",
        voice_id=settings.voice_id,
        sandbox=settings.own["sandbox"],
        **limits,
    )


class LiveAvatarJob:
    """A session with Live Avatar."""

    frame_ms = 40

    def __init__(self, config: AvatarAgentConfig, emulator: LiveAvatarEmulator | None) -> None:
        self._config = config
        self._emulator = emulator

    @classmethod
    @contextlib.contextmanager
    def open(cls, settings: Settings) -> "Iterator[LiveAvatarJob]":
        """Check the settings, and run the local platform when they name no other.

        Raises:
            click.UsageError: a setting that cannot work.
        """
        with local_unless(settings.url, quiet_emulator) as emulator:
            try:
                config = new_config(settings, emulator)
            except SettingError as exc:
                raise usage_error(exc, OPTIONS) from exc
            yield cls(config, emulator)

    @property
    def url(self) -> str:
        """The platform's base URL."""
        return self._config.base_url

    def sent_format(self, written: PcmFormat) -> PcmFormat:
        """Return what the agent makes of it: mono, at a rate that a frame header can say."""
        rate = written.sample_rate
        return PcmFormat(rate if rate in FRAME_RATES else 24000)

    async def stream(
        self, speech: Speech, delivery: Delivery, advance: Callable[[float], None] | None
    ) -> Outcome:
        """Run one whole session."""
        listener = _Listener()
        async with AvatarAgent(self._config, listener) as agent:
            outcome = await speak(agent, speech, delivery, advance)
            if outcome.playout.reason == "lost":
                raise SessionLostError(*await listener.end)
        return outcome

    def session(self, connect: Connect | None = None) -> AvatarAgent:
        """Return a session that has not been started."""
        return AvatarAgent(self._config, AgentListener(), connect=connect)

    async def prepare(self, session: Session) -> None:
        """Do nothing: it is ready."""

    def explain(self, exc: Exception) -> str:
        """Return in one line why it failed, and what to do."""
        match exc:
            case SessionStartError():
                return f"no session at {self.url}: {words_and_advice(exc)}"
            case SessionLostError(code=1006):
                words = "the connection was lost without a goodbye (close code 1006)"
                advice = "; check the network, and run it again"
            case SessionLostError():
                words = str(exc)
                advice = "; run it again, and if it stays so, ask whoever runs the platform"
            case ConnectFailedError(status=None):
                words, advice = str(exc), "; check that no proxy or firewall keeps WebSockets out"
            case ConnectFailedError():
                words = str(exc)
                advice = (
                    "; the address that the platform gave is spent, expired or behind a proxy:"
                    " run it again"
                )
            case HandshakeTimeoutError():
                words, advice = str(exc), "; the platform has fallen silent: run it again"
            case _:
                words, advice = str(exc), ""
        return f"the session at {self.url} failed: {words}{advice}"

    def received(self) -> ReceivedSpeech | None:
        """Return what arrived; None when the platform is not a local one."""
        if self._emulator is None:
            return None
        turn = self._emulator.sessions[0].turns[0]
        return ReceivedSpeech(bytes(turn.pcm), turn)


class _Listener(AgentListener):
    """Remembers why the session ended."""

    def __init__(self) -> None:
        self.end: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    async def on_closed(self, code: int, reason: str) -> None:
        self.end.set_result((code, reason))
