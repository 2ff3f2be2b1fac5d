"""``avatarwire fleet run`` in a process of its own."""

import subprocess
from contextlib import contextmanager

from ended import Ended


@contextmanager
def fleet_run(line, *, cwd, environment, says):
    """Run a fleet until the block ends; it is there when it has said so."""
    with Ended(
        line,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        for said in process.stdout:
            if said.startswith(says):
                break
        yield process
