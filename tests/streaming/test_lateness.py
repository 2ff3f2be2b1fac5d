"""A histogram of delays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatarwire.streaming import Lateness
from avatarwire.streaming.lateness import BOUNDS_MS


def test_nothing():
    assert Lateness().percentile_ms(99) == 0
    assert Lateness().max_ms == 0


@pytest.mark.parametrize(("percent", "ms"), [(50, 1), (98, 1), (99, 1), (99.5, 7), (100, 7)])
def test_percentiles(percent, ms):
    lateness = Lateness()
    for _ in range(99):
        lateness.add(0.0008)
    lateness.add(0.007)
    assert lateness.percentile_ms(percent) == pytest.approx(ms)
    assert lateness.max_ms == pytest.approx(7)


@given(st.lists(st.floats(0, 5), min_size=1), st.floats(1, 100))
def test_the_bound_holds(delays_s, percent):
    lateness = Lateness()
    for delay in delays_s:
        lateness.add(delay)
    bound_s = lateness.percentile_ms(percent) / 1000
    within = sum(delay <= bound_s + 1e-9 for delay in delays_s)
    assert within >= len(delays_s) * percent / 100 - 1e-9
    assert sum(lateness.counts) == len(delays_s)
    assert list(BOUNDS_MS) == sorted(BOUNDS_MS)


@given(st.lists(st.one_of(st.floats(), st.just("clear"))), st.floats())
def test_every_delay_is_counted_once_whatever_the_clock_says(steps, percent):
    lateness, count = Lateness(), 0
    for step in steps:
        if step == "clear":
            lateness.clear()
            count = 0
        else:
            lateness.add(step)
            count += 1
        assert sum(lateness.counts) == count
        assert lateness.percentile_ms(percent) <= lateness.max_ms
