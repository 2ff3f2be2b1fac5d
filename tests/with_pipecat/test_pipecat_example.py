"""The example does what it says, with a voice that really speaks."""

import array
import asyncio
import os
import shutil
import subprocess

import pytest
from beside import running_example


async def until_finished(session, index):
    while (  # noqa: ASYNC110 - nothing tells it
        len(session.turns) <= index or session.turns[index].outcome == "playing"
    ):
        await asyncio.sleep(0.01)


def test_there_is_a_voice():
    assert shutil.which("espeak-ng") or "CI" not in os.environ, "install espeak-ng"


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
async def test_it_answers_and_can_be_interrupted(emulator):
    running = running_example("pipecat_bot.py", emulator, errors=subprocess.DEVNULL)
    async with running as (process, session):
        await session.send_text("Hello.", "r1")
        assert await process.stdout.readline() == b"user: Hello.\n"
        said = await process.stdout.readline()
        assert said == b"assistant: You said: Hello. That is all I know.\n"
        await until_finished(session, 0)
        await session.send_text("Tell me more, please, about all that you know.", "r2")
        await session.wait_for("response.audio.start", 10)
        await session.wait_for("response.audio.start", 10)
        await asyncio.sleep(0.8)
        await session.send_text("Stop.", "r3")
        while b"Stop" not in said or not said.startswith(b"assistant"):
            said = await process.stdout.readline()
        await until_finished(session, 2)
        await session.close()
        await process.communicate()
    assert process.returncode == 0
    assert [turn.request_id for turn in session.turns] == ["r1", "r2", "r3"]
    assert [turn.outcome for turn in session.turns] == ["finished", "interrupted", "finished"]
    loudest = max(abs(sample) for sample in array.array("h", bytes(session.turns[0].pcm)))
    assert loudest > 3000
