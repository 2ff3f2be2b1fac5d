"""One timer for many deadlines."""

import asyncio
import gc
import logging
import weakref

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
    deadlines = [loop.time() + 0.2 * n for n in range(1, 101)]
    stream = Noted(*deadlines[1:])
    running_pacer().schedule(stream, deadlines[0])
    await asyncio.sleep(30)
    assert all(-0.001 <= late <= GRAIN_S + 0.001 for late in late_s(stream, deadlines))
    assert len(running_pacer()) == 0


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


@virtual
async def test_one_that_fails_stops_no_other(caplog):
    class Failing:
        def tick(self, now_s):
            raise ValueError("broken")

    loop = asyncio.get_running_loop()
    good = Noted(loop.time() + 0.2)
    running_pacer().schedule(Failing(), loop.time() + 0.1)
    running_pacer().schedule(good, loop.time() + 0.1)
    with caplog.at_level(logging.ERROR):
        await asyncio.sleep(1)
    assert len(good.ticks) == 2
    assert "the other streams go on" in caplog.text


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
