"""Coroutines that begin at once, judged by what they see in a task that asyncio has made."""

import asyncio
import gc
import threading
import weakref
from contextvars import ContextVar, copy_context

import anyio
import pytest

from avatarwire.session.carrier import SPARE_S
from avatarwire.session.eager import begin, dismiss_spare

number: ContextVar[int] = ContextVar("number", default=0)


def start(work):
    return begin(work, copy_context())


async def test_one_that_does_not_wait_has_ended_and_made_no_task():
    seen = []

    async def work():
        seen.append(1)

    start(work())  # which makes the spare
    tasks = asyncio.all_tasks()
    assert start(work()) is None
    assert seen == [1, 1]
    assert asyncio.all_tasks() == tasks


async def test_one_that_waits_goes_on_as_the_task_that_it_began_as():
    seen = []
    gate = asyncio.get_running_loop().create_future()

    async def work():
        seen.append(asyncio.current_task())
        seen.append(await gate)
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    caller = asyncio.current_task()
    task = start(work())
    assert asyncio.current_task() is caller
    assert seen == [task]
    assert task in asyncio.all_tasks()
    gate.set_result("opened")
    await task
    assert seen == [task, "opened", task]


def test_outside_of_any_task_there_is_one_inside():
    seen, loop = [], asyncio.new_event_loop()

    async def work():
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    def receive():
        assert asyncio.current_task() is None
        task = start(work())
        assert asyncio.current_task() is None
        task.add_done_callback(lambda _: loop.stop())
        seen.append(task)

    loop.call_soon(receive)
    loop.run_forever()
    loop.close()
    assert seen[0] is seen[1] is seen[2]
    assert isinstance(seen[0], asyncio.Task)


async def test_a_limit_set_before_the_first_wait_cuts_that_wait():
    seen = []

    async def work():
        try:
            async with asyncio.timeout(0):
                await asyncio.sleep(60)
        except TimeoutError:
            seen.append("cut")
        async with asyncio.timeout(60):
            await asyncio.sleep(0)
        seen.append(asyncio.current_task().cancelling())

    await start(work())
    assert seen == ["cut", 0]


async def test_a_limit_that_is_kept_without_waiting_leaves_nothing():
    async def work():
        async with asyncio.timeout(60) as limit:  # noqa: ASYNC100 - which must not matter
            seen.append(limit.expired())

    seen = []
    assert start(work()) is None
    assert seen == [False]


@pytest.mark.parametrize("delay_s", [0, 0.001])
async def test_frameworks_see_an_ordinary_task(delay_s):
    seen = []

    async def work():
        seen.append(anyio.get_current_task().id == id(asyncio.current_task()))
        with anyio.move_on_after(delay_s) as scope:
            await anyio.sleep(60)
        seen.append(scope.cancelled_caught)
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 60)
            group.cancel_scope.cancel()
        async with asyncio.TaskGroup() as group:
            seen.append(await group.create_task(asyncio.sleep(0, "of a group")))

    await start(work())
    assert seen == [True, True, "of a group"]


async def cancelled_at_once(task):
    task.cancel("why")


async def cancelled_a_turn_later(task):
    await asyncio.sleep(0)
    task.cancel("why")


async def cancelled_when_it_waits(task):
    await asyncio.sleep(0.001)
    task.cancel("why")


@pytest.mark.parametrize(
    "cancel", [cancelled_at_once, cancelled_a_turn_later, cancelled_when_it_waits]
)
@pytest.mark.parametrize("is_new", [True, False])
async def test_a_cancellation_reaches_it_where_it_waits(cancel, is_new):
    seen = []
    gate = asyncio.get_running_loop().create_future()

    async def work():
        try:
            await gate
        except asyncio.CancelledError as exc:
            seen.append(exc.args)
            await asyncio.sleep(0)
            seen.append("cleaned up")
            raise

    if not is_new:  # the spare has had its first step
        start(asyncio.sleep(0)).cancel()
        assert start(anext_of_nothing()) is None
        await asyncio.sleep(0)
    task = start(work())
    await cancel(task)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.cancelled()
    assert seen == [("why",), "cleaned up"]


async def anext_of_nothing():
    """End without having waited."""


async def by_a_task(work):
    await asyncio.gather(asyncio.create_task(work), return_exceptions=True)


async def by_us(work):
    await asyncio.gather(*filter(None, [start(work)]), return_exceptions=True)


@pytest.mark.parametrize("run", [by_a_task, by_us])
async def test_what_it_does_to_itself_before_it_waits(run):
    seen = []

    async def cancels_and_waits():
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")

    async def cancels_and_yields():
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            seen.append("cancelled in a yield")

    async def cancels_and_waits_for_what_is_there():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(future.set_result, "there")
        asyncio.current_task().cancel()
        try:
            seen.append(await asyncio.shield(future))
        except asyncio.CancelledError:
            seen.append("cancelled though shielded")

    async def cancels_and_ends():
        asyncio.current_task().cancel()
        seen.append("ended")

    async def gives_up():
        seen.append("gives up")
        raise asyncio.CancelledError

    for work in (
        cancels_and_waits,
        cancels_and_yields,
        cancels_and_waits_for_what_is_there,
        cancels_and_ends,
        gives_up,
    ):
        await run(work())
    assert seen == [
        "cancelled",
        "cancelled in a yield",
        "cancelled though shielded",
        "ended",
        "gives up",
    ]


async def test_one_that_took_its_cancellation_back_waits_as_it_likes():
    async def work():
        asyncio.current_task().cancel()
        asyncio.current_task().uncancel()
        await asyncio.sleep(0.001)
        seen.append("waited")

    seen = []
    await start(work())
    assert seen == ["waited"]


async def test_a_cancelled_spare_is_not_used():
    async def work():
        await asyncio.sleep(0)
        seen.append("done")

    async def cancels_and_ends():
        asyncio.current_task().cancel()

    seen = []
    for _ in range(2):
        assert start(cancels_and_ends()) is None
        await start(work())
        await asyncio.sleep(0)
    assert start(cancels_and_ends()) is None
    await asyncio.sleep(0)
    await start(work())
    assert seen == ["done"] * 3


async def test_each_has_a_context_of_its_own_from_its_first_line_to_its_last():
    seen = []

    async def work(own):
        seen.append(number.get())
        number.set(own)
        await asyncio.sleep(0)
        seen.append(number.get())
        number.set(own + 1)
        await asyncio.create_task(asyncio.sleep(0))
        seen.append(number.get())

    async def at_once(own):
        seen.append(number.get())
        number.set(own)

    number.set(1)
    assert start(at_once(10)) is None
    tasks = [start(work(20)), start(work(30))]
    assert seen == [1, 1, 1]
    assert number.get() == 1
    await asyncio.gather(*tasks)
    assert seen[3:] == [20, 30, 21, 31]
    assert number.get() == 1


async def test_what_it_raises_is_raised_where_it_is_raised():
    async def fails(turns):
        for _ in range(turns):
            await asyncio.sleep(0)
        raise LookupError(turns)

    with pytest.raises(LookupError):
        start(fails(0))
    for turns in (1, 2):
        with pytest.raises(LookupError):
            await start(fails(turns))


async def test_errors_of_what_it_waits_for_reach_it():
    loop, seen = asyncio.get_running_loop(), []
    futures = [loop.create_future() for _ in range(2)]

    async def work():
        for future in futures:
            try:
                await future
            except LookupError as exc:
                seen.append(exc.args)

    task = start(work())
    futures[0].set_exception(LookupError(0))
    loop.call_soon(futures[1].set_exception, LookupError(1))
    await task
    assert seen == [(0,), (1,)]


async def test_many_may_wait_for_the_same_future():
    gate = asyncio.get_running_loop().create_future()

    async def work():
        seen.append(await gate)

    seen = []
    tasks = [start(work()), asyncio.create_task(work()), start(work())]
    await asyncio.sleep(0)
    tasks.append(start(work()))
    asyncio.get_running_loop().call_later(0.001, gate.set_result, "opened")
    await asyncio.gather(*tasks)
    assert seen == ["opened"] * 4


@pytest.mark.parametrize("run", [by_a_task, by_us])
async def test_what_no_task_can_wait_for_is_an_error_inside_it(run):
    class Odd:
        def __await__(self):
            yield "no future"

    async def work():
        try:
            await Odd()
        except RuntimeError as exc:
            seen.append(str(exc))

    seen = []
    await run(work())
    assert seen == ["Task got bad yield: 'no future'"]


async def test_one_may_begin_within_another():
    seen = []

    async def inner(wait_s):
        seen.append(asyncio.current_task())
        await asyncio.sleep(wait_s)
        seen.append(asyncio.current_task())

    async def outer():
        me = asyncio.current_task()
        task = start(inner(0))
        assert asyncio.current_task() is me
        assert start(anext_of_nothing()) is None
        await task
        assert asyncio.current_task() is me
        seen.append(me)

    await start(outer())
    first, again, me = seen
    assert first is again
    assert me is not first


async def test_a_spare_stands_by_for_a_moment_only():
    assert start(anext_of_nothing()) is None
    (spare,) = asyncio.all_tasks() - {asyncio.current_task()}
    async with asyncio.timeout(SPARE_S * 100):
        await spare
    assert start(anext_of_nothing()) is None
    dismiss_spare()
    dismiss_spare()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_each_loop_and_each_thread_has_a_spare_of_its_own():
    seen = []

    async def work():
        seen.append(asyncio.current_task().get_loop() is asyncio.get_running_loop())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task().get_loop() is asyncio.get_running_loop())

    async def main():
        assert start(anext_of_nothing()) is None
        await start(work())
        assert start(anext_of_nothing()) is None

    asyncio.run(main())
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    thread.join()
    loop.run_until_complete(main())
    loop.run_until_complete(asyncio.sleep(SPARE_S * 2))
    loop.close()
    assert seen == [True] * 8


async def test_nothing_is_left_for_the_collector():
    class Thing:
        pass

    async def work(thing, turns):
        for _ in range(turns):
            await asyncio.sleep(0)
        if turns == 2:
            raise LookupError(thing)

    gc.disable()
    try:
        for turns in range(4):
            thing = Thing()
            ref = weakref.ref(thing)
            task = start(work(thing, turns))
            if task is not None:
                await asyncio.wait([task])
                task.exception()
            del thing, task
            assert ref() is None, turns
    finally:
        gc.enable()
