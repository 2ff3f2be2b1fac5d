"""``avatarwire serve``: a platform on this machine until Ctrl-C."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import click

from avatarwire.cli.faults import AKOOL_FAULTS, ASKED_FOR, LIVE_FAULTS, faults_help, faults_option
from avatarwire.cli.sound import USER_FORMAT, converted, load
from avatarwire.emulator import AkoolEmulator, AkoolFaults, Faults, LiveAvatarEmulator

__all__ = ["serve"]

Emulator: TypeAlias = LiveAvatarEmulator | AkoolEmulator

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@click.group(no_args_is_help=False)
def serve() -> None:
    """Run a platform on this machine."""


_host = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
_record = click.option(
    "--record",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Write each session's sound (WAV) and transcript (JSON lines) here.",
)


def _port(default: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        "--port",
        default=default,
        show_default=True,
        type=click.IntRange(0, 65535),
        help="Port for REST and WebSocket; 0 picks a free one.",
    )


@serve.command(epilog=faults_help(LIVE_FAULTS))
@_host
@_port(8080)
@_record
@click.option(
    "--greeting",
    metavar="TEXT",
    default="Hello",
    show_default=True,
    help='What each new user types first; "" for nothing.',
)
@click.option(
    "--user-audio",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="What each new user says, once, after the greeting; two seconds of silence follow.",
)
@faults_option(Faults, LIVE_FAULTS)
def liveavatar(
    host: str, port: int, record: str | None, greeting: str, user_audio: str | None, faults: Faults
) -> None:
    """Run a Live Avatar platform; it accepts any API key."""
    spoken = b"" if user_audio is None else converted(*load(user_audio), USER_FORMAT)
    emulator = LiveAvatarEmulator(
        host=host,
        port=port,
        record_dir=record,
        greeting=greeting or None,
        user_audio=spoken,
        faults=faults,
    )
    _run(emulator, host, port, record)


@serve.command(epilog=faults_help(AKOOL_FAULTS))
@_host
@_port(8051)
@_record
@faults_option(AkoolFaults, AKOOL_FAULTS)
def akool(host: str, port: int, record: str | None, faults: AkoolFaults) -> None:
    """Run an Akool platform; it accepts any API key."""
    _run(AkoolEmulator(host=host, port=port, record_dir=record, faults=faults), host, port, record)


def _run(emulator: Emulator, host: str, port: int, record: str | None) -> None:
    if record is not None:
        _make_folder(record)
    # A container is stopped by SIGTERM: it ends as tidily as by Ctrl-C, for which a shell's
    # background job has no ear.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        asyncio.run(_serve(emulator, loopback=host in LOOPBACK))
    except KeyboardInterrupt:
        _say_goodbye(emulator, record)
    except (OSError, OverflowError) as exc:
        raise click.ClickException(_explain(exc, host, port)) from exc


async def _serve(emulator: Emulator, *, loopback: bool) -> None:
    async with emulator:
        name, url, ways = _described(emulator)
        click.echo(f"{name} platform at {url} (Ctrl-C ends it)")
        if not loopback:
            click.echo("Other machines can reach it, without a key.")
        if asked_for := click.get_current_context().meta[ASKED_FOR]:
            click.echo(f"It misbehaves as asked: {', '.join(asked_for)}")
        click.echo("Point a client at it, with any key and any avatar:")
        for way in ways:
            click.echo(f"  {way}")
        click.echo()
        _log_to_stdout()
        await asyncio.get_running_loop().create_future()


def _described(emulator: Emulator) -> tuple[str, str, list[str]]:
    """Give the platform's name, its URL, and how a client is pointed at it."""
    if isinstance(emulator, AkoolEmulator):
        url = emulator.server_url + "/"
        client = f'AsyncStreamingAvatarClient("any", "any", discovery_url="{url}")'
        agora = "--agora-app-id any --agora-channel any --agora-token any --agora-uid any"
        account = "--api-key any --avatar-id any"
        command = f"avatarwire stream FILE.wav --platform akool --url {url} {account} {agora}"
        return "Akool", url, [client, command]
    url = emulator.base_url
    return (
        "Live Avatar",
        url,
        [
            f'AvatarAgentConfig(api_key="any", avatar_id="any", base_url="{url}")',
            f"avatarwire stream FILE.wav --url {url} --api-key any --avatar-id any",
        ],
    )


def _log_to_stdout() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    events = logging.getLogger("avatarwire.emulator")
    events.addHandler(handler)
    events.setLevel(logging.INFO)
    events.propagate = False


def _say_goodbye(emulator: Emulator, record: str | None) -> None:
    count = len(emulator.sessions)
    where = f"; recordings are in {record}" if record and count else ""
    click.echo(f"\nEnded after {count} session{'' if count == 1 else 's'}{where}")


def _make_folder(record: str) -> None:
    try:
        Path(record).mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise click.ClickException(
            f"cannot record in {record}: {exc.strerror}; name another --record DIR"
        ) from exc


def _explain(exc: Exception, host: str, port: int) -> str:
    return f"cannot listen on {host} port {port}: {exc}; choose another with --host or --port"
