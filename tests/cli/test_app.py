import signal
import subprocess
import sys

import pytest

import avatarwire
from avatarwire.cli import main
from avatarwire.cli.app import run


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr() == (f"avatarwire {avatarwire.__version__}\n", "")


@pytest.mark.parametrize("args", [[], ["--help"], ["-h"]])
def test_help_names_the_commands(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(args) == 0
    output, errors = capsys.readouterr()
    assert "doctor" in output
    assert "serve" in output
    assert "stream" in output
    assert errors == ""


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["nonsense"], "avatarwire: No such command 'nonsense'. See: avatarwire --help\n"),
        (["serve"], "avatarwire: Missing command. See: avatarwire serve --help\n"),
        (["stream"], "avatarwire: Missing argument 'FILE'. See: avatarwire stream --help\n"),
    ],
)
def test_wrong_use_is_one_line(
    args: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(args) == 2
    assert capsys.readouterr() == ("", line)


def test_main_exits_with_the_code() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-W", "error", "-m", "avatarwire", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"avatarwire {avatarwire.__version__}\n", "")


@pytest.mark.parametrize("missing", ["aiohttp", "click", "rich"])
def test_without_the_extra_it_says_how_to_get_it(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from avatarwire.cli import main; main(['--version'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert 'pip install "avatarwire[cli]"' in done.stderr


INTERRUPTED = """
import contextlib, signal, sys
from avatarwire.cli import main

class Interrupting:
    @staticmethod
    def find_spec(name, *_):
        if name == "avatarwire.cli.app":
            with contextlib.suppress(KeyboardInterrupt):  # as the import system may
                signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupting)
main(["--version"])
"""


def test_an_interrupt_while_the_command_is_loaded_ends_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_what_the_caller_does_on_an_interrupt_comes_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert signal.getsignal(signal.SIGINT) is before
