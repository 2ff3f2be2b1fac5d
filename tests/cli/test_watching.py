"""What the table says of sessions, from what was told."""

import io

import pytest
from rich.console import Console

from avatarwire.cli.watching import Watched

NOW_S = 1000.0


def drawn(watched, *, height=20, ascii_only=False):
    console = Console(file=io.StringIO(), width=80, height=height, force_terminal=False)
    table = watched.table("here", height=height, now_s=NOW_S, ascii_only=ascii_only)
    console.print(table)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    return [" ".join(line.split()) for line in lines]


def line(session_id="s1", **fields):
    return {"id": session_id, "is_connected": True, **fields}


def told(watched, session_id, **record):
    watched.take_record(session_id, {"ts": NOW_S, **record}, 0)


def test_of_a_platform_it_counts_itself():
    watched = Watched()
    assert watched.take_list([line(state="SPEAKING", turns=2)])
    told(watched, "s1", kind="snapshot", side="platform")
    told(watched, "s1", kind="audio", dir="recv", n=24000, rate=24000, level=0.25)
    told(watched, "s1", kind="audio", dir="send", n=160, rate=16000, level=0.0625)
    told(watched, "s1", kind="turn", change="ended", reason="completed", underruns=3)
    title, heads, row = drawn(watched)
    assert title == "here 1 session"
    assert heads == "session state user avatar turns sent s queue ms late ms holes"
    assert row == "s1 speaking ▄ █ 2 1.0 - - 3"
    assert drawn(watched, ascii_only=True)[-1] == "s1 speaking ; # 2 1.0 - - 3"


def test_of_a_program_it_shows_what_that_counts():
    watched = Watched()
    counts = {"turns": 7, "sent_ms": 61200, "queued_ms": 400, "late_ms": 12.6, "underruns": 1}
    watched.take_list([line("0123456789", **counts)])
    told(watched, "0123456789", kind="snapshot", side="client")
    told(watched, "0123456789", kind="audio", dir="send", n=10, rate=10, level=0.25)
    assert drawn(watched)[-1] == "01234567 connected █ 7 61.2 400 13 1"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["opened"], "connected"),
        (["opened", "started"], "speaking"),
        (["started", "paused"], "paused"),
        (["started", "paused", "resumed"], "speaking"),
        (["started", "ended"], "timed out"),
    ],
)
def test_the_state_of_a_program_is_that_of_its_turn(changes, words):
    watched = Watched()
    watched.take_list([line()])
    for change in changes:
        told(watched, "s1", kind="turn", change=change, reason="timed_out")
    assert drawn(watched)[-1].startswith(f"s1 {words} ")


def test_a_gap_and_an_end_are_told():
    watched = Watched()
    watched.take_list([line("a") | {"is_connected": False}])
    assert drawn(watched)[-1].startswith("a gap ")
    watched.take_list([line("a", is_over=True) | {"is_connected": False}])
    assert drawn(watched)[-1].startswith("a over ")


def test_levels_go_by_and_are_the_loudest_of_their_moment():
    watched = Watched()
    watched.take_list([line()])
    for at_s, level in ((NOW_S - 60, 0.25), (NOW_S - 1.5, 0.001), (NOW_S - 1.49, 0.25)):
        record = {"kind": "audio", "dir": "recv", "n": 1, "rate": 1, "level": level, "ts": at_s}
        watched.take_record("s1", record, 0)
    assert drawn(watched)[-1] == "s1 connected █ 0 3.0 - - 0"


def test_only_as_many_are_drawn_as_there_is_room_and_words_are_no_markup():
    watched = Watched()
    watched.take_list([line(f"[b]{number}") for number in range(10)])
    lines = drawn(watched, height=7)
    assert [each.split()[0] for each in lines[2:5]] == ["[b]7", "[b]8", "[b]9"]
    assert lines[5] == "and 7 before them"
    assert len(lines) <= 7


def test_what_was_missed_is_told_and_who_has_gone_is_forgotten():
    watched = Watched()
    watched.take_list([line("a"), line("b")])
    watched.take_record("a", {"kind": "stats"}, 4)
    watched.take_record("nobody", {"kind": "stats"}, 4)
    assert drawn(watched)[0] == "here 2 sessions 4 records missed"
    assert watched.wanted == ["a", "b"]
    assert not watched.take_list([line("a"), line("b", turns=1)])
    assert watched.take_list([line("b")])
    assert watched.wanted == ["b"]
