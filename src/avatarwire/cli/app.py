"""The command's root: its subcommands, and how an error is told."""

from collections.abc import Sequence

import click

from avatarwire import __version__
from avatarwire.cli.doctor import doctor
from avatarwire.cli.serve import serve
from avatarwire.cli.stream import stream

__all__ = ["cli", "run"]

INTERRUPTED = 130  # what shells give for Ctrl-C


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="avatarwire", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Stream speech to live avatars, and run a platform to test against."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


cli.add_command(doctor)
cli.add_command(serve)
cli.add_command(stream)


def run(args: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code; an error is one line on stderr."""
    try:
        result = cli.main(args=args, prog_name="avatarwire", standalone_mode=False)
    except click.UsageError as exc:
        command = exc.ctx.command_path if exc.ctx is not None else "avatarwire"
        return _fail(f"{exc.format_message()} See: {command} --help", exc.exit_code)
    except click.ClickException as exc:
        return _fail(exc.format_message(), exc.exit_code)
    except click.Abort:
        return INTERRUPTED
    return result if isinstance(result, int) else 0


def _fail(message: str, code: int) -> int:
    click.echo(f"avatarwire: {' '.join(message.split())}", err=True)
    return code
