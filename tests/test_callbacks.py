import asyncio
import logging

import pytest

from avatarwire._callbacks import CallbackTasks, running_callback

logger = logging.getLogger("avatarwire.tests")


async def test_sync_and_async_callbacks_start_in_the_order_of_the_calls():
    tasks, seen = CallbackTasks(logger), []

    async def later(word):
        seen.append(word)
        await asyncio.sleep(0)
        seen.append(word.upper())

    started = [tasks.run("a", later, "a"), tasks.run("b", seen.append, "b")]
    assert seen == []
    await asyncio.wait(started)
    assert seen == ["a", "b", "A"]


async def test_one_that_raises_is_logged_and_stops_nothing(caplog):
    tasks, seen = CallbackTasks(logger), []

    def fail():
        raise LookupError("in the program")

    await asyncio.wait([tasks.run("on_error", fail), tasks.run("on_error", seen.append, 1)])
    assert seen == [1]
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("avatarwire.tests", "on_error raised")
    assert "in the program" in caplog.text


async def test_what_runs_is_cancelled_unless_it_is_kept():
    tasks = CallbackTasks(logger)
    kept, doomed = (tasks.run(name, asyncio.sleep, 60) for name in ("kept", "doomed"))
    done = tasks.run("done", str)
    await done
    assert tasks.cancel(keep={kept}) == [doomed]
    with pytest.raises(asyncio.CancelledError):
        await doomed
    assert not kept.done()
    kept.cancel()


async def test_running_callback_is_known_inside_it_and_in_what_it_starts():
    tasks, seen = CallbackTasks(logger), []

    async def inner():
        seen.append(running_callback())

    async def outer():
        seen.append(running_callback())
        await asyncio.create_task(inner())

    task = tasks.run("outer", outer)
    await task
    assert seen == [task, task]
    assert running_callback() is None
