"""One timer for many deadlines."""

import asyncio
import gc
import logging
import math
import weakref

import pytest
from virtual import VirtualLoop, virtual

from avatarwire.streaming import Pacer, running_pacer
from avatarwire.streaming.pacer import EARLY_S, GRAIN_S


class Noted:
    """Notes when it was called, and asks for the next of its deadlines."""

    def __init__(self, *next_deadlines_s):
        self.ticks = []
        self._next = list(next_deadlines_s)

    def tick(self, now_s):
        self.ticks.append(now_s)
        return self._next.pop(0) if self._next else None


def late_s(stream, deadlines_s):
    return [at - deadline for at, deadline in zip(stream.ticks, deadlines_s, strict=True)]


@virtual
async def test_absolute_deadlines():
    loop = asyncio.get_running_loop()
    deadlines = [loop.time() + 0.2013 * n for n in range(1, 101)]
    stream = Noted(*deadlines[1:])
    running_pacer().schedule(stream, deadlines[0])
    await asyncio.sleep(30)
    assert all(-1e-9 <= late <= GRAIN_S + 1e-9 for late in late_s(stream, deadlines))
    assert len(running_pacer()) == 0


@virtual
async def test_it_calls_at_no_deadline_before_its_time():
    """A quotient that is rounded down would have it called again and again until then."""
    loop = asyncio.get_running_loop()
    for grain in range(250_000, 254_000):
        loop.stall(grain * GRAIN_S - loop.time())
        deadline_s = math.nextafter(grain * GRAIN_S, math.inf)
        first, again = Noted(), Noted(deadline_s)
        running_pacer().schedule(first, deadline_s)
        running_pacer().schedule(again, loop.time())
        await asyncio.sleep(2 * GRAIN_S)
        assert all(at >= deadline_s for at in (*first.ticks, again.ticks[1]))


@virtual
async def test_streams_that_are_due_together_share_a_wake_up(monkeypatch):
    loop = asyncio.get_running_loop()
    timers = []
    call_at = loop.call_at
    monkeypatch.setattr(
        loop, "call_at", lambda when, *args, **kw: timers.append(when) or call_at(when, *args, **kw)
    )
    begin = loop.time()
    streams = [Noted() for _ in range(1000)]
    for index, stream in enumerate(streams):
        running_pacer().schedule(stream, begin + 0.101 + index * 1e-6)
    await asyncio.sleep(0.2)
    assert all(len(stream.ticks) == 1 for stream in streams)
    assert len(timers) == 2  # one is the sleep's


@virtual
async def test_an_earlier_deadline_comes_first():
    loop = asyncio.get_running_loop()
    first, second = Noted(), Noted()
    running_pacer().schedule(second, loop.time() + 0.5)
    running_pacer().schedule(first, loop.time() + 0.1)
    await asyncio.sleep(0.2)
    assert first.ticks
    assert not second.ticks
    await asyncio.sleep(0.4)
    assert second.ticks


@virtual
async def test_a_new_deadline_replaces_the_old():
    loop = asyncio.get_running_loop()
    stream = Noted()
    running_pacer().schedule(stream, loop.time() + 0.1)
    running_pacer().schedule(stream, loop.time() + 0.3)
    await asyncio.sleep(0.2)
    assert not stream.ticks
    await asyncio.sleep(0.2)
    assert len(stream.ticks) == 1


@virtual
async def test_removed_is_not_called_and_leaves_no_timer():
    loop = asyncio.get_running_loop()
    stream = Noted()
    pacer = running_pacer()
    pacer.schedule(stream, loop.time() + 0.1)
    pacer.remove(stream)
    pacer.remove(stream)
    assert pacer._timer is None
    await asyncio.sleep(1)
    assert not stream.ticks


class Saying:
    """Gives or raises what it is told to."""

    def __init__(self, answer):
        self._answer = answer

    def tick(self, now_s):
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    "answer", [ValueError("broken"), math.inf, math.nan, "soon", asyncio.CancelledError()]
)
def test_one_that_fails_stops_no_other(caplog, answer):
    @virtual
    async def test():
        loop = asyncio.get_running_loop()
        before, behind, later = (Noted(loop.time() + 0.2) for _ in range(3))
        running_pacer().schedule(before, loop.time() + 0.1)
        running_pacer().schedule(Saying(answer), loop.time() + 0.1)
        running_pacer().schedule(behind, loop.time() + 0.1)
        await asyncio.sleep(1)
        running_pacer().schedule(later, loop.time() + 0.1)
        await asyncio.sleep(1)
        assert [len(stream.ticks) for stream in (before, behind, later)] == [2, 2, 2]
        assert len(running_pacer()) == 0

    with caplog.at_level(logging.ERROR):
        test()
    # What is more than an error goes to the event loop, which tells it too.
    is_error = not isinstance(answer, asyncio.CancelledError)
    assert ("the other streams go on" if is_error else "Exception in callback") in caplog.text


@virtual
async def test_scheduling_from_a_tick():
    loop = asyncio.get_running_loop()
    other = Noted()

    class Scheduling:
        def tick(self, now_s):
            running_pacer().schedule(other, now_s + 0.1)

    running_pacer().schedule(Scheduling(), loop.time() + 0.1)
    await asyncio.sleep(1)
    assert len(other.ticks) == 1


@virtual
async def test_scheduling_itself_from_its_tick():
    class Scheduling(Noted):
        def tick(self, now_s):
            super().tick(now_s)
            if len(self.ticks) < 3:
                running_pacer().schedule(self, now_s)

    stream = Scheduling()
    running_pacer().schedule(stream, asyncio.get_running_loop().time() + 0.1)
    await asyncio.sleep(1)
    assert len(stream.ticks) == 3
    assert len(running_pacer()) == 0


@virtual
async def test_scheduling_from_ticks_arms_the_timer_once(monkeypatch):
    loop = asyncio.get_running_loop()
    begin, others = loop.time(), [Noted() for _ in range(5)]

    class Scheduling:
        def tick(self, now_s):
            for index, other in enumerate(others):
                running_pacer().schedule(other, now_s + 0.5 - index * 0.05)

    running_pacer().schedule(Scheduling(), begin + 0.1)
    timers = []
    call_at = loop.call_at
    monkeypatch.setattr(
        loop, "call_at", lambda when, *args, **kw: timers.append(when) or call_at(when, *args, **kw)
    )
    await asyncio.sleep(0.2)
    assert len(timers) == 2  # one is the sleep's


@virtual
async def test_removing_all_from_a_tick():
    loop = asyncio.get_running_loop()
    pacer, others = running_pacer(), [Noted() for _ in range(3)]

    class Removing:
        def tick(self, now_s):
            for other in others:
                pacer.remove(other)

    pacer.schedule(Removing(), loop.time() + 0.1)
    for other in others:
        pacer.schedule(other, loop.time() + 0.1)
    await asyncio.sleep(1)
    assert not any(other.ticks for other in others)
    assert len(pacer) == 0


@virtual
async def test_those_that_are_gone_are_not_kept():
    """A stream holds its sound; one that ends early may not wait for its deadline to be let go."""
    loop = asyncio.get_running_loop()
    pacer, stream = running_pacer(), Noted()
    pacer.schedule(stream, loop.time() + 3600)
    gone = weakref.ref(stream)
    pacer.remove(stream)
    del stream
    gc.collect()
    assert gone() is None


@virtual
async def test_after_a_stall_each_is_called_once():
    loop = asyncio.get_running_loop()
    begin = loop.time()
    stream = Noted(begin + 2)
    running_pacer().schedule(stream, begin + 0.1)
    loop.stall(1)
    await asyncio.sleep(0.01)
    assert len(stream.ticks) == 1


@virtual
async def test_a_loop_that_wakes_early_asks_nobody_twice():
    """A stream that is asked before its deadline would ask for the same one again."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    deadlines = [begin + 0.1 + n * GRAIN_S / 4 for n in range(1, 5)]
    streams = [Noted() for _ in deadlines]
    for stream, deadline in zip(streams, deadlines, strict=True):
        running_pacer().schedule(stream, deadline)
    loop.stall(0.1 + GRAIN_S - EARLY_S / 2)
    running_pacer()._wake()
    for stream, deadline in zip(streams, deadlines, strict=True):
        assert stream.ticks[0] >= deadline - 1e-9
        assert len(stream.ticks) == 1


@virtual
async def test_what_is_due_again_at_once_leaves_the_loop_to_others():
    loop = asyncio.get_running_loop()
    order = []

    class Busy:
        def tick(self, now_s):
            loop.call_soon(order.append, "other")
            order.append("busy")
            return now_s if len(order) < 4 else None

    running_pacer().schedule(Busy(), loop.time() + 0.1)
    await asyncio.sleep(0.2)
    assert order == ["busy", "other"] * 3


def test_each_loop_has_one_and_lets_go_of_it():
    async def pacer():
        assert running_pacer() is running_pacer()
        return running_pacer()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        first = runner.run(pacer())
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(pacer()) is not first
        gone = weakref.ref(first)
        del first
    gc.collect()
    assert gone() is None


def test_a_pacer_takes_its_loop():
    loop = VirtualLoop()
    try:
        assert len(Pacer(loop)) == 0
    finally:
        loop.close()
