"""What the tests beside each framework use: an emulated platform, and an example on it."""

import asyncio
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from avatarwire import AvatarAgentConfig
from avatarwire.emulator import LiveAvatarEmulator

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(autouse=True)
def short_grace(monkeypatch):
    """Wait half a second for the platform's word, not five."""
    monkeypatch.setattr("avatarwire.liveavatar.turns.PLAYOUT_GRACE_S", 0.5)


@pytest.fixture(name="emulator")
async def emulated_platform():
    async with LiveAvatarEmulator(greeting=None) as emulator:
        yield emulator


def config_for(emulator, **changes):
    return AvatarAgentConfig(
        "sk-any", "avatar-1", base_url=emulator.base_url, timeout=5.0, **changes
    )


@asynccontextmanager
async def running_example(name, emulator, *, errors):
    """Run an example until its session is ready, and end it at the latest afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, EXAMPLES / name),
        env=os.environ | {"AVATARWIRE_URL": emulator.base_url},
        stdout=subprocess.PIPE,
        stderr=errors,
    )
    try:
        async with asyncio.timeout(90):
            while not emulator.sessions:  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0.01)
            session = emulator.sessions[0]
            await session.wait_for("session.ready", 30)
            await asyncio.sleep(0.5)
            yield process, session
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
