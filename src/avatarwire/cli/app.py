"""The command's root: its subcommands, and how an error is told."""

import sys
from collections.abc import Sequence

import click

from avatarwire import __version__
from avatarwire.cli.bench import bench
from avatarwire.cli.diff import diff
from avatarwire.cli.doctor import doctor
from avatarwire.cli.ending import Ending
from avatarwire.cli.fleet import fleet
from avatarwire.cli.inspect import inspect
from avatarwire.cli.monitor import monitor
from avatarwire.cli.output import OutputError, shown, standard_streams
from avatarwire.cli.play import play
from avatarwire.cli.replay import replay
from avatarwire.cli.serve import serve
from avatarwire.cli.stream import stream

__all__ = ["cli", "run"]


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="avatarwire", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Stream speech to live avatars, and run a platform to test against."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


cli.add_command(bench)
cli.add_command(diff)
cli.add_command(doctor)
cli.add_command(fleet)
cli.add_command(inspect)
cli.add_command(monitor)
cli.add_command(play)
cli.add_command(replay)
cli.add_command(serve)
cli.add_command(stream)


def run(args: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; an error is one line on stderr."""
    with Ending() as ending, standard_streams():
        try:
            code = _run(args, ending)
            if sys.stdout is not None:
                sys.stdout.flush()
        except OutputError as exc:
            return _fail(str(exc), 1 if ending.number is None else ending.exit_code)
    return code


def _run(args: Sequence[str] | None, ending: Ending) -> int:
    try:
        result = cli.main(args=args, prog_name="avatarwire", standalone_mode=False, obj=ending)
    except click.UsageError as exc:
        command = exc.ctx.command_path if exc.ctx is not None else "avatarwire"
        return _fail(f"{exc.format_message()} See: {command} --help", exc.exit_code)
    except click.ClickException as exc:
        return _fail(exc.format_message(), exc.exit_code)
    except click.Abort:
        return ending.exit_code
    return result if isinstance(result, int) else 0


def _fail(message: str, code: int) -> int:
    click.echo(f"avatarwire: {shown(' '.join(message.split()))}", err=True)
    return code
