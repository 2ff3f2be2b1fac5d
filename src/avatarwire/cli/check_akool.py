"""``avatarwire doctor --platform akool``: one short session with Akool."""

import asyncio

import click

from avatarwire.akool import (
    AkoolStreamingAvatarError,
    AsyncStreamingAvatarClient,
    AuthenticationError,
    ServiceDiscoveryError,
)
from avatarwire.audio import PcmFormat
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
from avatarwire.cli.on_akool import advice_on, is_server, new_client, require_agora, told
from avatarwire.cli.sound import converted
from avatarwire.cli.speech import Settings, advice_on_status
from avatarwire.emulator import AkoolEmulator
from avatarwire.errors import MissingExtraError

__all__ = ["CHECKS", "check_akool"]

CHECKS = ("discovery", "key", "WebSocket", "Agora", "test tone")
#: Below it a code is an HTTP status.
FIRST_CLOSE_CODE = 1000
AKOOL_FORMAT = PcmFormat(16000)


def check_akool(report: Report, settings: Settings, sample_rate: int) -> None:
    """Make all of ``CHECKS``, as far as one does not need another that failed."""
    if not has_account(report, settings, "WebSocket"):
        return
    with local_unless(settings.url, AkoolEmulator) as emulator:
        url = emulator.discovery_url if emulator is not None else settings.url or ""
        try:
            client = new_client(settings, url)
        except click.UsageError as exc:
            words = exc.format_message()
            check = "discovery" if "--url" in words else "key" if "--api-key" in words else ""
            report.failed(check or "WebSocket", words)
            return
        asyncio.run(_check(report, client, settings, sample_rate, emulator))


async def _check(
    report: Report,
    client: AsyncStreamingAvatarClient,
    settings: Settings,
    sample_rate: int,
    emulator: AkoolEmulator | None,
) -> None:
    where = settings.url or HERE
    try:
        await client.connect()
    except AkoolStreamingAvatarError as exc:
        _explain(report, exc, where)
        return
    _discovered(report, where)
    report.ok("key", key_accepted(settings))
    report.ok("WebSocket", f"connected, session {client.session_id}")
    try:
        if await _check_agora(report, client, settings):
            await _check_tone(report, client, sample_rate, emulator)
    finally:
        await client.disconnect()


def _discovered(report: Report, where: str) -> None:
    if is_server(where):
        report.skipped("discovery", "--url names one server")
    else:
        report.ok("discovery", where)


def _explain(report: Report, exc: AkoolStreamingAvatarError, where: str) -> None:
    if isinstance(exc, ServiceDiscoveryError):
        report.failed("discovery", f"{where}: {told(exc)}")
        return
    _discovered(report, where)
    if isinstance(exc, AuthenticationError):
        report.failed("key", told(exc))
        return
    if is_server(where):
        report.skipped("key", "the platform has not looked at it")
    else:
        report.ok("key", "accepted by discovery")
    advice = advice_on_status(exc.code) or f"check --url, and that {NO_PROXY}"
    if exc.code is not None and exc.code >= FIRST_CLOSE_CODE:
        advice = "try again in a minute"  # it opened, so nothing keeps it out
    report.failed("WebSocket", f"{exc}; {advice}")


async def _check_agora(
    report: Report, client: AsyncStreamingAvatarClient, settings: Settings
) -> bool:
    """Bring the avatar into its channel; False when that failed."""
    try:
        if settings.url is not None:
            require_agora(settings)
        app_id, channel, token, uid = (value or "local" for value in settings.agora)
        await client.set_agora_params(app_id, channel, token, uid, voice_id=settings.voice_id)
    except click.UsageError as exc:
        report.failed("Agora", exc.format_message())
        return False
    except AkoolStreamingAvatarError as exc:
        report.failed("Agora", f"{exc}; {advice_on(exc) or CONNECTION_LOST}")
        return False
    report.ok("Agora", f"the avatar is in channel {channel}")
    return True


async def _check_tone(
    report: Report,
    client: AsyncStreamingAvatarClient,
    sample_rate: int,
    emulator: AkoolEmulator | None,
) -> None:
    tone = known_tone(sample_rate)
    what = f"{TONE_HZ} Hz for {TONE_S} s at {sample_rate} Hz"
    try:
        async with client.audio_stream(sample_rate=sample_rate) as stream:
            await stream.write(tone)
        playout = await stream.wait_playout()
    except MissingExtraError as exc:
        report.failed("test tone", f"{exc}; or choose --sample-rate 16000")
        return
    except AkoolStreamingAvatarError as exc:
        report.failed("test tone", f"{what}: {exc}; {CONNECTION_LOST}")
        return
    sent = converted(tone, PcmFormat(sample_rate), AKOOL_FORMAT)
    if playout.reason != "completed":
        report.failed("test tone", f"{what}: {CONNECTION_LOST}")
    elif emulator is not None and bytes(emulator.sessions[0].pcm) != sent:
        report.failed("test tone", f"{what}: the platform received other sound; reinstall")
    else:
        report.ok("test tone", f"{what}, all of it sent; Akool does not tell what was played")
