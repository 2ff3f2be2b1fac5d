"""``avatarwire play``: an agent of the user's on a platform of this machine, in a browser."""

import asyncio
import inspect
import os
import sys
import threading
import webbrowser
from collections.abc import Callable
from typing import Any

import click

from avatarwire.cli.ending import run_in_order
from avatarwire.cli.local import LocalPlatform
from avatarwire.cli.options import platform_option
from avatarwire.cli.output import shown
from avatarwire.cli.platform import Emulator, Platform
from avatarwire.cli.platforms import PLATFORMS
from avatarwire.cli.serving import cannot_listen
from avatarwire.cli.users_code import UsersCodeError, named
from avatarwire.errors import AvatarwireError

__all__ = ["play"]

HOST = "127.0.0.1"
FORM = "module:listener"
#: Between the end of a session and the next: an agent that ends at once shall not spin.
PAUSE_S = 1.0


@click.command()
@click.argument("listener", metavar="MODULE:LISTENER")
@platform_option("Whose agent it is.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Of the platform, by default the same as serve's; 0 picks a free one.",
)
@click.option(
    "--browser/--no-browser",
    default=None,
    help="Open the page, or only print its address; by default it is opened on a desktop.",
)
def play(listener: str, platform: str, port: int | None, browser: bool | None) -> None:
    """Run an agent of yours on a platform of this machine, and talk to it in a browser.

    MODULE:LISTENER is a class, a function that makes a listener, or a listener, such as
    agent:Speaker for the class Speaker of agent.py in this folder. It is given the session as its
    agent. When a session ends, the next one begins with a new listener.
    """
    chosen = PLATFORMS[platform]
    try:
        make = _maker(named(listener, FORM), listener, chosen)
        first = make()
    except UsersCodeError as exc:
        raise click.UsageError(f"{exc}.") from exc
    port = chosen.port if port is None else port
    emulator = chosen.emulator(
        host=HOST,
        port=port,
        allowed_hosts=(),
        record_dir=None,
        playground=True,
        faults=chosen.new_faults(),
        **chosen.quiet,
    )
    opens = _has_desktop() if browser is None else browser
    try:
        with LocalPlatform(emulator):
            run_in_order(lambda: _play(chosen, emulator, first, make, opens=opens))
    except click.Abort:
        count = len(emulator.sessions)
        click.echo(f"\nEnded after {count} session{'' if count == 1 else 's'}")
    except OSError as exc:
        raise click.ClickException(cannot_listen(exc, HOST, port)) from exc


def _maker(found: object, spelling: str, platform: Platform) -> Callable[[], Any]:
    """Return what makes a listener for each session."""

    def make() -> Any:  # noqa: ANN401 - the user's
        try:
            made: Any = found() if isinstance(found, type) or inspect.isroutine(found) else found
        except Exception as exc:
            raise UsersCodeError(
                f"{spelling} cannot be made: {type(exc).__name__}: {exc}; where it takes"
                " arguments, name a function without any that makes it"
            ) from exc
        if not any(callable(getattr(made, name, None)) for name in platform.callbacks):
            raise UsersCodeError(
                f"{spelling} is no listener of {platform.title}: it has no"
                f" {platform.callbacks[0]}, nor any other of its callbacks"
            )
        try:
            made.agent = None
        except AttributeError as exc:
            raise UsersCodeError(
                f"{spelling} cannot be given its agent: let it have an attribute agent"
            ) from exc
        return made

    return make


async def _play(
    platform: Platform,
    emulator: Emulator,
    listener: object,
    make: Callable[[], object],
    *,
    opens: bool,
) -> None:
    click.echo(f"See, hear and talk in a browser: {emulator.playground_url} (Ctrl-C ends it)")
    if opens:
        # Some browsers return when they are closed.
        open_ = threading.Thread(
            target=webbrowser.open, args=(emulator.playground_url,), daemon=True
        )
        open_.start()
    while True:
        try:
            async with platform.play(listener, emulator) as session:
                await session.wait_closed()
                end = session.ending
            words = "" if end is None else f" with {end.code} {end.reason}".rstrip()
            click.echo(f"The session has ended{shown(words)}; the next one begins")
        except (AvatarwireError, OSError) as exc:
            click.echo(f"There is no session: {shown(str(exc))}; the next one begins")
        await asyncio.sleep(PAUSE_S)
        listener = make()


def _has_desktop() -> bool:
    """Return whether a browser of one's own is likely; elsewhere one of text would be started."""
    if not sys.stdout.isatty():
        return False
    if sys.platform in {"win32", "darwin"}:
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
