"""A session's life, against a platform in memory: stopped and cancelled at every await."""

import asyncio
import contextlib
import gc
import inspect

import pytest
from toy import Toy, ToyDialect

from avatarwire.errors import AvatarwireError, ConnectFailedError, SessionLostError
from avatarwire.session import Engine, Lifecycle, State, stopping
from avatarwire.session.dialling import Dialling
from avatarwire.session.ending import Ending
from avatarwire.session.stopping import Stopping
from avatarwire.session.tasks import _kept

LIMIT_S = 30
#: More than a whole life takes.
MOST_TURNS = 40


class SlowToy(Toy):
    """Each step of a connection takes a few turns of the event loop."""

    async def connect(self, url, **options):
        await turns(3)
        return await super().connect(url, **options)


class SlowDialect(ToyDialect):
    async def endpoints(self, *, again):
        await turns(3)
        return await super().endpoints(again=again)

    async def goodbye(self, say):
        await turns(2)
        await super().goodbye(say)

    async def release(self):
        await turns(2)
        await super().release()


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


def slow_toy():
    return SlowToy(SlowDialect())


async def left():
    """Return what still runs of sessions, once what ends by itself has ended."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(LIMIT_S):
        while kept := {task for task in _kept if task.get_loop() is loop}:
            await asyncio.wait(kept)
        await turns(5)
    return {task for task in asyncio.all_tasks() if "avatarwire" in task.get_name()}


async def assert_over(toy):
    """A session that is stopped leaves nothing, was told of once, and another one may begin."""
    await asyncio.wait_for(toy.engine.stop(), LIMIT_S)
    await asyncio.wait_for(toy.engine.wait_closed(), LIMIT_S)
    assert toy.engine.lifecycle.state is State.NEW
    assert await left() == set()
    ends = [event for event in toy.told.events if isinstance(event, int)]
    assert len(ends) <= 1
    if "hello" in toy.told.events:
        assert ends == [1000]
    assert [platform.close_code is None for platform in toy.platforms] == [False] * len(
        toy.platforms
    )
    with pytest.raises(AvatarwireError):
        toy.outbox.write_text(b"too late")
    await asyncio.wait_for(toy.start(), LIMIT_S)
    assert toy.engine.is_connected
    await asyncio.wait_for(toy.engine.stop(), LIMIT_S)
    assert toy.told.events[-1] == 1000


@pytest.mark.parametrize("after", range(MOST_TURNS))
async def test_a_start_that_is_cancelled_at_any_await(after):
    toy = slow_toy()
    starting = asyncio.create_task(toy.start())
    await turns(after)
    was_over = starting.done()
    starting.cancel()
    if was_over:
        await starting
    else:
        with pytest.raises(asyncio.CancelledError):
            await starting
    await assert_over(toy)


@pytest.mark.parametrize("after", range(MOST_TURNS))
async def test_a_stop_at_any_moment_of_a_start(after):
    toy = slow_toy()
    starting = asyncio.create_task(toy.start())
    await turns(after)
    was_over, is_new = starting.done(), toy.engine.lifecycle.state is State.NEW
    async with asyncio.timeout(LIMIT_S):
        await toy.engine.stop()
    if was_over or is_new:
        await asyncio.wait_for(starting, LIMIT_S)
    else:
        with pytest.raises(SessionLostError, match="during start"):
            await starting
        assert toy.engine.is_given_up
    await assert_over(toy)


@pytest.mark.parametrize("after", range(MOST_TURNS))
async def test_a_stop_at_any_moment_of_a_gap(after):
    toy = slow_toy()
    await toy.start()
    toy.platforms[0].cut()
    await turns(after)
    await assert_over(toy)


@pytest.mark.parametrize("after", range(MOST_TURNS))
async def test_a_stop_that_is_cancelled_at_any_await_goes_on(after):
    toy = slow_toy()
    await toy.start()
    stopping = asyncio.create_task(toy.engine.stop())
    await turns(after)
    stopping.cancel()
    await asyncio.wait([stopping])
    await assert_over(toy)


@pytest.mark.parametrize("after", range(MOST_TURNS))
async def test_a_cut_at_any_moment_of_a_stop(after):
    toy = slow_toy()
    await toy.start()
    stopping = asyncio.create_task(toy.engine.stop())
    await turns(after)
    toy.platforms[0].cut()
    await asyncio.wait_for(stopping, LIMIT_S)
    await assert_over(toy)


@pytest.mark.parametrize("after", range(MOST_TURNS))
async def test_a_cut_at_any_moment_of_a_start(after):
    toy = slow_toy()
    starting = asyncio.create_task(toy.start())
    await turns(after)
    for platform in toy.platforms:
        platform.cut()
    await asyncio.wait([starting], timeout=LIMIT_S)
    if starting.exception() is not None:
        assert isinstance(starting.exception(), SessionLostError)
    await assert_over(toy)


async def test_a_connection_that_is_lost_as_soon_as_it_is_confirmed():
    class CutToy(Toy):
        async def connect(self, url, **options):
            client = await super().connect(url, **options)
            if len(self.platforms) == 1:
                self.platforms[0].cut()
            return client

    toy = CutToy()
    await asyncio.wait([asyncio.create_task(toy.start())], timeout=LIMIT_S)
    await assert_over(toy)


@pytest.mark.parametrize("state", [State.OPENING, State.OPEN, State.GAP, State.CLOSING])
def test_a_loop_that_is_gone_with_its_tasks(state, recwarn):
    """A loop that is closed with tasks in it, which asyncio.run() would have cancelled."""
    toy = slow_toy()

    async def begin():
        starting = asyncio.create_task(toy.start())
        if state is State.OPENING:
            await turns(3)
            return
        await starting
        if state is State.GAP:
            toy.platforms[0].cut()
            while toy.engine.lifecycle.state is not State.GAP:  # noqa: ASYNC110
                await asyncio.sleep(0)
        if state is State.CLOSING:
            asyncio.create_task(toy.engine.stop())  # noqa: RUF006 - it is lost with its loop
            await turns(2)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    assert toy.engine.lifecycle.state is state
    loop.close()
    assert toy.engine.is_loop_gone

    async def again():
        await asyncio.wait_for(toy.engine.stop(), LIMIT_S)
        assert toy.engine.lifecycle.state is State.NEW
        await asyncio.wait_for(toy.start(), LIMIT_S)
        assert toy.engine.is_connected
        await toy.engine.stop()

    asyncio.run(again())
    gc.collect()


def test_a_program_that_ends_without_a_stop_is_told_the_end_and_dials_no_more(caplog, recwarn):
    toy = Toy()

    async def program():
        await toy.start()
        await toy.engine.stop()
        await toy.start()

    asyncio.run(program())
    gc.collect()
    assert toy.told.events[-1] == 1006
    assert "attempt 1" not in toy.told.events
    assert len(toy.platforms) == 2
    assert toy.platforms[1].close_code == 1000
    assert "the event loop ended" in toy.engine.lifecycle.end.reason
    assert not caplog.records
    assert not recwarn.list


async def test_what_the_platform_made_of_the_release_is_told():
    class Toldback(ToyDialect):
        answer = None

        async def release(self):
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    toy = Toy(Toldback())
    for answer, told in [
        (None, None),
        ("it said no", "it said no"),
        (ConnectFailedError("no way"), "telling the platform failed: no way"),
    ]:
        toy.dialect.answer = answer
        await toy.start()
        await toy.engine.stop()
        assert toy.engine.left_running == told


async def test_a_release_that_takes_its_time_is_told_as_such(monkeypatch):
    monkeypatch.setattr("avatarwire.session.stopping.STOP_LIMIT_S", 0.01)
    monkeypatch.setattr("avatarwire.session.stopping.MIN_RELEASE_S", 0.01)
    answered = asyncio.Event()

    class Slow(ToyDialect):
        async def release(self):
            await answered.wait()

    toy = Toy(Slow())
    await toy.start()
    await toy.engine.stop()
    assert toy.engine.left_running == "the platform has not answered yet"
    answered.set()
    assert await left() == set()


async def test_an_idle_session_keeps_nothing_of_its_start():
    toy = Toy()
    await toy.start()
    await turns(3)
    assert toy.engine._dialling is None
    assert not hasattr(toy.engine, "__dict__") or not vars(toy.engine)
    await toy.engine.stop()


@pytest.mark.parametrize("each", [Engine, Dialling, Ending, Stopping, Lifecycle])
def test_a_class_that_supervises_has_two_hundred_and_fifty_lines_at_most(each):
    assert len(inspect.getsource(each).splitlines()) <= 250


async def test_a_connect_that_ignores_its_cancellation_does_not_hold_up_the_stop(monkeypatch):
    monkeypatch.setattr(stopping, "STOP_LIMIT_S", 0.05)
    let_go = asyncio.Event()

    class Stubborn(Toy):
        async def connect(self, url, **options):
            while not let_go.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await let_go.wait()
            return await super().connect(url, **options)

    toy = Stubborn()
    starting = asyncio.create_task(toy.start())
    await turns(5)
    await asyncio.wait_for(toy.engine.stop(), 5)
    assert toy.engine.lifecycle.state is State.NEW
    assert toy.told.events == [1000]
    let_go.set()
    with pytest.raises((SessionLostError, asyncio.CancelledError)):
        await asyncio.wait_for(starting, 5)
    await left()
    assert toy.told.events == [1000]  # nothing that came of it was heard
    assert toy.platforms[0].close_code is not None
