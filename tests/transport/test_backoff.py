import asyncio
import math

import pytest

from avatarwire.transport import ExponentialBackoffStrategy


@pytest.fixture
def slept(monkeypatch):
    delays = []

    async def sleep(delay):
        delays.append(delay)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return delays


async def test_doubles_up_to_the_limit(slept):
    strategy = ExponentialBackoffStrategy()
    for _ in range(9):
        await strategy.wait()
    assert slept == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_next_delay_does_not_count(slept):
    strategy = ExponentialBackoffStrategy(0.5, 3.0)
    assert strategy.next_delay == strategy.next_delay == 0.5
    await strategy.wait()
    assert strategy.next_delay == 1.0
    assert slept == [0.5]


async def test_reset(slept):
    strategy = ExponentialBackoffStrategy(2.0, 3.0)
    await strategy.wait()
    assert strategy.next_delay == 3.0
    strategy.reset()
    assert strategy.next_delay == 2.0


async def test_attempts_count_before_the_sleep_ends(monkeypatch):
    strategy = ExponentialBackoffStrategy(10.0)
    task = asyncio.create_task(strategy.wait())
    await asyncio.sleep(0)
    assert strategy.next_delay == 20.0
    task.cancel()
    await asyncio.wait([task])


async def test_thousands_of_attempts(slept):
    strategy = ExponentialBackoffStrategy(1.0, 1e308)
    for _ in range(5000):
        await strategy.wait()
    assert strategy.next_delay == 1e308
    assert math.isfinite(sum(slept[:1000]))


async def test_full_jitter(slept):
    strategy = ExponentialBackoffStrategy(8.0, 8.0, jitter=True)
    for _ in range(200):
        await strategy.wait()
    assert all(0 <= delay <= 8 for delay in slept)
    assert min(slept) < 2
    assert max(slept) > 6
    assert strategy.next_delay == 8.0


def test_base_over_max():
    assert ExponentialBackoffStrategy(5.0, 2.0).next_delay == 2.0


async def test_no_delay(slept):
    strategy = ExponentialBackoffStrategy(0.0)
    await strategy.wait()
    assert strategy.next_delay == 0.0


@pytest.mark.parametrize("bad", [-1.0, math.inf, math.nan])
def test_bad_delays(bad):
    with pytest.raises(ValueError, match="base_delay"):
        ExponentialBackoffStrategy(bad)
    with pytest.raises(ValueError, match="max_delay"):
        ExponentialBackoffStrategy(1.0, bad)
