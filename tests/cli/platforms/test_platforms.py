"""A platform is one module and one line of the table: a toy shows it."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import WITHOUT_SETTINGS

from avatarwire import cli
from avatarwire.audio import PcmFormat, write_wav
from avatarwire.cli.app import run
from avatarwire.cli.platforms import PLATFORMS

#: The line, and the command.
WITH_TOY = """
import sys
import toy_platform
from avatarwire.cli.platforms import PLATFORMS
PLATFORMS["toy"] = toy_platform.PLATFORM
from avatarwire.cli import main
main(sys.argv[1:])
"""
COMMAND = [sys.executable, "-W", "error", "-c", WITH_TOY]
ENVIRONMENT = WITHOUT_SETTINGS | {"PYTHONPATH": str(Path(__file__).parent)}


def toy(*args: object) -> tuple[int, str, str]:
    done = subprocess.run(
        [*COMMAND, *map(str, args)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    write_wav(tmp_path / "a.wav", bytes(range(256)) * 100, PcmFormat(16000))
    return tmp_path / "a.wav"


@pytest.mark.parametrize("command", ["stream", "doctor"])
def test_it_shows_in_the_options(command: str) -> None:
    code, output, errors = toy(command, "--help")
    assert (code, errors) == (0, "")
    words = " ".join(output.split())
    assert "--platform [liveavatar|akool|toy]" in words
    assert "one of its servers; the shop's for the toy. Without it, a platform" in words
    assert "--volume INTEGER The toy's volume." in words


def test_it_shows_in_what_can_be_served() -> None:
    code, output, errors = toy("serve", "--help")
    assert (code, errors) == (0, "")
    assert "  toy         Run a Toy platform; it accepts any API key.\n" in output
    code, output, errors = toy("serve", "toy", "--help")
    assert (code, errors) == (0, "")
    assert "  --colour TEXT" in output
    assert "[default: 7000;" in output
    assert "  squeak=NOTE                     squeak instead of speaking\n" in output


def test_it_streams(sound: Path) -> None:
    code, output, errors = toy("stream", sound, "--platform", "toy", "--json")
    assert (code, errors) == (0, "")
    figures = json.loads(output)
    assert (figures["platform"], figures["identical"]) == ("toy:", True)
    assert (figures["sent_sample_rate"], figures["frames"]) == (8000, 40)
    code, output, errors = toy("stream", sound, "--platform", "toy", "--volume", "11")
    assert (code, output, errors) == (1, "", "avatarwire: the toy is broken: too loud\n")


def test_it_is_examined() -> None:
    code, output, errors = toy("doctor", "--platform", "toy", "--sample-rate", "48000")
    assert (code, errors) == (0, "")
    assert output.splitlines()[2:] == [
        "ok       spring         wound up for 48000 Hz",
        "skipped  key            needs what failed above",
    ]
    code, output, _ = toy("doctor", "--platform", "toy", "--url", "toy:", "--api-key", "k")
    assert code == 1
    assert "failed   spring         no avatar: set AVATARWIRE_AVATAR_ID or" in output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--volume", "3"], "with --platform liveavatar there is no use for --volume: add --pl"),
        (["--platform", "toy", "--env", "prod"], "with --platform toy there is no use for --env"),
        (["--platform", "toy", "--sandbox"], "use for --sandbox: add --platform liveavatar, or"),
        (["--platform", "toy", "--url", "toy:", "--api-key", "k"], "AVATARWIRE_AVATAR_ID"),
        (["--platform", "toy", "--api-key", "k"], "without --url there is no use for --api-key"),
    ],
)
def test_whose_option_it_is_is_known(sound: Path, options: list[str], words: str) -> None:
    code, output, errors = toy("stream", sound, *options)
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert words in errors


async def test_it_is_served() -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("serve", "toy", "--colour", "blue", "--fault", "squeak=C"),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    lines = (await process.stdout.readuntil(b"\n\n")).decode().splitlines()
    assert lines == [
        "Toy platform at toy: (Ctrl-C ends it)",
        "It misbehaves as asked: squeak=C",
        "See, hear and talk in a browser: toy:page",
        "Point a client at it, with any key and any avatar:",
        "  ToyClient('blue')",
        "",
    ]
    process.send_signal(signal.SIGTERM)
    output, errors = await process.communicate()
    assert (process.returncode, output, errors) == (0, b"\nEnded after 0 sessions\n", b"")


async def test_an_agent_plays_on_it() -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("play", "toy_platform:Duck", "--platform", "toy"),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    lines = [(await process.stdout.readline()).decode() for _ in range(6)]
    assert lines == [
        "See, hear and talk in a browser: toy:page (Ctrl-C ends it)\n",
        "duck 1 is white\n",
        "The session has ended with 1000 played enough; the next one begins\n",
        "duck 2 is white\n",
        "There is no session: the duck is tired; the next one begins\n",
        "duck 3 is white\n",
    ]
    process.send_signal(signal.SIGTERM)
    output, errors = await process.communicate()
    assert (process.returncode, output, errors) == (0, b"\nEnded after 0 sessions\n", b"")


def test_no_other_file_of_the_command_names_a_platform() -> None:
    files = list(Path(cli.__path__[0]).glob("*.py"))
    assert len(files) > 10
    for file in files:
        names = "[Aa]kool|AKOOL|live_?avatar|Live ?Avatar|LIVE_?AVATAR"
        assert re.findall(names, file.read_text("utf-8")) == []


@pytest.mark.parametrize("name", PLATFORMS)
@pytest.mark.parametrize("command", ["stream", "doctor"])
def test_an_option_names_its_owner_in_its_help(
    command: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, "--help"]) == 0
    assert PLATFORMS[name].title in " ".join(capsys.readouterr().out.split())
