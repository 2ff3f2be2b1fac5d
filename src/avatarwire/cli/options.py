"""What every command that speaks to a platform asks: which one, and as whom."""

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import click

from avatarwire.cli.job import Settings
from avatarwire.cli.platform import ACCOUNT, Option
from avatarwire.cli.platforms import PLATFORMS
from avatarwire.cli.usage import refuse_unheard

__all__ = ["platform_option", "platform_options"]

_Command: TypeAlias = Callable[..., int]


def platform_options(command: _Command) -> _Command:
    """Add these options to a command, as ``platform`` and ``settings``."""
    own_options = {name: it for one in PLATFORMS.values() for name, it in one.options.items()}

    @functools.wraps(command)
    def with_settings(
        *,
        platform: str,
        url: str | None,
        api_key: str | None,
        avatar_id: str | None,
        voice_id: str | None,
        **others: Any,  # noqa: ANN401 - the command's own, and the platforms'
    ) -> int:
        own = {name: others.pop(name) for name in own_options}
        _refuse_others(platform)
        if url is None:
            remedy = "name a platform by --url, or leave this out"
            refuse_unheard("without --url", remedy, *PLATFORMS[platform].needs)
        settings = Settings(
            url=url, api_key=api_key, avatar_id=avatar_id, voice_id=voice_id, own=own
        )
        return command(platform=platform, settings=settings, **others)

    made: _Command = with_settings
    for option in reversed([*_common(), *own_options.values()]):  # a decorator's order
        made = option(made)
    return made


def _refuse_others(platform: str) -> None:
    """Refuse options that only other platforms have."""
    chosen = PLATFORMS[platform]
    for name, other in PLATFORMS.items():
        unknown = [it for it in other.options if it not in {*chosen.options, *chosen.refuses}]
        remedy = f"add --platform {name}, or leave this out"
        refuse_unheard(f"with --platform {platform}", remedy, *unknown)


def platform_option(help_text: str) -> Option:
    """Return the option that chooses a platform."""
    return click.option(
        "--platform",
        type=click.Choice(list(PLATFORMS)),
        default=next(iter(PLATFORMS)),
        envvar="AVATARWIRE_PLATFORM",
        show_default=True,
        show_envvar=True,
        help=help_text,
    )


def _common() -> tuple[Option, ...]:
    hints = "".join(f"; {one.url_hint}" for one in PLATFORMS.values() if one.url_hint)
    api_key, avatar_id = (
        click.option(
            f"--{name.replace('_', '-')}",
            envvar=f"AVATARWIRE_{name.upper()}",
            show_envvar=True,
            help="Goes with --url.",
        )
        for name in ACCOUNT
    )
    return (
        platform_option("What to speak to."),
        click.option(
            "--url",
            envvar="AVATARWIRE_URL",
            show_envvar=True,
            help=f"The platform's base URL{hints}. Without it, a platform on this machine.",
        ),
        api_key,
        avatar_id,
        click.option("--voice-id", help="Another voice than the avatar's own."),
    )
