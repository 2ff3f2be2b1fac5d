"""``avatarwire doctor``: one short session with Live Avatar."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from avatarwire import (
    AgentListener,
    AvatarAgent,
    AvatarAgentConfig,
    AvatarwireError,
    ConnectFailedError,
    ErrorCode,
    SessionStartError,
)
from avatarwire.cli.checks import (
    CONNECTION_LOST,
    HERE,
    NO_PROXY,
    TONE_HZ,
    TONE_S,
    Report,
    has_account,
    key_accepted,
    known_tone,
)
from avatarwire.cli.local import local_unless
from avatarwire.cli.on_liveavatar import (
    FIRST_PLATFORM_CODE,
    OPTIONS,
    new_config,
    quiet_emulator,
    told,
)
from avatarwire.cli.speech import Settings, advice_on_status, by_option
from avatarwire.emulator import LiveAvatarEmulator

__all__ = ["CHECKS", "check_liveavatar"]

CHECKS = ("URL", "key", "session start", "WebSocket", "test tone", "round trip", "session stop")
PING_INTERVAL_S = 0.25
ROUND_TRIP_TIMEOUT_S = 5.0
TIMEOUT_S = 10.0
ABOUT_THE_KEY = {ErrorCode.PRINCIPAL_UNIDENTIFIED, ErrorCode.SESSION_ACCESS_DENIED}
WHY_NOT_PLAYED = {
    "timed_out": "it was sent, but the platform never said that it was played; see whether a "
    "browser shows the avatar, and whether this avatar takes the developer's voice",
    "interrupted": "the platform interrupted it; see whether somebody speaks to this avatar",
    "failed": "the platform refused it; try another --sample-rate",
    "lost": CONNECTION_LOST,
}


def check_liveavatar(report: Report, settings: Settings, sample_rate: int) -> None:
    """Make all of ``CHECKS``, as far as one does not need another that failed."""
    if not has_account(report, settings, "session start"):
        return
    with local_unless(settings.url, quiet_emulator) as emulator:
        try:
            config = new_config(
                settings,
                emulator,
                timeout=TIMEOUT_S,
                start_retries=0,
                ping_interval=PING_INTERVAL_S,
            )
        except ValueError as exc:
            check = "URL" if "base_url" in str(exc) else "key"
            report.failed(check, by_option(exc, OPTIONS).message)
            return
        asyncio.run(_check(report, config, settings, sample_rate, emulator))


async def _check(
    report: Report,
    config: AvatarAgentConfig,
    settings: Settings,
    sample_rate: int,
    emulator: LiveAvatarEmulator | None,
) -> None:
    where = settings.url or HERE
    agent = AvatarAgent(config, AgentListener())
    try:
        await agent.start()
    except SessionStartError as exc:
        _explain(report, exc, where)
        return
    except (AvatarwireError, OSError, ValueError) as exc:
        _started(report, settings)
        status = exc.status if isinstance(exc, ConnectFailedError) else None
        advice = f"check that this avatar has the WebSocket agent mode, and that {NO_PROXY}"
        report.failed("WebSocket", f"{exc}; {advice_on_status(status) or advice}")
        return
    _started(report, settings)
    report.ok("WebSocket", f"connected, session {agent.session_id}")
    try:
        if await _check_tone(report, agent, sample_rate, emulator):
            await _check_round_trip(report, agent)
        else:
            report.skipped("round trip", "needs the connection, which was lost")
    finally:
        with _warnings() as warnings:
            await agent.stop()
    if warnings:
        report.failed("session stop", f"{warnings[0]}; it ends by itself, later")
    else:
        report.ok("session stop", "nothing is left running")


def _started(report: Report, settings: Settings) -> None:
    report.ok("URL", settings.url or HERE)
    report.ok("key", key_accepted(settings))
    report.ok("session start", "the platform gave a session")


def _explain(report: Report, exc: SessionStartError, where: str) -> None:
    words = told(exc)
    if exc.error_code in ABOUT_THE_KEY and exc.code != 403:
        report.ok("URL", where)
        report.failed("key", words)
    elif advice_on_status(exc.code) is not None:
        report.ok("URL", where)
        report.skipped("key", "the platform has not looked at it")
        report.failed("session start", words)
    elif exc.code < FIRST_PLATFORM_CODE:
        # A 403 without the platform's own number may be anybody's on the way.
        report.failed("URL", f"{where}: {words}")
    else:
        report.ok("URL", where)
        report.ok("key", "accepted")
        report.failed("session start", words)


async def _check_tone(
    report: Report, agent: AvatarAgent, sample_rate: int, emulator: LiveAvatarEmulator | None
) -> bool:
    """Play the tone; False when the connection was lost on the way."""
    tone = known_tone(sample_rate)
    what = f"{TONE_HZ} Hz for {TONE_S} s at {sample_rate} Hz"
    try:
        async with agent.audio_stream(sample_rate=sample_rate) as stream:
            await stream.write(tone)
        playout = await stream.wait_playout()
    except AvatarwireError as exc:
        report.failed("test tone", f"{what}: {exc}; {CONNECTION_LOST}")
        return False
    if playout.reason != "completed":
        report.failed("test tone", f"{what}: {WHY_NOT_PLAYED[playout.reason]}")
    elif emulator is not None and emulator.sessions[0].pcm != tone:
        report.failed("test tone", f"{what}: the platform received other sound; reinstall")
    else:
        report.ok("test tone", f"{what}, played to its end")
    return playout.reason != "lost"


async def _check_round_trip(report: Report, agent: AvatarAgent) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ROUND_TRIP_TIMEOUT_S):
            # Nothing announces it.
            while agent.is_running and agent.stats().round_trip_ms is None:  # noqa: ASYNC110
                await asyncio.sleep(PING_INTERVAL_S)
    round_trip_ms = agent.stats().round_trip_ms
    if round_trip_ms is not None:
        report.ok("round trip", f"{round_trip_ms:.1f} ms")
    elif agent.is_running:
        report.failed(
            "round trip", "no ping was answered; check for a proxy that drops WebSocket pings"
        )
    else:
        report.failed("round trip", CONNECTION_LOST)


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect what the library warns of: an agent's ``stop()`` tells it in no other way."""
    words: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            words.append(record.getMessage())

    logger, collector = logging.getLogger("avatarwire"), Collector(logging.WARNING)
    logger.addHandler(collector)
    try:
        yield words
    finally:
        logger.removeHandler(collector)
