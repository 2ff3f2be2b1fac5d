"""How a platform is run on this machine until a signal ends it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from avatarwire.cli.ending import run_in_order
from avatarwire.cli.faults import ASKED_FOR, faults_help, faults_option
from avatarwire.cli.output import OutputError, shown
from avatarwire.cli.platform import Emulator, Platform

__all__ = ["cannot_listen", "serve_command"]

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def serve_command(name: str, platform: Platform) -> click.Command:
    """Return the command that runs such a platform."""

    def command(
        host: str,
        allowed_host: tuple[str, ...],
        port: int,
        record: str | None,
        faults: object,
        **own: object,
    ) -> None:
        try:
            emulator = platform.emulator(
                host=host,
                port=port,
                allowed_hosts=allowed_host,
                record_dir=record,
                playground=True,
                faults=faults,
                **own,
            )
        except ValueError as exc:
            words = str(exc).replace("allowed_hosts", "--allowed-host")
            raise click.UsageError(f"{words}.") from exc
        _run(emulator, platform, host, port, record)

    made: Callable[..., None] = command
    for option in reversed(
        [
            *_common(platform.port),
            *platform.serve_options.values(),
            faults_option(platform.new_faults, platform.faults),
        ]
    ):
        made = option(made)
    article = "an" if platform.title[0] in "AEIOU" else "a"
    return click.command(
        name,
        help=f"Run {article} {platform.title} platform; it accepts any API key.",
        epilog=faults_help(platform.faults),
    )(made)


def _common(port: int) -> tuple[Callable[[Callable[..., None]], Callable[..., None]], ...]:
    return (
        click.option(
            "--host", default="127.0.0.1", show_default=True, help="Address to listen on."
        ),
        click.option(
            "--allowed-host",
            metavar="NAME",
            multiple=True,
            help="A further name that clients reach it by, as behind a proxy; repeat for several.",
        ),
        click.option(
            "--port",
            default=port,
            show_default=True,
            type=click.IntRange(0, 65535),
            help="Port for REST and WebSocket; 0 picks a free one.",
        ),
        click.option(
            "--record",
            metavar="DIR",
            type=click.Path(file_okay=False),
            help="Write each session's sound (WAV) and transcript (JSON lines) here.",
        ),
    )


def _run(emulator: Emulator, platform: Platform, host: str, port: int, record: str | None) -> None:
    if record is not None:
        _make_folder(record)
    try:
        run_in_order(lambda: _serve(emulator, platform, loopback=host in LOOPBACK))
    except click.Abort:
        _say_goodbye(emulator, record)
    except (OSError, OverflowError, UnicodeError) as exc:  # the last: a name too long for DNS
        raise click.ClickException(cannot_listen(exc, host, port)) from exc


async def _serve(emulator: Emulator, platform: Platform, *, loopback: bool) -> None:
    # The log goes on until the platform has ended: it tells what becomes of open sessions.
    with contextlib.ExitStack() as stack:
        async with emulator:
            url, ways = platform.introduce(emulator)
            click.echo(f"{platform.title} platform at {url} (Ctrl-C ends it)")
            if not loopback:
                click.echo("Other machines can reach it, without a key.")
            if asked_for := click.get_current_context().meta[ASKED_FOR]:
                click.echo(f"It misbehaves as asked: {', '.join(asked_for)}")
            click.echo(f"See, hear and talk in a browser: {emulator.playground_url}")
            click.echo("Point a client at it, with any key and any avatar:")
            for way in ways:
                click.echo(f"  {way}")
            click.echo()
            await stack.enter_context(_log_to_stdout())


@contextlib.contextmanager
def _log_to_stdout() -> Iterator[asyncio.Future[None]]:
    """Log what happens on the platform; return a future of the error that ends the log."""
    broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    handler = _LogHandler(broken)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    events = logging.getLogger("avatarwire.emulator")
    events.addHandler(handler)
    events.setLevel(logging.INFO)
    events.propagate = False
    try:
        yield broken
    finally:
        events.removeHandler(handler)


class _LogHandler(logging.Handler):
    """Prints what is logged; hands over the error of a line that cannot be written.

    Whoever logs could not handle it.
    """

    def __init__(self, broken: asyncio.Future[None]) -> None:
        super().__init__()
        self._broken = broken

    def emit(self, record: logging.LogRecord) -> None:
        try:
            click.echo(self.format(record))
        except OutputError as exc:
            # A recording is written, and told, in a thread of its own.
            self._broken.get_loop().call_soon_threadsafe(self._break, exc)

    def _break(self, exc: OutputError) -> None:
        if not self._broken.done():
            self._broken.set_exception(exc)


def _say_goodbye(emulator: Emulator, record: str | None) -> None:
    count = len(emulator.sessions)
    where = f"; recordings are in {shown(record)}" if record and count else ""
    click.echo(f"\nEnded after {count} session{'' if count == 1 else 's'}{where}")


def _make_folder(record: str) -> None:
    try:
        Path(record).mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise click.ClickException(
            f"cannot record in {record}: {exc.strerror}; name another --record DIR"
        ) from exc


def cannot_listen(exc: Exception, host: str, port: int) -> str:
    """Return why a platform could not begin, and what to do."""
    return f"cannot listen on {host} port {port}: {exc}; choose another with --host or --port"
