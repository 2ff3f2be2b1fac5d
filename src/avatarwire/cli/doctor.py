"""``avatarwire doctor``: what works between this machine and a platform, and what to do if not."""

import array
import asyncio
import contextlib
import importlib.metadata
import importlib.util
import logging
import math
import platform
import sys
from collections.abc import Iterator

import click

import avatarwire
from avatarwire import (
    AgentListener,
    AudioFrame,
    AvatarAgent,
    AvatarAgentConfig,
    AvatarwireError,
    ErrorCode,
    SessionStartError,
)
from avatarwire.audio import OpusDecoder, Resampler
from avatarwire.cli.local import LocalPlatform
from avatarwire.cli.on_liveavatar import ADVICE, OPTIONS
from avatarwire.cli.speech import by_option
from avatarwire.emulator import LiveAvatarEmulator
from avatarwire.errors import MissingExtraError

__all__ = ["doctor"]

#: The frame header that the protocol gives as its check value (section 5).
CHECK_HEADER = bytes.fromhex("7000fffff000100a50")
PLATFORM_CHECKS = (
    "URL",
    "key",
    "session start",
    "WebSocket",
    "test tone",
    "round trip",
    "session stop",
)
TONE_HZ = 440
TONE_S = 1
PING_INTERVAL_S = 0.25
ROUND_TRIP_TIMEOUT_S = 5.0
TIMEOUT_S = 10.0
#: From here on a number is the platform's own, below it an HTTP status.
FIRST_PLATFORM_CODE = 1000
ABOUT_THE_KEY = {ErrorCode.PRINCIPAL_UNIDENTIFIED, ErrorCode.SESSION_ACCESS_DENIED}
WHY_NOT_PLAYED = {
    "timed_out": "it was sent, but the platform never said that it was played; see whether a "
    "browser shows the avatar, and whether this avatar takes the developer's voice",
    "interrupted": "the platform interrupted it; see whether somebody speaks to this avatar",
    "failed": "the platform refused it; try another --sample-rate",
    "lost": "the connection was lost; try again, and check the network if it stays so",
}


class Report:
    """Prints one line for each check, and counts what failed."""

    def __init__(self) -> None:
        self.failures: int = 0
        self._told: set[str] = set()

    def ok(self, check: str, words: str) -> None:
        """Tell that it works."""
        self._tell("ok", check, words)

    def failed(self, check: str, words: str) -> None:
        """Tell what is wrong, and what to do."""
        self.failures += 1
        self._tell("failed", check, words)

    def skip_rest(self, checks: tuple[str, ...]) -> None:
        """Tell which of the checks could not be made."""
        for check in checks:
            if check not in self._told:
                self._tell("skipped", check, "needs what failed above")

    def _tell(self, verdict: str, check: str, words: str) -> None:
        self._told.add(check)
        click.echo(f"{verdict:<9}{check:<15}{' '.join(words.split())}")


@click.command()
@click.option(
    "--url",
    envvar="AVATARWIRE_URL",
    show_envvar=True,
    help="The platform's base URL. Without it, a platform on this machine.",
)
@click.option("--api-key", envvar="AVATARWIRE_API_KEY", show_envvar=True, help="Goes with --url.")
@click.option(
    "--avatar-id", envvar="AVATARWIRE_AVATAR_ID", show_envvar=True, help="Goes with --url."
)
@click.option(
    "--sample-rate",
    type=click.Choice(["16000", "24000", "48000"]),
    default="24000",
    show_default=True,
    help="Of the test tone, in Hz: what your synthesiser gives.",
)
def doctor(url: str | None, api_key: str | None, avatar_id: str | None, sample_rate: str) -> int:
    """Check the installation and a Live Avatar platform, with one short session."""
    report = Report()
    _check_version(report)
    _check_extras(report)
    with contextlib.ExitStack() as stack:
        emulator = None
        if url is None:
            local = LocalPlatform(LiveAvatarEmulator(greeting=None))
            emulator = stack.enter_context(local).emulator
        config = _configured(report, url, api_key, avatar_id, emulator)
        if config is not None:
            try:
                asyncio.run(_check_platform(report, config, int(sample_rate), emulator))
            except KeyboardInterrupt:
                raise click.Abort from None
    report.skip_rest(PLATFORM_CHECKS)
    return 1 if report.failures else 0


def _check_version(report: Report) -> None:
    installed = importlib.metadata.version("avatarwire")
    if installed != avatarwire.__version__:
        report.failed(
            "version",
            f"avatarwire {avatarwire.__version__} is loaded, but {installed} is installed; "
            "pip install --force-reinstall avatarwire",
        )
        return
    frame = AudioFrame(channel=1, key=True, timestamp=1048575, codec=1, payload=bytes(2640))
    if not frame.pack().startswith(CHECK_HEADER):
        report.failed(
            "version",
            "the native codec makes wrong frames; pip install --force-reinstall avatarwire",
        )
        return
    python = f"{platform.python_implementation()} {platform.python_version()}"
    report.ok("version", f"avatarwire {installed}, {python} on {sys.platform}")


def _check_extras(report: Report) -> None:
    try:
        Resampler(rate_in=24000, rate_out=16000)
        OpusDecoder(24000)
    except MissingExtraError as exc:
        report.failed("extras", str(exc))
        return
    has_uvloop = importlib.util.find_spec("uvloop") is not None
    fast = ", fast" if has_uvloop else '; for a faster event loop: pip install "avatarwire[fast]"'
    report.ok("extras", f"audio, emulator, cli{fast}")


def _configured(
    report: Report,
    url: str | None,
    api_key: str | None,
    avatar_id: str | None,
    emulator: LiveAvatarEmulator | None,
) -> AvatarAgentConfig | None:
    if emulator is not None:
        url, api_key, avatar_id = emulator.base_url, "local", "local"
    if not api_key:
        report.failed("key", "none is given: set AVATARWIRE_API_KEY or --api-key")
        return None
    if not avatar_id:
        report.failed("session start", "no avatar: set AVATARWIRE_AVATAR_ID or --avatar-id")
        return None
    try:
        return AvatarAgentConfig(
            api_key,
            avatar_id,
            base_url=url or "",
            timeout=TIMEOUT_S,
            start_retries=0,
            ping_interval=PING_INTERVAL_S,
        )
    except ValueError as exc:
        check = "URL" if "base_url" in str(exc) else "key"
        report.failed(check, by_option(exc, OPTIONS).message)
        return None


async def _check_platform(
    report: Report,
    config: AvatarAgentConfig,
    sample_rate: int,
    emulator: LiveAvatarEmulator | None,
) -> None:
    where = config.base_url if emulator is None else "a platform on this machine"
    agent = AvatarAgent(config, AgentListener())
    try:
        await agent.start()
    except SessionStartError as exc:
        _explain(report, exc, where)
        return
    except (AvatarwireError, OSError, ValueError) as exc:
        _started(report, where)
        report.failed(
            "WebSocket",
            f"{exc}; check that this avatar has the WebSocket agent mode, and that no proxy or "
            "firewall keeps WebSockets out",
        )
        return
    _started(report, where)
    report.ok("WebSocket", f"connected, session {agent.session_id}")
    try:
        await _check_tone(report, agent, sample_rate, emulator)
        await _check_round_trip(report, agent)
    finally:
        with _warnings() as warnings:
            await agent.stop()
    if warnings:
        report.failed("session stop", f"{warnings[0]}; it ends by itself, later")
    else:
        report.ok("session stop", "nothing is left running")


def _started(report: Report, where: str) -> None:
    report.ok("URL", where)
    report.ok("key", "accepted")
    report.ok("session start", "the platform gave a session")


def _explain(report: Report, exc: SessionStartError, where: str) -> None:
    words = str(exc) if exc.code else exc.message
    if exc.error_code in ABOUT_THE_KEY:
        report.ok("URL", where)
        report.failed("key", f"{words}; {ADVICE[exc.error_code]}")
    elif exc.code < FIRST_PLATFORM_CODE:
        report.failed("URL", f"{where}: {words}; {ADVICE[exc.error_code]}")
    else:
        report.ok("URL", where)
        report.ok("key", "accepted")
        advice = ADVICE[exc.error_code]
        if exc.error_code is ErrorCode.SESSION_START_FAILED:
            advice = "check --avatar-id, and try again in a few seconds"
        report.failed("session start", f"{words}; {advice}")


async def _check_tone(
    report: Report, agent: AvatarAgent, sample_rate: int, emulator: LiveAvatarEmulator | None
) -> None:
    tone = _tone(sample_rate)
    what = f"{TONE_HZ} Hz for {TONE_S} s at {sample_rate} Hz"
    try:
        async with agent.audio_stream(sample_rate=sample_rate) as stream:
            await stream.write(tone)
        playout = await stream.wait_playout()
    except AvatarwireError as exc:
        report.failed("test tone", f"{what}: {exc}; {WHY_NOT_PLAYED['lost']}")
        return
    if playout.reason != "completed":
        report.failed("test tone", f"{what}: {WHY_NOT_PLAYED[playout.reason]}")
    elif emulator is not None and emulator.sessions[0].pcm != tone:
        report.failed("test tone", f"{what}: the platform received other sound; reinstall")
    else:
        report.ok("test tone", f"{what}, played to its end")


async def _check_round_trip(report: Report, agent: AvatarAgent) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ROUND_TRIP_TIMEOUT_S):
            # Nothing announces it.
            while agent.is_running and agent.stats().round_trip_ms is None:  # noqa: ASYNC110
                await asyncio.sleep(PING_INTERVAL_S)
    round_trip_ms = agent.stats().round_trip_ms
    if round_trip_ms is None:
        report.failed(
            "round trip", "no ping was answered; check for a proxy that drops WebSocket pings"
        )
    else:
        report.ok("round trip", f"{round_trip_ms:.1f} ms")


def _tone(sample_rate: int) -> bytes:
    samples = array.array(
        "h",
        (
            round(8000 * math.sin(2 * math.pi * TONE_HZ * n / sample_rate))
            for n in range(sample_rate * TONE_S)
        ),
    )
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


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
