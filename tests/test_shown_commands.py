"""Every command that README and documentation show is one that exists, down to its options."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from avatarwire.cli.app import cli

ROOT = Path(__file__).parents[1]
SEEDS = ROOT / ".seeds"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIRED = [re.split(r"[^\w-]", line)[0] for extra in EXTRAS.values() for line in extra]
TARGETS = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def shown() -> list[object]:
    """Return each line of a console block, and each command inside a sentence."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        commands = [
            line
            for block in re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
            for line in block.splitlines()
        ]
        commands += (f"$ {line}" for line in re.findall(r"`((?:avatarwire|make) [^`]+)`", text))
        name = page.relative_to(ROOT).as_posix()
        found += [pytest.param(line, id=f"{name}: {line}") for line in commands]
    return found


@pytest.mark.parametrize("line", shown())
def test_command(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt, command, *words = shlex.split(line, comments=True)
    assert prompt == "$"
    match command:
        case "avatarwire":
            monkeypatch.chdir(tmp_path)
            for word in words:
                if word.endswith((".wav", ".mp3")):
                    Path(word).parent.mkdir(parents=True, exist_ok=True)
                    Path(word).touch()
            parse(words)
        case "make":
            assert set(words) <= set(TARGETS)
        case "pip":
            assert words[0] == "install"
            for name, extras in re.findall(r"([\w.-]+)(?:\[([\w,]+)\])?", " ".join(words[1:])):
                assert name in {PROJECT["name"], ".", *REQUIRED}
                assert {*filter(None, extras.split(","))} <= {*EXTRAS}
        case "python":
            assert (ROOT / words[0]).is_file()
        case _:
            pytest.fail(f"nothing checks {command}")


def parse(words: list[str]) -> None:
    """Let click read what is typed, without running it; it raises what it would tell."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words:
        name, *words = words
        subcommand = command.get_command(click.Context(command), name)
        if subcommand is None:
            raise KeyError(name)
        command = subcommand
    with contextlib.suppress(click.exceptions.Exit):  # --help
        command.make_context(command.name, words)


@pytest.mark.parametrize(
    "words", [["serve", "moon"], ["serve", "liveavatar", "--prot", "1"], ["doctor", "--lead-ms"]]
)
def test_what_does_not_exist_is_found(words: list[str]) -> None:
    with pytest.raises((click.UsageError, KeyError)):
        parse(words)


README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize(("before", "after"), re.findall(r"^-(.*)\n\+(.*)$", README, re.MULTILINE))
def test_both_import_lines(before: str, after: str) -> None:
    sdk = SEEDS / ("akool-0.1.9" if "akool" in before else "liveavatar-0.4.4")
    if not sdk.is_dir():
        pytest.skip(f"no {sdk.name}: make test installs it")
    for line, path in ((before, str(sdk)), (after, "")):
        environment = os.environ | {"PYTHONPATH": path}
        subprocess.run([sys.executable, "-c", line], env=environment, check=True)


def test_both_clients_have_an_import_line() -> None:
    assert len(re.findall(r"^-(?:from|import) ", README, re.MULTILINE)) == 2


def test_what_the_demo_prints() -> None:
    (expected,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    (recipe,) = re.findall(r"(avatarwire stream \S+)", (ROOT / "Makefile").read_text("utf-8"))
    without = {k: v for k, v in os.environ.items() if not k.startswith("AVATARWIRE_")}
    done = subprocess.run(
        [sys.executable, "-m", *recipe.split()],
        cwd=ROOT,
        env=without,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    # These rows tell of the machine, the others of the file.
    measured = ("lateness", "CPU", "platform heard")
    printed, promised = (
        [re.sub(r"[\d.-]+", "0", line) if line.startswith(measured) else line for line in lines]
        for lines in (map(str.rstrip, done.stdout.splitlines()), expected.splitlines())
    )
    assert printed == promised
