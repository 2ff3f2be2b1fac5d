"""Turns are taken, counted and set beside each other."""

import gc

import pytest

from avatarwire.bench import timing


def test_instances_and_candidates_take_turns(monkeypatch):
    monkeypatch.setattr(timing, "_count", lambda call: 1)
    seen = []
    calls = {
        "a": [lambda: seen.append("a0"), lambda: seen.append("a1")],
        "b": [lambda: seen.append("b0")],
    }
    rounds = timing.take_turns(calls, seconds=0)
    assert seen == ["a0", "b0", "a1", "b0", "a0", "b0", "a1", "b0", "a0", "b0"]
    assert {name: len(times) for name, times in rounds.items()} == {"a": 5, "b": 5}


def test_the_collector_is_off_meanwhile_and_back_afterwards():
    states = []
    timing.take_turns({"a": [lambda: states.append(gc.isenabled())]}, seconds=0)
    assert states[-1] is False
    assert gc.isenabled()


def test_the_collector_is_back_after_a_failure():
    def fail():
        if not gc.isenabled():
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        timing.take_turns({"a": [fail]}, seconds=0)
    assert gc.isenabled()


def test_a_ratio_is_of_rounds_that_stood_together():
    ours, others = [1.0, 10.0, 1.0, 5.0], [2.0, 20.0, 2.0, 10.0]
    assert timing.ratio(others, ours) == (2.0, 0.0)


def test_a_ratio_says_how_uncertain_it_is():
    middle, uncertainty = timing.ratio([1.0, 2.0, 3.0, 4.0, 5.0], [1.0] * 5)
    assert middle == 3.0
    assert uncertainty == pytest.approx(1.57 * 2 / 5**0.5 / 3)


def test_spread():
    assert timing.spread([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 3)


def test_the_best_of_rounds():
    times = timing.best_times({"a": lambda: None, "b": lambda: sum(range(1000))}, rounds=3)
    assert 0 < times["a"] < times["b"]


def test_each_thread_has_a_call_of_its_own():
    made = []

    def make():
        made.append(1)
        return lambda: None

    speedups = timing.speedups(make, (2,), rounds=3)
    assert list(speedups) == [2]
    assert len(made) == 1 + 3 * (1 + 2)


def test_what_a_thread_raises_comes_through():
    calls = iter([lambda: None])

    with pytest.raises(StopIteration):
        timing.speedups(lambda: next(calls), (2,), rounds=1)
