"""The chaos run works, and its ledger finds what would be wrong."""

import json
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

FUZZ = Path(__file__).parents[2] / "fuzz"
sys.path.insert(0, str(FUZZ))

from ledger import EVENT, Ledger, WrittenTurn, counted_pcm  # noqa: E402

from avatarwire import AudioFrame  # noqa: E402
from avatarwire.emulator import Entry  # noqa: E402
from avatarwire.streaming import Playout  # noqa: E402

READY, STOP = {"event": "session.ready"}, {"event": "session.stop"}


def platform(*events, sound=()):
    """What a platform received: events by their numbers, and of each connection counted sound."""
    named = [{"event": EVENT, "data": {"n": n}} if isinstance(n, int) else n for n in events]
    transcript = []
    for numbers in sound:
        transcript.append(entry("received", json.dumps(READY)))
        pcm = struct.pack(f"<{len(numbers)}I", *numbers)
        payloads = [pcm[at : at + 60_000] for at in range(0, len(pcm), 60_000)]
        transcript += [entry("received", AudioFrame(payload=it).pack()) for it in payloads]
        transcript.append(entry("sent", "{}"))  # something came of the connection
    return SimpleNamespace(events=named, transcript=transcript)


def entry(direction, data):
    return Entry(direction, "text" if isinstance(data, str) else "binary", data, 10.0)


def ledger(made, raised=(), turns=()):
    return Ledger(made, set(range(made)) - set(raised), set(raised), list(turns))


def turn(first, last, *, sent=None, is_lost=False):
    written_ms = (last - first) * 4 / 48
    sent_ms = written_ms if sent is None else sent * 4 / 48
    playout = Playout("completed", written_ms, sent_ms, written_ms - sent_ms, sent_ms)
    return WrittenTurn(first, last, playout, is_lost, 10.0, 11.0)


def test_a_session_of_which_everything_arrived():
    books = ledger(4, raised=[3])
    books.check(platform(READY, 0, 1, 2, STOP), [], 1)
    assert (books.delivered, books.lost_in_cuts, books.raised_late) == (3, 0, 0)


def test_what_was_in_a_socket_that_was_cut_may_be_missing_there_alone():
    books = ledger(5)
    books.check(platform(READY, 0, 1, READY, 3, 4, STOP), [10.0], 1)
    assert books.lost_in_cuts == 1


@pytest.mark.parametrize(
    ("session", "words"),
    [
        (platform(READY, 0, 2, STOP), "missing within a connection"),
        (platform(READY, 0, 1, STOP), "missing at an orderly end"),
        (platform(READY, 0, 1, 1, 2, STOP), "twice, or out of order"),
        (platform(READY, 0, 1, READY, 1, 2, STOP), "twice, or out of order"),
        (platform(READY, 0, 2, 1, STOP), "twice, or out of order"),
    ],
)
def test_events_that_are_not_where_they_belong(session, words):
    with pytest.raises(AssertionError, match=words):
        ledger(3).check(session, [], 1)


def test_a_call_that_never_ended():
    with pytest.raises(AssertionError, match="neither returned nor raised"):
        Ledger(2, {0}).check(platform(READY, 0, STOP), [], 1)


@pytest.mark.parametrize(
    "numbers",
    [range(5, 20), [*range(10), *range(11, 20)], range(21), [*range(20), *range(10, 20)]],
)
def test_sound_that_is_missing_or_told_twice(numbers):
    books = ledger(0, turns=[turn(0, 20)])
    with pytest.raises(AssertionError):
        books.check(platform(READY, STOP, sound=[numbers]), [], 1)


def test_sound_may_begin_anew_after_a_gap_by_two_seconds():
    span = 2040 * 48 // 4
    books = ledger(0, turns=[turn(0, 40_000)])
    sound = [range(30_000), range(30_000 - span, 40_000)]
    books.check(platform(READY, STOP, sound=sound), [12.0], 1)
    with pytest.raises(AssertionError, match="told twice"):
        books.check(
            platform(READY, STOP, sound=[sound[0], range(30_000 - span - 1, 40_000)]), [12.0], 1
        )


def test_turns_that_are_sent_again_come_one_after_the_other():
    books = ledger(0, turns=[turn(0, 10), turn(10, 20)])
    books.check(platform(READY, STOP, sound=[range(20)]), [], 1)
    books.check(platform(READY, STOP, sound=[range(15), range(8, 20)]), [12.0], 1)
    for mixed in ([*range(15), *range(8, 20)], [8, 10, 9, *range(11, 20)]):
        with pytest.raises(AssertionError, match="mixed up, or twice"):
            books.check(platform(READY, STOP, sound=[range(8), mixed]), [12.0], 1)


def test_a_platform_that_drops_every_connection_is_not_dialled_on_and_on():
    session = platform(STOP)
    session.transcript = [entry("received", json.dumps(READY))] * 3
    ledger(0).check(session, [], 2)
    with pytest.raises(AssertionError, match="dialled 2 times in vain"):
        ledger(0).check(session, [], 1)


def test_what_was_not_sent_is_dropped():
    ledger(0, turns=[turn(0, 20, sent=12)]).check(platform(READY, STOP, sound=[range(12)]), [], 1)
    assert counted_pcm(3, 8) == struct.pack("<2I", 3, 4)


def test_a_short_run_finds_nothing():
    done = subprocess.run(
        [sys.executable, FUZZ / "chaos.py", "--seconds", "5", "--seed", "3"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "nothing escaped, hung or leaked" in done.stdout
