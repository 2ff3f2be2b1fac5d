"""The ``avatarwire`` command."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
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
    # An import may swallow the KeyboardInterrupt of Ctrl-C, and nothing has begun that had to be
    # ended in order; ``run`` answers signals of its own.
    with _leaving_at_once_on_ctrl_c():
        from avatarwire.cli.app import load, run  # noqa: PLC0415 - see above

        load(sys.argv[1:] if args is None else args)
    sys.exit(run(args))


@contextlib.contextmanager
def _leaving_at_once_on_ctrl_c() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    # Another handler is the caller's, and what is ignored stays ignored.
    is_pythons = before is signal.default_int_handler
    if not is_pythons or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, lambda number, _frame: os._exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
