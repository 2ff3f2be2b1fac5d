"""The command's root: its subcommands, and how an error is told."""

import importlib
import sys
from collections.abc import Sequence

import click

from avatarwire import __version__
from avatarwire.cli.ending import Ending
from avatarwire.cli.output import OutputError, shown, standard_streams

__all__ = ["cli", "load", "run"]

#: Each is a module of this package, and a command of the same name in it.
COMMANDS = (
    "bench", "diff", "doctor", "fleet", "inspect", "monitor", "play", "replay", "serve", "stream",
)  # fmt: skip


class _Commands(click.Group):
    """Loads the command that is run and no other: all of them take most of a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - what click passes
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        return _load(cmd_name) if cmd_name in COMMANDS else None


def _load(name: str) -> click.Command:
    command: click.Command = getattr(importlib.import_module(f"avatarwire.cli.{name}"), name)
    return command


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="avatarwire", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Stream speech to live avatars, and run a platform to test against."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def load(words: Sequence[str]) -> None:
    """Load the command that a command line names, so that ``run`` need not."""
    for name in COMMANDS:
        if name in words:
            _load(name)


def run(args: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; an error is one line on stderr."""
    ending = Ending()
    try:
        with ending, standard_streams():
            return _run_and_flush(args, ending)
    except KeyboardInterrupt:  # before or after what ends in order
        return ending.exit_code


def _run_and_flush(args: Sequence[str] | None, ending: Ending) -> int:
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
