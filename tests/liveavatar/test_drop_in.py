"""A program written for the published SDK runs after changing its import line."""

import asyncio
import os
import re
import sys
from pathlib import Path

from avatarwire.emulator import LiveAvatarEmulator

SDK = Path(__file__).parents[2] / ".seeds" / "liveavatar-0.2.2" / "liveavatar_channel_sdk"


async def test_bundled_example_runs_on_this_package(tmp_path):
    source = (SDK / "example" / "live_avatar_service_simulator.py").read_text("utf-8")
    changed, count = re.subn(
        r"from liveavatar_channel_sdk\S* import", "from avatarwire import", source
    )
    assert count == 3
    program = tmp_path / "program.py"
    program.write_text(changed, "utf-8")

    async with LiveAvatarEmulator(greeting="one two three") as emulator:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "error",
            program,
            env={**os.environ, "PLATFORM_URL": emulator.base_url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(30):
            output, _ = await process.communicate()
        (session,) = emulator.sessions

    assert process.returncode == 0, output.decode()
    assert b"Traceback" not in output
    assert b"closed  code=1000" in output
    assert [event["event"] for event in session.events] == [
        "session.ready",
        "response.start",
        *["response.chunk"] * 3,
        "response.done",
        "session.stop",
    ]
    words = [event["data"]["text"] for event in session.events if "chunk" in event["event"]]
    assert words == ["one ", "two ", "three "]
