"""``avatarwire bench`` as a user runs it."""

import json
import re
import sys
import xml.etree.ElementTree as ET

import pytest
from commands import run_command

from avatarwire.bench import WORKLOADS
from avatarwire.cli import app
from avatarwire.cli import bench as command

MINE = """
class Mine:
    name = "mine"
    def frame_pack(self, fields):
        from avatarwire.bench.reference import audio
        return lambda: audio(*fields)

class Wrong(Mine):
    name = "one wrong byte"
    def frame_pack(self, fields):
        right = super().frame_pack(fields)
        return lambda: right()[:-1] + b"?"

class Raises(Mine):
    name = "raises"
    def frame_pack(self, fields):
        raise OSError("no such\\nthing")

class Nameless:
    def frame_pack(self, fields): ...

class Idle:
    name = "idle"

def broken():
    raise ValueError("not today")
"""


@pytest.fixture(autouse=True)
def _short(monkeypatch, tmp_path):
    """Take no time, and find the user's module in the current folder."""
    monkeypatch.setattr(command, "QUICK_S", 0.01)
    monkeypatch.setattr(command, "FULL_S", 0.01)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "mine.py").write_text(MINE, "utf-8")
    yield
    sys.modules.pop("mine", None)


def test_a_table_a_group(capsys):
    assert app.run(["bench", "frame_pack", "pcm_frames"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^CPython 3\.\d+\.\d+.*, \w+ \w+, \d+ processors, ", out)
    assert re.search(r"\bavatarwire \d", out)
    assert "frame_pack  40 ms frame from its fields" in out
    assert re.search(r"^ *avatarwire +[\d.]+ +1\.00x +\d+% +[\d,]+ +\d+%$", out, re.MULTILINE)
    assert re.search(r"^ *struct by hand +[\d.]+ +[\d.]+x ", out, re.MULTILINE)
    assert "2 threads" in out.partition("pcm_frames")[2]
    assert "2 threads" not in out.partition("pcm_frames")[0]
    assert not re.search(r" $", out, re.MULTILINE)


def test_a_codec_of_the_users_takes_part(capsys):
    assert app.run(["bench", "frame_pack", "--quick", "--json", "--with", "mine:Mine"]) == 0
    values = json.loads(capsys.readouterr().out)
    (group,) = values["groups"]
    mine = group["candidates"][-1]
    assert mine["name"] == "mine"
    assert mine["bytes_per_s"] == pytest.approx(1920 / mine["seconds"])
    assert mine["copy_share"] == pytest.approx(group["copy_s"] / mine["seconds"])
    assert group["wrong"] == group["failed"] == {}
    assert values["versions"]["avatarwire"]
    assert values["cpu"]


def test_wrong_bytes_are_told_and_not_timed(capsys):
    words = ["bench", "frame_pack", "--with", "mine:Wrong", "--with", "mine:Mine"]
    assert app.run(words) == 1
    out = capsys.readouterr().out
    assert "one wrong byte: wrong, not timed: byte 1,928 is 0x3f, not 0x" in out
    assert not re.search(r"one wrong byte +\d", out)
    assert re.search(r"mine +\d", out)


def test_a_codec_that_raises_is_no_wrong_byte(capsys):
    assert app.run(["bench", "frame_pack", "--with", "mine:Raises"]) == 0
    assert "raises cannot do it here: OSError: no such\N{REPLACEMENT CHARACTER}thing" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("mine", "'mine' is not of the form module:Class"),
        ("mine:", "'mine:' is not of the form module:Class"),
        (
            "absent:Mine",
            "absent:Mine cannot be made: ModuleNotFoundError: No module",
        ),
        ("mine:Yours", "mine:Yours cannot be made: AttributeError"),
        ("mine:broken", "mine:broken cannot be made: ValueError: not today"),
        ("mine:Nameless", "mine:Nameless has no name: give the class a name of its own"),
        ("mine:Idle", "mine:Idle has no operation; there are: header_pack, "),
    ],
)
def test_what_is_no_codec_is_refused(given, words, capsys):
    assert app.run(["bench", "--with", given]) == 2
    assert words in capsys.readouterr().err


def test_an_unknown_group_is_refused(capsys):
    assert app.run(["bench", "frame_pak"]) == 2
    assert "'frame_pak' is not one of 'header_pack'" in capsys.readouterr().err


def test_the_list(capsys):
    assert app.run(["bench", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [work.name for work in WORKLOADS]


def test_a_plot(capsys, tmp_path):
    path = tmp_path / "out.svg"
    assert app.run(["bench", "frame_pack", "pcm_into", "--plot", str(path)]) == 0
    texts = [it.text for it in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    assert "40 ms frame from its fields" in texts
    assert "avatarwire" in texts
    assert texts.count("one copy") == 2
    capsys.readouterr()


@pytest.mark.parametrize("path", ["absent/out.svg", "mine.py/out.svg"])
def test_a_plot_that_cannot_be_written(path, capsys):
    assert app.run(["bench", "frame_pack", "--plot", path]) != 0
    assert path in capsys.readouterr().err


def test_a_busy_machine_is_told(capsys, monkeypatch):
    monkeypatch.setattr(command, "UNCERTAIN", -1)
    assert app.run(["bench", "frame_pack"]) == 0
    assert "This machine is too busy to tell: ratios are uncertain by up to" in (
        capsys.readouterr().out
    )


async def test_from_its_own_process(tmp_path):
    code, out, errors = await run_command("bench", "--list")
    assert (code, errors) == (0, "")
    assert "pcm_websocket" in out
