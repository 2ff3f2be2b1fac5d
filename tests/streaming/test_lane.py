"""A lane that is bounded."""

import asyncio

import pytest

from avatarwire.streaming import Lane


async def test_order():
    lane = Lane(3)
    assert [lane.put(n) for n in range(3)] == [True] * 3
    assert [await lane.get() for _ in range(3)] == [0, 1, 2]
    assert lane.dropped == 0


async def test_the_oldest_goes_and_is_counted():
    lane = Lane(3)
    assert [lane.put(n) for n in range(5)] == [True] * 3 + [False] * 2
    assert lane.dropped == 2
    assert len(lane) == 3
    assert [lane.take() for _ in range(3)] == [2, 3, 4]


async def test_get_waits():
    lane = Lane(1)
    waiting = asyncio.create_task(lane.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    lane.put("x")
    assert await waiting == "x"


async def test_closed_gives_what_is_left_and_ends():
    lane = Lane(2)
    lane.put(1)
    lane.close()
    assert await lane.get() == 1
    with pytest.raises(StopAsyncIteration):
        await lane.get()


async def test_close_wakes_whoever_waits():
    lane = Lane(2)
    waiting = asyncio.gather(lane.get(), lane.get(), return_exceptions=True)
    await asyncio.sleep(0)
    lane.close()
    assert [type(end) for end in await waiting] == [StopAsyncIteration] * 2


async def test_clear():
    lane = Lane(2)
    lane.put(1)
    lane.clear()
    assert len(lane) == 0
    assert lane.dropped == 1


def test_several_at_once_are_as_one_after_the_other():
    lane, other = Lane(5), Lane(5)
    for items in ([1, 2, 3], [], [4, 5, 6], [7]):
        lane.extend(items)
        for item in items:
            other.put(item)
        assert len(lane) == len(other)
        assert lane.dropped == other.dropped
    assert list(lane.drain()) == [(3,), (4,), (5,), (6,), (7,)]
    assert len(lane) == 0


def test_what_comes_while_it_is_drained_is_taken_too():
    lane = Lane(5)
    lane.put(1)
    taken = []
    for (item,) in lane.drain():
        taken.append(item)
        if item < 3:
            lane.put(item + 1)
    assert taken == [1, 2, 3]
