"""``avatarwire monitor``: the sessions of a platform or a program, live in a terminal."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.live import Live
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from avatarwire.cli.ending import run_in_order
from avatarwire.cli.output import shown
from avatarwire.cli.platforms import PLATFORMS
from avatarwire.cli.watching import Watched
from avatarwire.monitor.feed import PATH
from avatarwire.monitor.serving import TOKEN_VARIABLE

__all__ = ["monitor"]

DRAW_S = 0.25
#: Pictures are in the records of a platform on this machine.
MESSAGE_LIMIT_BYTES = 16_777_216
DEFAULT_URL = f"http://127.0.0.1:{next(iter(PLATFORMS.values())).port}"


@click.command()
@click.argument("url", default=DEFAULT_URL)
@click.option(
    "--token",
    envvar=TOKEN_VARIABLE,
    show_envvar=True,
    help="What the program's monitor.serve() was given; a platform on this machine wants none.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON lines.")
def monitor(url: str, token: str | None, as_json: bool) -> None:
    """Show the sessions at URL live: states, levels, lateness, queues.

    URL is a platform of serve or play, by default where they are, or a program that awaits
    avatarwire.monitor.serve().
    """
    address = _address(url)
    console = Console()
    if not (as_json or console.is_terminal):
        raise click.UsageError("the table needs a terminal: use --json elsewhere.")
    try:
        run_in_order(lambda: _monitor(address, token, None if as_json else console, url))
    except InvalidStatus as exc:
        raise click.ClickException(_explain(exc, url)) from exc
    except (OSError, InvalidHandshake) as exc:
        raise click.ClickException(
            f"nobody shows sessions at {url}: {exc}; start avatarwire serve or play, or a program"
            " that awaits avatarwire.monitor.serve()"
        ) from exc
    click.echo(f"{shown(url)} has ended")


def _address(url: str) -> str:
    scheme, host = urlsplit(url)[:2]
    if scheme not in {"http", "https", "ws", "wss"} or not host:
        raise click.UsageError(f"{url!r} is no address: give one such as {DEFAULT_URL}.")
    return f"{'wss' if scheme in {'https', 'wss'} else 'ws'}://{host}{PATH}"


def _explain(exc: InvalidStatus, url: str) -> str:
    answer = exc.response
    words = (answer.body or b"").decode(errors="replace").strip()
    if answer.status_code == 404:
        words = "it has no sessions to show; a platform in a program needs playground=True"
    return f"{url} refused with HTTP {answer.status_code}: {words}"


async def _monitor(address: str, token: str | None, console: Console | None, url: str) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with connect(
        address,
        additional_headers=headers,
        compression=None,
        max_size=MESSAGE_LIMIT_BYTES,
        proxy=None,  # it is on this machine, or in this network
    ) as connection:
        watched = Watched()
        async with _drawn(watched, console, url):
            try:
                async for message in connection:
                    await _take(json.loads(message), watched, connection, console)
            except ConnectionClosed:
                pass  # it went without a goodbye


async def _take(
    message: dict[str, Any], watched: Watched, connection: ClientConnection, console: Console | None
) -> None:
    match message:
        case {"type": "sessions", "sessions": list(lines)}:
            if watched.take_list(lines):
                wanted = {"type": "watch", "sessions": watched.wanted}
                await connection.send(json.dumps(wanted))
        case {"type": "record", "session": str(session), "record": dict(record)}:
            watched.take_record(session, record, message.get("missed", 0))
            if console is None:
                click.echo(json.dumps({"session": session, **record}))


@asynccontextmanager
async def _drawn(watched: Watched, console: Console | None, url: str) -> AsyncIterator[None]:
    """Draw the table anew, some times a second; from here, so that a lost terminal is told."""
    if console is None:
        yield
        return

    async def draw(live: Live) -> None:
        while True:
            table = watched.table(
                shown(url),
                height=console.height,
                now_s=time.time(),
                ascii_only=not console.encoding.startswith("utf"),
            )
            live.update(table, refresh=True)
            await asyncio.sleep(DRAW_S)

    with Live(console=console, auto_refresh=False) as live:
        drawing = asyncio.create_task(draw(live))
        try:
            yield
        finally:
            drawing.cancel()
            await asyncio.wait([drawing])
