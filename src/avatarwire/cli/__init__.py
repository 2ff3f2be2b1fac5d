"""The ``avatarwire`` command."""

import signal
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NoReturn

from avatarwire.errors import MissingExtraError

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit: 0 for success, 1 for failure, 2 for wrong use.

    Args:
        args: the command line without the program's name; None: the process's own.
    """
    # The command is installed with the package, what it needs only with the extra.
    if not all(map(find_spec, ("aiohttp", "click", "rich"))):
        sys.exit(str(MissingExtraError("the avatarwire command", "cli")))
    try:
        from avatarwire.cli.app import run  # noqa: PLC0415 - see above
    except KeyboardInterrupt:
        # Nothing has begun; from here on ``run`` answers signals.
        sys.exit(128 + signal.SIGINT)
    sys.exit(run(args))
