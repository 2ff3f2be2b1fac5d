"""Answer with your own voice: a command reads text on its input and writes sound to its output.

    python voice_of_a_command.py espeak-ng --stdout
    python voice_of_a_command.py --sample-rate 22050 piper --model voice.onnx --output-raw

WAV says its rate itself; for raw PCM (16-bit little-endian mono) give ``--sample-rate``. The sound
is spoken while the command still runs, and a new question interrupts the answer before it.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
from asyncio.subprocess import PIPE, Process

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig

WAV_HEADER_BYTES = 44


class Speaker(AgentListener):
    """Says what the user typed, one turn at a time."""

    agent: AvatarAgent

    def __init__(self, command: list[str], sample_rate: int) -> None:
        self._command = command
        self._sample_rate = sample_rate
        self._turn = asyncio.Lock()

    async def on_text_input(self, text: str, request_id: str) -> None:
        """Answer; the input itself has ended the turn before (interrupt_on_input)."""
        async with self._turn:
            await self._say(f"You said: {text}", request_id)

    async def _say(self, text: str, request_id: str) -> None:
        synthesiser = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE)
        assert synthesiser.stdin is not None
        synthesiser.stdin.write(text.encode() + b"\n")
        synthesiser.stdin.close()
        is_wanted = False
        try:
            is_wanted = await self._speak(synthesiser, request_id)
        finally:
            if not is_wanted and synthesiser.returncode is None:
                synthesiser.kill()
            await synthesiser.communicate()
        if is_wanted and synthesiser.returncode:
            print(f"{self._command[0]} failed: exit status {synthesiser.returncode}", flush=True)

    async def _speak(self, synthesiser: Process, request_id: str) -> bool:
        """Return False when the turn was interrupted before everything was said."""
        assert synthesiser.stdout is not None
        sample_rate, head = self._sample_rate, b""
        try:
            head = await synthesiser.stdout.readexactly(WAV_HEADER_BYTES)
        except asyncio.IncompleteReadError as exc:
            head = exc.partial
        if not head:
            print(f"{self._command[0]} gave no sound", flush=True)
            return True
        if head.startswith(b"RIFF"):
            sample_rate, head = int.from_bytes(head[24:28], "little"), b""
        async with self.agent.audio_stream(
            request_id, sample_rate=sample_rate, interrupt_on_input=True
        ) as stream:
            wanted = await stream.write(head)
            # write() returns False once the turn has been interrupted.
            while wanted and (pcm := await synthesiser.stdout.read(4096)):
                wanted = await stream.write(pcm)
        playout = await stream.wait_playout()
        print(f"{playout.reason}: {playout.played_ms:.0f} ms heard", flush=True)
        return wanted


async def main() -> None:
    """Serve one session until the platform ends it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sample-rate", type=int, default=22050, help="of raw PCM, in Hz")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    config = AvatarAgentConfig(
        api_key=os.environ.get("AVATARWIRE_API_KEY", "any"),
        avatar_id=os.environ.get("AVATARWIRE_AVATAR_ID", "any"),
        base_url=os.environ.get("AVATARWIRE_URL", "http://127.0.0.1:8080"),
        developer_tts=True,
    )
    command = arguments.command or ["espeak-ng", "--stdout"]
    if shutil.which(command[0]) is None:
        parser.error(f"no command {command[0]!r} on this machine: install it, or name another")
    speaker = Speaker(command, arguments.sample_rate)
    agent = speaker.agent = AvatarAgent(config, speaker)
    async with agent:
        await agent.wait_closed()


with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C ends it
    asyncio.run(main())
