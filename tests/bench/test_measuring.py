"""Candidates are checked before they are timed; what is wrong with one is told."""

import pytest

from avatarwire.bench import CANDIDATES, WORKLOADS, checked, made, measured, workload
from avatarwire.bench.candidates import Avatarwire
from avatarwire.bench.candidates.layouts import Struct
from avatarwire.bench.reference import audio

#: Of the published SDKs' and the heavy libraries' sort: compared where they are installed.
OF_THE_STANDARD_LIBRARY = {"struct by hand", "ctypes", "int XOR", "json, binascii", "Python loop"}

HERE, _ = made(CANDIDATES)


class Wrong:
    """Sets a bit that is reserved."""

    name = "wrong"
    calls = 0

    def frame_pack(self, fields):
        message = bytearray(audio(*fields))
        message[6] |= 1

        def call():
            type(self).calls += 1
            return bytes(message)

        return call


class Broken:
    name = "broken"

    def frame_pack(self, _):
        raise RuntimeError("out of order")


class Bound:
    name = "bound"
    is_bound = True

    def frame_pack(self, fields):
        return lambda: fields


class Missing:
    name = "missing"

    def __init__(self):
        raise ModuleNotFoundError("No module named 'missing'")


@pytest.mark.parametrize(
    ("candidate", "work"),
    [
        pytest.param(candidate, work, id=f"{candidate.name}-{work.name}")
        for candidate in HERE
        for work in WORKLOADS
        if hasattr(candidate, work.name) and not getattr(candidate, "is_bound", False)
    ],
)
def test_every_candidate_that_is_here_is_right(candidate, work):
    assert checked(work, candidate) is None


def test_who_is_here():
    names = {candidate.name for candidate in HERE}
    assert {"avatarwire", "websockets", *OF_THE_STANDARD_LIBRARY} <= names
    assert HERE[0].name == "avatarwire"


def test_no_operation_is_misspelt():
    operations = {work.name for work in WORKLOADS}
    helpers = {"mask", "resampled", "library"}
    for candidate in HERE:
        named = {name for name in dir(candidate) if not name.startswith("_")}
        assert named - {"name", "distributions", "is_bound"} <= operations | helpers


def test_what_is_missing_is_told():
    candidates, missing = made([Avatarwire, Missing])
    assert [candidate.name for candidate in candidates] == ["avatarwire"]
    assert missing == {"missing": "No module named 'missing'"}


def test_a_group():
    rounds = []
    work = workload("frame_pack")
    candidates = [Avatarwire(), Wrong(), Bound(), Broken(), Struct()]
    group = measured(work, candidates, seconds=0.02, on_round=lambda: rounds.append(1))
    assert [line.name for line in group.lines] == ["avatarwire", "struct by hand", "bound"]
    assert [line.is_bound for line in group.lines] == [False, False, True]
    assert group.faults == {"wrong": "byte 6 is 0x01, not 0x00"}
    assert Wrong.calls == 1  # checked, and not timed
    assert group.failures == {"broken": "RuntimeError: out of order"}
    assert group.lines[0].ratio == 1
    assert group.copy_s > 0
    for line in group.lines:
        assert len(line.rounds) == len(rounds) >= 5
        assert line.seconds > 0
        assert line.threads == {}


def test_framing_is_measured_in_threads():
    group = measured(workload("pcm_frames"), [Avatarwire()], seconds=0.01)
    assert list(group.lines[0].threads) == [2, 4]
    assert all(speedup > 0 for speedup in group.lines[0].threads.values())


def test_a_group_that_nobody_can_do():
    group = measured(workload("frame_pack"), [Wrong()], seconds=0.01)
    assert group.lines == []
    assert list(group.faults) == ["wrong"]
