"""What a user names as ``module:name``, and in which words it is refused."""

import sys
from pathlib import Path

import pytest

from avatarwire.cli.users_code import UsersCodeError, named

FORM = "module:listener"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {
        "good": "class Speaker:\n    pass\n",
        "broken": "one = 1\nthree = one / 0\n",
        "wrong": "def f(:\n",
        "quits": "raise SystemExit(3)\n",
        "lacks": "import not_there_at_all\n",
    }
    for name, text in modules.items():
        (tmp_path / f"{name}_of_mine.py").write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in modules:
        monkeypatch.delitem(sys.modules, f"{name}_of_mine", raising=False)


def test_it_is_found_in_the_folder_where_the_command_runs() -> None:
    found = named("good_of_mine:Speaker", FORM)
    assert isinstance(found, type)
    assert found.__name__ == "Speaker"


@pytest.mark.parametrize(
    ("spelling", "words"),
    [
        ("agent", "'agent' is not of the form module:listener"),
        ("agent:", "'agent:' is not of the form module:listener"),
        (":Speaker", "':Speaker' is not of the form module:listener"),
        ("good_of_mine:Speakr", "good_of_mine has no Speakr; there is Speaker"),
        ("good_of_mine:x", "good_of_mine has no x"),
        (
            "dir/agent.py:Speaker",
            "dir/agent.py is a file: name the module, agent:Speaker, in the folder where it is",
        ),
        ("absent.inner:x", "there is no module absent.inner: run the command in the folder where"),
        (
            "broken_of_mine:x",
            "cannot be imported: ZeroDivisionError: division by zero (broken_of_mine.py, line 2)",
        ),
        ("wrong_of_mine:x", "wrong_of_mine cannot be imported: SyntaxError: "),
        ("quits_of_mine:x", 'have what runs it below if __name__ == "__main__"'),
        (
            "lacks_of_mine:x",
            "lacks_of_mine cannot be imported: No module named 'not_there_at_all'",
        ),
    ],
)
def test_what_cannot_be_had_is_told_in_one_line(spelling: str, words: str) -> None:
    with pytest.raises(UsersCodeError) as caught:
        named(spelling, FORM)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
