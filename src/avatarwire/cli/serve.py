"""``avatarwire serve``: a platform on this machine until Ctrl-C."""

import click

from avatarwire.cli.platforms import PLATFORMS
from avatarwire.cli.serving import serve_command

__all__ = ["serve"]


@click.group(no_args_is_help=False)
def serve() -> None:
    """Run a platform on this machine."""


for _name, _platform in PLATFORMS.items():
    serve.add_command(serve_command(_name, _platform))
