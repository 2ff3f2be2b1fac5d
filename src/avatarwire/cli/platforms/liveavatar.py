"""Live Avatar, for the command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import click

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.cli.faults import (
    CLOSE,
    LINK_FAULTS,
    REFUSE_HANDSHAKE,
    Fault,
    by_name,
    seconds,
    times,
    whole_number,
    withhold,
)
from avatarwire.cli.platform import Platform
from avatarwire.cli.platforms.liveavatar_checks import CHECKS, check_liveavatar
from avatarwire.cli.platforms.liveavatar_job import LiveAvatarJob
from avatarwire.cli.sound import USER_FORMAT, converted, load
from avatarwire.emulator import Faults, LiveAvatarEmulator, StartFault

__all__ = ["PLATFORM"]


def _emulator(*, greeting: str, user_audio: str | None, **options: Any) -> LiveAvatarEmulator:  # noqa: ANN401
    spoken = b"" if user_audio is None else converted(*load(user_audio), USER_FORMAT)
    return LiveAvatarEmulator(greeting=greeting or None, user_audio=spoken, **options)


def _introduce(emulator: LiveAvatarEmulator) -> tuple[str, list[str]]:
    url = emulator.base_url
    return url, [
        f'AvatarAgentConfig(api_key="any", avatar_id="any", base_url="{url}")',
        f"avatarwire stream FILE.wav --url {url} --api-key any --avatar-id any",
    ]


@asynccontextmanager
async def _play(listener: Any, emulator: LiveAvatarEmulator) -> AsyncIterator[AvatarAgent]:  # noqa: ANN401 - the user's
    config = AvatarAgentConfig("local", "local", base_url=emulator.base_url, reconnect=True)
    listener.agent = AvatarAgent(config, listener)
    emulator.show_agent(listener.agent)
    async with listener.agent as agent:
        yield agent


def _cut(faults: Faults, value: str) -> None:
    faults.cut_after_frames = whole_number(value, 1, "the count of frames")


def _stop_reading(faults: Faults, value: str) -> None:
    faults.stop_reading_after = whole_number(value, 1, "the count of messages")


def _refuse_start(faults: Faults, value: str) -> None:
    text, count = times(value)
    code = whole_number(text, 400, "a code of the platform or an HTTP status")
    if 600 <= code < 10_000:
        raise ValueError(f"{code} is neither an HTTP status nor a code of the platform (40001 …)")
    fault = StartFault(status=code) if code < 600 else StartFault(code=code)
    faults.starts.extend([fault] * count)


def _no_answer(faults: Faults, value: str) -> None:
    count = whole_number(value, 1, "the number of times")
    faults.starts.extend([StartFault(no_answer=True)] * count)


def _delay(faults: Faults, value: str) -> None:
    faults.delay_s = seconds(value, "milliseconds") / 1000


def _no_init(faults: Faults, value: str) -> None:
    if value:
        raise ValueError("it takes no value")
    faults.withhold_init = True


def _garble(faults: Faults, value: str) -> None:
    faults.garble_every = whole_number(value, 1, "N")


def _duplicate(faults: Faults, value: str) -> None:
    faults.duplicate_every = whole_number(value, 1, "N")


def _reorder(faults: Faults, value: str) -> None:
    faults.reorder_every = whole_number(value, 1, "N")


def _expire(faults: Faults, value: str) -> None:
    faults.token_life_s = seconds(value, "seconds")


PLATFORM = Platform(
    title="Live Avatar",
    open_job=LiveAvatarJob.open,
    checks=CHECKS,
    check=check_liveavatar,
    emulator=_emulator,
    introduce=_introduce,
    callbacks=tuple(name for name in vars(AgentListener) if name.startswith("on_")),
    play=_play,
    own_words=frozenset({"session.ready", "session.stop"}),
    port=8080,
    new_faults=Faults,
    faults=by_name(
        Fault("cut-after-frames", "N", "drop each connection after N binary messages", _cut),
        CLOSE,
        Fault("stop-reading", "N", "take nothing more in after N messages", _stop_reading),
        Fault(
            "refuse-start",
            "CODE[xTIMES]",
            "by platform code or HTTP status (1 time)",
            _refuse_start,
        ),
        Fault("no-answer", "TIMES", "leave so many starts without an answer", _no_answer),
        REFUSE_HANDSHAKE,
        Fault("expire-tokens", "SECONDS", "one-time URLs live so long", _expire),
        Fault("no-init", "", "never send session.init", _no_init),
        Fault("withhold", "EVENT", "never send it, e.g. session.state", withhold),
        Fault("delay", "MS", "send everything so much later", _delay),
        Fault("garble", "N", "send half of every Nth message", _garble),
        Fault("duplicate", "N", "send every Nth message twice", _duplicate),
        Fault("reorder", "N", "send every Nth message after the next", _reorder),
        *LINK_FAULTS,
    ),
    serve_options={
        "greeting": click.option(
            "--greeting",
            metavar="TEXT",
            default="Hello",
            show_default=True,
            help='What each new user types first; "" for nothing.',
        ),
        "user_audio": click.option(
            "--user-audio",
            metavar="FILE",
            type=click.Path(exists=True, dir_okay=False),
            help="What each new user says, once, after the greeting; two seconds of silence "
            "follow.",
        ),
    },
    quiet={"greeting": "", "user_audio": None},
    options={"sandbox": click.option("--sandbox", is_flag=True, help="Use Live Avatar's sandbox.")},
)
