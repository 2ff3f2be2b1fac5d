"""The README's programs run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from avatarwire.cli.local import LocalPlatform
from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator

README = Path(__file__).parents[1] / "README.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), flags=re.DOTALL)


def for_live_avatar(program):
    return "from avatarwire import" in program


def for_akool(program):
    return "from avatarwire.akool import" in program


def run(source, folder):
    program = folder / "program.py"
    program.write_text(source, "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_every_program_is_for_one_platform():
    assert [for_akool(program) for program in PROGRAMS] == [False, False, False, True]
    assert all(for_live_avatar(program) != for_akool(program) for program in PROGRAMS)


@pytest.mark.parametrize(
    ("program", "outcomes"),
    list(zip(filter(for_live_avatar, PROGRAMS), [["finished"], ["finished"], []], strict=True)),
    ids=["text", "voice", "ear"],
)
def test_program_for_live_avatar(tmp_path, program, outcomes):
    # The platform of the quick start; its user speaks where the README gives it a voice.
    speaks = ".user_audio(" in program
    emulator = LiveAvatarEmulator(greeting="Hello", user_audio=bytes(32000) if speaks else None)
    with LocalPlatform(emulator):
        source = program.replace("http://127.0.0.1:8080", emulator.base_url)
        assert emulator.base_url in source
        assert run(source, tmp_path)
    (session,) = emulator.sessions
    assert [turn.outcome for turn in session.turns] == outcomes


@pytest.mark.parametrize("program", list(filter(for_akool, PROGRAMS)))
def test_program_for_akool(tmp_path, program):
    emulator = AkoolEmulator()
    with LocalPlatform(emulator):
        source = program.replace("http://127.0.0.1:8051", emulator.server_url)
        assert emulator.server_url in source
        output = run(source, tmp_path)
    assert output.splitlines() == [
        "the avatar is in channel channel-1",
        "completed: 1000 of 1000 ms heard",
    ]
    (session,) = emulator.sessions
    assert (len(session.pcm), session.left) == (32000, "client_disconnect")
