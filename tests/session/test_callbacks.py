import asyncio
import logging

import pytest

from avatarwire.session.callbacks import CallbackTasks, running_callback

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


async def test_a_users_own_method_of_another_signature_is_told_once_and_never_fatal(caplog):
    def on_interrupt():
        """Of the program's own, with a meaning of its own."""

    async def on_asr_final(text):
        len(3)  # a TypeError of its own

    caplog.set_level(logging.DEBUG, logger.name)
    tasks = CallbackTasks(logger)
    for _ in range(3):
        await tasks.run("on_interrupt", on_interrupt, "request", None)
    await tasks.run("on_asr_final", on_asr_final, "hi")
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage().split(":")[0] for record in told] == [
        "on_interrupt takes other arguments than it is called with",
        "on_asr_final raised",
    ]
    assert told[0].exc_info is None
    assert [record.levelno for record in caplog.records].count(logging.DEBUG) == 2


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
