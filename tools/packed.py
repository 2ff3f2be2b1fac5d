"""Pack a small program by PyInstaller, and run it: all of avatarwire is found without options."""

import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = """
import asyncio

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.emulator import LiveAvatarEmulator


async def main():
    async with LiveAvatarEmulator(greeting=None) as emulator:
        config = AvatarAgentConfig("any", "any", base_url=emulator.base_url)
        async with AvatarAgent(config, AgentListener()) as agent:
            async with agent.audio_stream() as stream:
                await stream.write(bytes(3200))
            playout = await stream.wait_playout()
        print(playout.reason, len(emulator.sessions[0].pcm))


asyncio.run(main())
"""


def main() -> int:
    """Return 0 when the packed program has played its sound."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app.py").write_text(PROGRAM, "utf-8")
        subprocess.run(
            [sys.executable, "-m", "PyInstaller", "-y", "--log-level", "ERROR", "app.py"],
            cwd=folder,
            check=True,
        )
        run = subprocess.run(
            [folder / "dist" / "app" / "app"], capture_output=True, text=True, check=False
        )
    print(f"the packed program: {(run.stdout + run.stderr).strip()}")
    return int(run.stdout.strip() != "completed 3200")


if __name__ == "__main__":
    sys.exit(main())
