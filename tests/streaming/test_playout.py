"""The clock of what the listener has heard."""

import pytest

from avatarwire.streaming import Playout, PlayoutClock


def test_nothing_sent():
    clock = PlayoutClock(1000)
    assert clock.ends_at_s(5.0) == 5.0
    assert clock.ahead_s(5.0) == 0
    assert clock.position_s(5.0) == 0


def test_sound_plays_from_when_it_is_sent():
    clock = PlayoutClock(1000)
    clock.send(400, 10.0)
    assert clock.ends_at_s(10.1) == pytest.approx(10.4)
    assert clock.ahead_s(10.1) == pytest.approx(0.3)
    assert clock.position_s(10.1) == pytest.approx(0.1)
    assert clock.position_s(99.0) == pytest.approx(0.4)
    assert clock.ahead_s(99.0) == 0


def test_sound_follows_sound():
    clock = PlayoutClock(1000)
    clock.send(400, 10.0)
    clock.send(200, 10.2)
    assert clock.ends_at_s(10.2) == pytest.approx(10.6)
    assert (clock.underruns, clock.underrun_s) == (0, 0)


def test_underrun_moves_the_end():
    clock = PlayoutClock(1000)
    clock.send(400, 10.0)
    clock.send(400, 10.5)
    assert clock.ends_at_s(10.5) == pytest.approx(10.9)
    assert clock.underruns == 1
    assert clock.underrun_s == pytest.approx(0.1)
    assert clock.position_s(10.6) == pytest.approx(0.5)


def test_an_hour_of_frames_does_not_drift():
    clock = PlayoutClock(24000)
    for index in range(90_000):
        clock.send(960, 1000 + index * 0.04 - 0.4)
    assert clock.ends_at_s(0) == pytest.approx(1000 - 0.4 + 3600, abs=1e-6)


def test_playout_is_frozen():
    with pytest.raises(AttributeError):
        Playout("completed", 1, 1, 0, 1).reason = "lost"
