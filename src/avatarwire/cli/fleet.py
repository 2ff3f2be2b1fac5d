"""``avatarwire fleet``: run a program's sessions on many hosts, and look after them."""

import asyncio
import os
from importlib import import_module
from typing import Any

import click
import httpx
from rich.console import Console
from rich.table import Table

from avatarwire.cli.users_code import find_here
from avatarwire.errors import AvatarwireError

__all__ = ["fleet"]

DEFAULT = "http://127.0.0.1:8000"
_at = click.option(
    "--http",
    "url",
    default=DEFAULT,
    show_default=True,
    envvar="AVATARWIRE_FLEET_URL",
    help="Where the fleet's gateway answers.",
)


@click.group(no_args_is_help=False)
def fleet() -> None:
    """Run sessions on many hosts, on Ray Serve."""


@fleet.command()
@click.argument("program", metavar="MODULE:HANDLE")
@click.option("--hosts", default=2, show_default=True, type=click.IntRange(1, 1000), help="Hosts.")
@click.option(
    "--sessions-per-host",
    type=click.IntRange(1, 100_000),
    help="The most sessions of a host; by default what the program says.",
)
@click.option(
    "--http",
    "where",
    metavar="HOST:PORT",
    default="127.0.0.1:8000",
    show_default=True,
    help="Where the gateway listens; other addresses than loopback take AVATARWIRE_FLEET_TOKEN.",
)
def run(program: str, hosts: int, sessions_per_host: int | None, where: str) -> None:
    """Run a program on hosts of this machine, or of the Ray that RAY_ADDRESS names."""
    address, _, port = where.rpartition(":")
    if not address or not port.isdecimal() or not 0 < int(port) < 65536:
        raise click.UsageError(f"--http takes HOST:PORT such as 127.0.0.1:8000, not {where!r}.")
    find_here()
    try:
        handler = import_module("avatarwire.fleet").load_program(program)
        running = import_module("avatarwire.fleet.running")
        asyncio.run(
            running.run(
                handler,
                hosts=hosts,
                max_sessions=sessions_per_host,
                address=address.strip("[]"),
                port=int(port),
                say=click.echo,
            )
        )
    except AvatarwireError as exc:
        raise click.ClickException(str(exc)) from exc


@fleet.command()
@_at
def status(url: str) -> None:
    """Show the hosts: sessions, load, lateness, draining."""
    table = Table("host", "pid", "sessions", "load", "CPU", "lateness", "draining")
    for host in _ask("GET", url, "/hosts"):
        table.add_row(
            host["host"],
            str(host["pid"]),
            f"{host['sessions']}/{host['max_sessions']}",
            f"{100 * host['sessions'] / host['max_sessions']:.0f} %",
            f"{100 * host['cpu']:.0f} %",
            f"{1000 * host['lateness_s']:.0f} ms",
            "yes" if host["is_draining"] else "",
        )
    Console().print(table)


@fleet.command()
@click.argument("host")
@_at
def drain(host: str, url: str) -> None:
    """Have HOST take nothing new and hand its sessions over; it is replaced."""
    _ask("POST", url, f"/hosts/{host}/drain")
    click.echo(f"host {host} drains")


@fleet.command()
@_at
def stop(url: str) -> None:
    """End every session; the hosts stay."""
    click.echo(f"{_ask('POST', url, '/stop')['stopped']} sessions ended")


def _ask(method: str, url: str, path: str) -> Any:  # noqa: ANN401 - JSON
    token = os.environ.get("AVATARWIRE_FLEET_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx.request(method, url.rstrip("/") + path, headers=headers, timeout=30)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise click.ClickException(f"no fleet answers at {url}: {exc}") from None
    if answer.is_success:
        return answer.json() if answer.content else None
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"HTTP {answer.status_code}: is this a fleet's gateway?"
    raise click.ClickException(str(detail))
