"""Akool, for the command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import click

from avatarwire.akool import AsyncStreamingAvatarClient
from avatarwire.cli.faults import (
    CLOSE,
    LINK_FAULTS,
    REFUSE_HANDSHAKE,
    Fault,
    by_name,
    times,
    whole_number,
    withhold,
)
from avatarwire.cli.platform import ACCOUNT, Option, Platform
from avatarwire.cli.platforms.akool_checks import CHECKS, check_akool
from avatarwire.cli.platforms.akool_job import AGORA, AkoolJob
from avatarwire.emulator import AkoolEmulator, AkoolFaults, DiscoveryFault

__all__ = ["PLATFORM"]

CALLBACKS = ("on_connected", "on_agora_connected", "on_message")


def _emulator(**options: Any) -> AkoolEmulator:  # noqa: ANN401 - the emulator's own
    return AkoolEmulator(**options)


def _introduce(emulator: AkoolEmulator) -> tuple[str, list[str]]:
    url = emulator.server_url + "/"
    agora = "--agora-app-id any --agora-channel any --agora-token any --agora-uid any"
    account = "--api-key any --avatar-id any"
    return url, [
        f'AsyncStreamingAvatarClient("any", "any", discovery_url="{url}")',
        f"avatarwire stream FILE.wav --platform akool --url {url} {account} {agora}",
    ]


@asynccontextmanager
async def _play(
    listener: Any,  # noqa: ANN401 - the user's
    emulator: AkoolEmulator,
) -> AsyncIterator[AsyncStreamingAvatarClient]:
    client = AsyncStreamingAvatarClient(
        "local", "local", discovery_url=emulator.discovery_url, reconnect=True
    )
    listener.agent = client
    emulator.show_agent(client)
    for name in (*CALLBACKS, "on_error", "on_disconnected"):
        setattr(client, name, getattr(listener, name, None))
    async with client:
        await client.set_agora_params("local", "local", "local", "local")
        yield client


def _refuse_discovery(faults: AkoolFaults, value: str) -> None:
    text, count = times(value)
    status = whole_number(text, 400, "an HTTP status")
    if status > 599:
        raise ValueError(f"{status} is no HTTP status (400 to 599)")
    faults.discoveries.extend([DiscoveryFault(status=status)] * count)


def _no_answer(faults: AkoolFaults, value: str) -> None:
    count = whole_number(value, 1, "the number of times")
    faults.discoveries.extend([DiscoveryFault(no_answer=True)] * count)


def _agora_option(parameter: str, words: str) -> Option:
    return click.option(
        f"--{parameter.replace('_', '-')}",
        envvar=f"AVATARWIRE_{parameter.upper()}",
        show_envvar=True,
        help=f"The Agora {words}; goes with Akool's --url.",
    )


_ENV = click.option(
    "--env",
    type=click.Choice(["test", "prod"]),
    default="test",
    envvar="AVATARWIRE_ENV",
    show_default=True,
    show_envvar=True,
    help="Akool's environment.",
)

PLATFORM = Platform(
    title="Akool",
    open_job=AkoolJob.open,
    checks=CHECKS,
    check=check_akool,
    emulator=_emulator,
    introduce=_introduce,
    callbacks=CALLBACKS,
    play=_play,
    own_words=frozenset(
        {"auth", "ping", "command set-params", "agora_params", "event leave_channel"}
    ),
    port=8051,
    new_faults=AkoolFaults,
    faults=by_name(
        CLOSE,
        Fault("refuse-discovery", "STATUS[xTIMES]", "by HTTP status (1 time)", _refuse_discovery),
        Fault("no-answer", "TIMES", "leave discovery so often without an answer", _no_answer),
        REFUSE_HANDSHAKE,
        Fault("withhold", "KIND", "never send it, e.g. ack or pong", withhold),
        *LINK_FAULTS,
    ),
    options={"env": _ENV} | {name: _agora_option(name, words) for name, words in AGORA.items()},
    needs=(*ACCOUNT, *AGORA),
    url_hint="Akool's discovery, or ws:// or wss:// for one of its servers",
    refuses=("sandbox",),
)
