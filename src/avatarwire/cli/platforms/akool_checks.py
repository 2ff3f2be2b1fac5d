"""``avatarwire doctor --platform akool``: one short session with Akool."""

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
    Checklist,
    Tone,
    key_accepted,
    lacks_account,
)
from avatarwire.cli.ending import run_in_order
from avatarwire.cli.job import Settings, advice_on_status
from avatarwire.cli.local import local_unless
from avatarwire.cli.platforms.akool_job import (
    AKOOL_FORMAT,
    advice_on,
    agora_params,
    is_server,
    new_client,
    require_agora,
    words_and_advice,
)
from avatarwire.cli.sound import converted
from avatarwire.emulator import AkoolEmulator
from avatarwire.errors import MissingExtraError

__all__ = ["CHECKS", "check_akool"]

CHECKS = ("discovery", "key", "WebSocket", "Agora", "test tone")
#: Below it a code is an HTTP status.
FIRST_CLOSE_CODE = 1000
#: The check of each setting that the client refuses.
CHECK_OF = {"discovery_url": "discovery", "server_url": "discovery", "api_key": "key"}


def check_akool(checklist: Checklist, settings: Settings, sample_rate: int) -> None:
    """Make all of ``CHECKS``, as far as one does not need another that failed."""
    if lacks_account(checklist, settings, "WebSocket"):
        return
    with local_unless(settings.url, AkoolEmulator) as emulator:
        url = emulator.discovery_url if emulator is not None else settings.url or ""
        try:
            client = new_client(settings, url)
        except click.UsageError as exc:
            cause = exc.__cause__
            setting = cause.setting if isinstance(cause, AkoolStreamingAvatarError) else None
            checklist.failed(CHECK_OF.get(setting or "", "WebSocket"), exc.format_message())
            return
        run_in_order(lambda: _check(checklist, client, settings, Tone(sample_rate), emulator))


async def _check(
    checklist: Checklist,
    client: AsyncStreamingAvatarClient,
    settings: Settings,
    tone: Tone,
    emulator: AkoolEmulator | None,
) -> None:
    where = settings.url or HERE
    try:
        await client.connect()
    except AkoolStreamingAvatarError as exc:
        _explain(checklist, exc, where)
        return
    _discovered(checklist, where)
    checklist.ok("key", key_accepted(settings))
    checklist.ok("WebSocket", f"connected, session {client.session_id}")
    try:
        if await _check_agora(checklist, client, settings):
            await _check_tone(checklist, client, tone, emulator)
    finally:
        await client.disconnect()


def _discovered(checklist: Checklist, where: str) -> None:
    if is_server(where):
        checklist.skipped("discovery", "--url names one server")
    else:
        checklist.ok("discovery", where)


def _explain(checklist: Checklist, exc: AkoolStreamingAvatarError, where: str) -> None:
    if isinstance(exc, ServiceDiscoveryError):
        checklist.failed("discovery", f"{where}: {words_and_advice(exc)}")
        return
    _discovered(checklist, where)
    if isinstance(exc, AuthenticationError):
        checklist.failed("key", words_and_advice(exc))
        return
    if is_server(where):
        checklist.skipped("key", "the platform has not looked at it")
    else:
        checklist.ok("key", "accepted by discovery")
    advice = advice_on_status(exc.code) or f"check --url, and that {NO_PROXY}"
    if exc.code is not None and exc.code >= FIRST_CLOSE_CODE:
        advice = "try again in a minute"  # it opened, so nothing keeps it out
    checklist.failed("WebSocket", f"{exc}; {advice}")


async def _check_agora(
    checklist: Checklist, client: AsyncStreamingAvatarClient, settings: Settings
) -> bool:
    """Bring the avatar into its channel; False when that failed."""
    try:
        if settings.url is not None:
            require_agora(settings)
        params = agora_params(settings)
        await client.set_agora_params(*params, voice_id=settings.voice_id)
    except click.UsageError as exc:
        checklist.failed("Agora", exc.format_message())
        return False
    except AkoolStreamingAvatarError as exc:
        checklist.failed("Agora", f"{exc}; {advice_on(exc) or CONNECTION_LOST}")
        return False
    checklist.ok("Agora", f"the avatar is in channel {params[1]}")
    return True


async def _check_tone(
    checklist: Checklist,
    client: AsyncStreamingAvatarClient,
    tone: Tone,
    emulator: AkoolEmulator | None,
) -> None:
    try:
        playout = await tone.play(client)
    except MissingExtraError as exc:
        checklist.failed("test tone", f"{exc}; or choose --sample-rate 16000")
        return
    except AkoolStreamingAvatarError as exc:
        checklist.failed("test tone", f"{tone}: {exc}; {CONNECTION_LOST}")
        return
    sent = converted(tone.pcm, PcmFormat(tone.sample_rate), AKOOL_FORMAT)
    if playout.reason != "completed":
        checklist.failed("test tone", f"{tone}: {CONNECTION_LOST}")
    elif emulator is not None and bytes(emulator.sessions[0].pcm) != sent:
        checklist.failed("test tone", f"{tone}: the platform received other sound; reinstall")
    else:
        checklist.ok("test tone", f"{tone}, all of it sent; Akool does not tell what was played")
