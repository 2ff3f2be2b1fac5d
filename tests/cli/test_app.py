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


def test_an_interrupt_while_the_command_is_loaded_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "avatarwire.cli.app":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "avatarwire.cli.app")
    monkeypatch.setattr(sys, "meta_path", [Interrupting, *sys.meta_path])
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 130
    assert capsys.readouterr() == ("", "")
