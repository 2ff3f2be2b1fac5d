"""``avatarwire diff``: what two recordings say differently on the wire."""

import click

from avatarwire.cli.inspect import opened
from avatarwire.cli.output import shown
from avatarwire.recording import RecordingError, differences

__all__ = ["diff"]


@click.command()
@click.argument("first", metavar="A", type=click.Path(file_okay=False))
@click.argument("second", metavar="B", type=click.Path(file_okay=False))
def diff(first: str, second: str) -> int:
    """Tell what the recordings A and B say differently on the wire; exit with 1 if anything.

    Ids, times, and how sound was cut into frames are set aside; each direction is compared by
    itself.
    """
    try:
        found = differences(opened(first), opened(second))
    except RecordingError as exc:
        raise click.ClickException(str(exc)) from exc
    for each in found:
        way = "sent" if each.direction == "send" else "received"
        click.echo(shown(f"{each.sign} {each.at_s:.3f} {way} {each.words}"))
    click.echo(f"{len(found)} lines differ" if found else "The same on the wire")
    return 1 if found else 0
