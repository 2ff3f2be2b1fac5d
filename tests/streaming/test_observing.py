import logging

import pytest

from avatarwire.audio import PcmFormat
from avatarwire.streaming import Callbacks, Playout, TurnObservers

MONO = PcmFormat(1000)


class Noting:
    def __init__(self):
        self.told = []

    def turn(self, *told):
        self.told.append(("turn", *told))

    def sound(self, *told):
        self.told.append(("sound", *told))

    def silence(self, *told):
        self.told.append(("silence", *told))


def observed():
    observers, noting = TurnObservers(), Noting()
    observers.each = (noting,)
    return observers, noting


def test_changes_sound_and_what_was_taken_back_are_told():
    observers, noting = observed()
    observers.change("a", "opened", request_id="r")
    observers.sound("a", memoryview(b"abcd"), MONO, 2.0, 1.0)
    observers.taken_back("a", 3.0)
    assert noting.told == [
        ("turn", "a", "opened", {"request_id": "r"}),
        ("sound", "a", b"abcd", MONO, 2.0, 1.0),
        ("silence", "a", 3.0),
        ("turn", "a", "taken_back", {}),
    ]


@pytest.mark.parametrize(
    ("reason", "is_cut"),
    [("completed", False), ("timed_out", False), ("interrupted", True), ("lost", True)],
)
def test_what_ended_early_is_silent_from_then_on(reason, is_cut):
    observers, noting = observed()
    observers.resolved("a", Playout(reason, 4, 3, 1, 2), 5.0)
    *cut, (_, turn_id, change, facts) = noting.told
    assert cut == ([("silence", "a", 5.0)] if is_cut else [])
    assert (turn_id, change, facts["reason"], facts["sent_ms"]) == ("a", "ended", reason, 3)


def test_callbacks_are_the_programs_own_while_nobody_looks():
    callbacks = Callbacks(on_started=lambda: None)
    assert TurnObservers().beside(callbacks, "a") is callbacks


def test_callbacks_tell_the_program_too():
    observers, noting = observed()
    called = []

    def progress(run):
        called.append(run)

    own = Callbacks(
        on_started=lambda: called.append("started"), on_mark=called.append, on_progress=progress
    )
    beside = observers.beside(own, "a")
    assert beside.on_progress is progress
    beside.on_started()
    beside.on_mark("half")
    silent = observers.beside(Callbacks(), "b")
    silent.on_mark("whole")
    assert called == ["started", "half"]
    assert noting.told == [
        ("turn", "a", "started", {}),
        ("turn", "a", "mark", {"mark": "half"}),
        ("turn", "b", "mark", {"mark": "whole"}),
    ]


def test_what_an_observer_raises_is_logged(caplog):
    observers, noting = observed()

    class Broken(Noting):
        def turn(self, *told):
            raise ValueError

    observers.each = (Broken(), noting)
    with caplog.at_level(logging.ERROR):
        observers.change("a", "opened")
    assert "an observer raised" in caplog.text
    assert len(noting.told) == 1
