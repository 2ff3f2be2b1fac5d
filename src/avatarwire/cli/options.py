"""What every command that speaks to a platform asks: which one, and as whom."""

import functools
from collections.abc import Callable
from typing import TypeAlias

import click

from avatarwire.cli.speech import Settings
from avatarwire.cli.usage import refuse_unheard

__all__ = ["ACCOUNT", "AGORA", "PLATFORMS", "platform_options"]

ACCOUNT = ("api_key", "avatar_id")
AGORA = ("agora_app_id", "agora_channel", "agora_token", "agora_uid")
PLATFORMS = ("liveavatar", "akool")

_Command: TypeAlias = Callable[..., int]


def _agora(name: str, words: str) -> Callable[[_Command], _Command]:
    return click.option(
        f"--agora-{name}",
        envvar=f"AVATARWIRE_AGORA_{name.replace('-', '_').upper()}",
        show_envvar=True,
        help=f"The Agora {words}; goes with Akool's --url.",
    )


_OPTIONS = (
    click.option(
        "--platform",
        type=click.Choice(PLATFORMS),
        default="liveavatar",
        envvar="AVATARWIRE_PLATFORM",
        show_default=True,
        show_envvar=True,
        help="What to speak to.",
    ),
    click.option(
        "--url",
        envvar="AVATARWIRE_URL",
        show_envvar=True,
        help="The platform's base URL; Akool's discovery, or ws:// or wss:// for one of its "
        "servers. Without it, a platform on this machine.",
    ),
    click.option(
        "--api-key", envvar="AVATARWIRE_API_KEY", show_envvar=True, help="Goes with --url."
    ),
    click.option(
        "--avatar-id", envvar="AVATARWIRE_AVATAR_ID", show_envvar=True, help="Goes with --url."
    ),
    click.option("--voice-id", help="Another voice than the avatar's own."),
    click.option("--sandbox", is_flag=True, help="Use Live Avatar's sandbox."),
    click.option(
        "--env",
        type=click.Choice(["test", "prod"]),
        default="test",
        envvar="AVATARWIRE_ENV",
        show_default=True,
        show_envvar=True,
        help="Akool's environment.",
    ),
    _agora("app-id", "application"),
    _agora("channel", "channel"),
    _agora("token", "RTC token"),
    _agora("uid", "user id of the avatar"),
)


def platform_options(command: _Command) -> _Command:
    """Give a command these options, as ``platform`` and ``settings``."""

    @functools.wraps(command)
    def with_settings(
        *,
        platform: str,
        url: str | None,
        api_key: str | None,
        avatar_id: str | None,
        voice_id: str | None,
        sandbox: bool,
        env: str,
        agora_app_id: str | None,
        agora_channel: str | None,
        agora_token: str | None,
        agora_uid: str | None,
        **others: object,
    ) -> int:
        if platform != "akool":
            remedy = "add --platform akool, or leave this out"
            refuse_unheard(f"with --platform {platform}", remedy, "env", *AGORA)
        if url is None:
            remedy = "name a platform by --url, or leave this out"
            refuse_unheard("without --url", remedy, *ACCOUNT, *AGORA)
        settings = Settings(
            url=url,
            api_key=api_key,
            avatar_id=avatar_id,
            voice_id=voice_id,
            sandbox=sandbox,
            env=env,
            agora=(agora_app_id, agora_channel, agora_token, agora_uid),
        )
        return command(platform=platform, settings=settings, **others)

    made: _Command = with_settings
    for option in reversed(_OPTIONS):  # as decorators would be: the last one is at the bottom
        made = option(made)
    return made
