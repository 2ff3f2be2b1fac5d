"""``avatarwire doctor``: one short session with Live Avatar."""

import asyncio
import contextlib

from avatarwire import (
    AgentListener,
    AvatarAgent,
    AvatarAgentConfig,
    AvatarwireError,
    ConnectFailedError,
    SessionStartError,
    SettingError,
)
from avatarwire.cli.checks import (
    CONNECTION_LOST,
    HERE,
    NO_PROXY,
    Checklist,
    Tone,
    key_accepted,
    lacks_account,
)
from avatarwire.cli.ending import run_in_order
from avatarwire.cli.job import Settings, advice_on_status, in_options
from avatarwire.cli.local import local_unless
from avatarwire.cli.platforms.liveavatar_job import (
    FIRST_PLATFORM_CODE,
    OPTIONS,
    new_config,
    quiet_emulator,
    words_and_advice,
)
from avatarwire.emulator import LiveAvatarEmulator

__all__ = ["CHECKS", "check_liveavatar"]

CHECKS = ("URL", "key", "session start", "WebSocket", "test tone", "round trip", "session stop")
PING_INTERVAL_S = 0.25
ROUND_TRIP_TIMEOUT_S = 5.0
TIMEOUT_S = 10.0
#: The check of each setting that the configuration refuses.
CHECK_OF = {"base_url": "URL", "api_key": "key"}
WHY_NOT_PLAYED = {
    "timed_out": "it was sent, but the platform never said that it was played; see whether a "
    "browser shows the avatar, and whether this avatar takes the developer's voice",
    "interrupted": "the platform interrupted it; see whether somebody speaks to this avatar",
    "failed": "the platform refused it; try another --sample-rate",
    "lost": CONNECTION_LOST,
}


def check_liveavatar(checklist: Checklist, settings: Settings, sample_rate: int) -> None:
    """Make all of ``CHECKS``, as far as one does not need another that failed."""
    if lacks_account(checklist, settings, "session start"):
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
        except SettingError as exc:
            check = CHECK_OF.get(exc.setting or "", "session start")
            checklist.failed(check, f"{in_options(exc, OPTIONS)}.")
            return
        run_in_order(lambda: _check(checklist, config, settings, Tone(sample_rate), emulator))


async def _check(
    checklist: Checklist,
    config: AvatarAgentConfig,
    settings: Settings,
    tone: Tone,
    emulator: LiveAvatarEmulator | None,
) -> None:
    where = settings.url or HERE
    agent = AvatarAgent(config, AgentListener())
    try:
        await agent.start()
    except SessionStartError as exc:
        _explain(checklist, exc, where)
        return
    except (AvatarwireError, OSError, ValueError) as exc:
        _started(checklist, settings)
        status = exc.status if isinstance(exc, ConnectFailedError) else None
        advice = f"check that this avatar has the WebSocket agent mode, and that {NO_PROXY}"
        checklist.failed("WebSocket", f"{exc}; {advice_on_status(status) or advice}")
        return
    _started(checklist, settings)
    checklist.ok("WebSocket", f"connected, session {agent.session_id}")
    try:
        if await _check_tone(checklist, agent, tone, emulator):
            await _check_round_trip(checklist, agent)
        else:
            checklist.skipped("round trip", "needs the connection, which was lost")
    finally:
        await agent.stop()
    if agent.left_running is not None:
        checklist.failed("session stop", f"{agent.left_running}; it ends by itself, later")
    else:
        checklist.ok("session stop", "nothing is left running")


def _started(checklist: Checklist, settings: Settings) -> None:
    checklist.ok("URL", settings.url or HERE)
    checklist.ok("key", key_accepted(settings))
    checklist.ok("session start", "the platform gave a session")


def _explain(checklist: Checklist, exc: SessionStartError, where: str) -> None:
    words = words_and_advice(exc)
    if exc.setting == "api_key":
        checklist.ok("URL", where)
        checklist.failed("key", words)
    elif advice_on_status(exc.code) is not None:
        checklist.ok("URL", where)
        checklist.skipped("key", "the platform has not looked at it")
        checklist.failed("session start", words)
    elif exc.code < FIRST_PLATFORM_CODE:
        # A 403 without the platform's own number may be anybody's on the way.
        checklist.failed("URL", f"{where}: {words}")
    else:
        checklist.ok("URL", where)
        checklist.ok("key", "accepted")
        checklist.failed("session start", words)


async def _check_tone(
    checklist: Checklist, agent: AvatarAgent, tone: Tone, emulator: LiveAvatarEmulator | None
) -> bool:
    """Play the tone; False when the connection was lost on the way."""
    try:
        playout = await tone.play(agent)
    except AvatarwireError as exc:
        checklist.failed("test tone", f"{tone}: {exc}; {CONNECTION_LOST}")
        return False
    if playout.reason != "completed":
        checklist.failed("test tone", f"{tone}: {WHY_NOT_PLAYED[playout.reason]}")
    elif emulator is not None and emulator.sessions[0].pcm != tone.pcm:
        checklist.failed("test tone", f"{tone}: the platform received other sound; reinstall")
    else:
        checklist.ok("test tone", f"{tone}, played to its end")
    return playout.reason != "lost"


async def _check_round_trip(checklist: Checklist, agent: AvatarAgent) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ROUND_TRIP_TIMEOUT_S):
            # Nothing announces it.
            while agent.is_running and agent.stats().round_trip_ms is None:  # noqa: ASYNC110
                await asyncio.sleep(PING_INTERVAL_S)
    round_trip_ms = agent.stats().round_trip_ms
    if round_trip_ms is not None:
        checklist.ok("round trip", f"{round_trip_ms:.1f} ms")
    elif agent.is_running:
        checklist.failed(
            "round trip", "no ping was answered; check for a proxy that drops WebSocket pings"
        )
    else:
        checklist.failed("round trip", CONNECTION_LOST)
