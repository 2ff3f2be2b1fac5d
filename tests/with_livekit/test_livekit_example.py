"""The example does what it says, with a voice that really speaks."""

import array
import asyncio
import os
import shutil
import subprocess

import pytest
from beside import running_example


def test_there_is_a_voice():
    assert shutil.which("espeak-ng") or "CI" not in os.environ, "install espeak-ng"


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
async def test_it_answers_and_can_be_interrupted(emulator):
    running = running_example("livekit_agent.py", emulator, errors=subprocess.PIPE)
    async with running as (process, session):
        await session.send_text("Hello.", "r1")
        assert await process.stdout.readline() == b"user: Hello.\n"
        while not (  # noqa: ASYNC110 - nothing tells it
            session.turns and session.turns[-1].outcome == "finished"
        ):
            await asyncio.sleep(0.01)
        first = (await process.stdout.readline()).decode()
        assert first == "assistant: You said: Hello. That is all I know.\n"
        assert (await process.stdout.readline()).startswith(b"heard after ")
        await session.send_text("Tell me more, please, about all that you know.", "r2")
        await session.wait_for("response.audio.start", 10)
        await session.wait_for("response.audio.start", 10)
        await asyncio.sleep(0.8)
        await session.send_text("Stop.", "r3")
        said = []
        while not said or b"Stop" not in said[-1] or not said[-1].startswith(b"assistant"):
            said.append(await process.stdout.readline())
        await session.close()
        _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert any(line.endswith(b"(interrupted)\n") for line in said)
    assert [turn.request_id for turn in session.turns] == ["r1", "r2", "r3"]
    assert [turn.outcome for turn in session.turns] == ["finished", "interrupted", "finished"]
    loudest = max(abs(sample) for sample in array.array("h", bytes(session.turns[0].pcm)))
    assert loudest > 3000
