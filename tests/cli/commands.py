"""The command in a process of its own."""

import asyncio
import os
import subprocess
import sys

COMMAND = [sys.executable, "-W", "error", "-m", "avatarwire"]
WITHOUT_SETTINGS = {k: v for k, v in os.environ.items() if not k.startswith("AVATARWIRE_")}


async def run_command(*args: object, **environment: str) -> tuple[int | None, str, str]:
    """Give the exit code, what went to stdout, and what went to stderr."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *map(str, args),
        env=WITHOUT_SETTINGS | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, output.decode(), errors.decode()
