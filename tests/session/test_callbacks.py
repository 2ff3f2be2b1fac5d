import asyncio
import contextvars
import gc
import logging
import weakref

import pytest

from avatarwire.session.callbacks import MOST_WAITING, CallbackTasks, running_callback

word: contextvars.ContextVar[int] = contextvars.ContextVar("word")
logger = logging.getLogger("avatarwire.tests")


async def ended(*running):
    await asyncio.wait([each.ended() for each in running])


async def test_sync_and_async_callbacks_start_in_the_order_of_the_calls():
    tasks, seen = CallbackTasks(logger), []

    async def later(word):
        seen.append(word)
        await asyncio.sleep(0)
        seen.append(word.upper())

    started = [tasks.run("a", later, "a"), tasks.run("b", seen.append, "b")]
    assert seen == []
    await ended(*started)
    assert seen == ["a", "b", "A"]


async def test_one_that_raises_is_logged_and_stops_nothing(caplog):
    tasks, seen = CallbackTasks(logger), []

    def fail():
        raise LookupError("in the program")

    await ended(tasks.run("on_error", fail), tasks.run("on_error", seen.append, 1))
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
        await tasks.run("on_interrupt", on_interrupt, "request", None).ended()
    await tasks.run("on_asr_final", on_asr_final, "hi").ended()
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
    await done.ended()
    task = doomed.task
    assert tasks.cancel(keep={kept}) == [task]
    with pytest.raises(asyncio.CancelledError):
        await task
    assert doomed.is_over
    assert not kept.is_over
    kept.task.cancel()


async def test_running_callback_is_known_inside_it_and_in_what_it_starts():
    tasks, seen = CallbackTasks(logger), []

    async def inner():
        seen.append(running_callback())

    async def outer():
        seen.append(running_callback())
        await asyncio.create_task(inner())

    running = tasks.run("outer", outer)
    await running.ended()
    assert seen == [running, running]
    assert running_callback() is None


def queue(tasks, callback, *args):
    return tasks.queue("a", callback, [args])


async def test_what_is_queued_runs_to_its_first_wait_within_start():
    tasks, seen = CallbackTasks(logger), []

    async def later(word):
        seen.append(word)
        await asyncio.sleep(0)
        seen.append(word.upper())

    async def at_once(word):
        seen.append(word)

    running = [queue(tasks, *call) for call in [(later, "a"), (at_once, "b"), (seen.append, "c")]]
    assert seen == []
    tasks.start()
    assert seen == ["a", "b", "c"]
    assert [each.is_over for each in running] == [False, True, True]
    assert running[0].task.get_name() == "avatarwire a"
    await ended(*running)
    assert seen == ["a", "b", "c", "A"]
    assert running[0].task is None


async def test_those_who_are_run_and_those_who_are_queued_keep_their_order():
    tasks, seen = CallbackTasks(logger), []
    tasks.run("a", seen.append, 1)
    queue(tasks, seen.append, 2)
    tasks.run("a", seen.append, 3)
    tasks.start()
    assert seen == [1, 2, 3]
    tasks.run("a", seen.append, 4)
    await asyncio.sleep(0)
    assert seen == [1, 2, 3, 4]


async def test_none_begins_within_another_and_the_loop_has_its_turn_between():
    tasks, seen = CallbackTasks(logger), []

    def again(count):
        seen.append(f"begin {count}")
        tasks.run("a", again, count + 1)
        queue(tasks, seen.append, "queued")
        tasks.start()
        seen.append(f"end {count}")

    queue(tasks, again, 0)
    tasks.start()
    assert seen == ["begin 0", "end 0"]
    await asyncio.sleep(0)
    assert seen[2:] == ["begin 1", "end 1", "queued"]
    tasks.cancel(keep=set())


async def test_one_that_is_queued_while_another_starts_needs_no_further_start():
    tasks, seen = CallbackTasks(logger), []
    queue(tasks, lambda: queue(tasks, seen.append, "queued"))
    tasks.start()
    await asyncio.sleep(0)
    assert seen == ["queued"]


async def test_what_has_not_begun_is_cancelled_too():
    tasks, seen = CallbackTasks(logger), []
    queue(tasks, lambda: tasks.cancel(keep=set()))
    running = queue(tasks, seen.append, "never")
    tasks.start()
    await running.ended()
    tasks.start()
    assert seen == []


async def test_the_second_call_of_one_is_made_when_the_first_has_ended():
    tasks, seen = CallbackTasks(logger), []

    async def later(number):
        seen.append(number)
        await asyncio.sleep(0)
        seen.append(-number)
        raise LookupError(number)

    running = tasks.queue("a", later, iter([(1,), (2,)]))
    tasks.start()
    await running.ended()
    assert seen == [1, -1, 2, -2]


async def test_one_that_is_cancelled_by_itself_keeps_nobody_from_going_on():
    tasks, seen = CallbackTasks(logger), []

    async def gives_up():
        raise asyncio.CancelledError

    first = queue(tasks, gives_up)
    queue(tasks, seen.append, "next")
    tasks.start()
    assert first.is_over
    assert seen == ["next"]


async def test_what_ends_the_program_ends_it_and_the_rest_begins_if_it_goes_on():
    tasks, seen = CallbackTasks(logger), []

    def interrupt():
        raise KeyboardInterrupt

    queue(tasks, interrupt)
    queue(tasks, seen.append, "rest")
    with pytest.raises(KeyboardInterrupt):
        tasks.start()
    await asyncio.sleep(0)
    assert seen == ["rest"]


async def test_too_many_calls_of_one_that_waits_are_dropped_counted_and_told_once(caplog):
    tasks, seen, gate = CallbackTasks(logger), [], asyncio.Event()

    async def slow(number):
        await gate.wait()
        seen.append(number)

    running = []
    for number in range(MOST_WAITING + 7):
        running.append(queue(tasks, slow, number))
        tasks.start()
    over = queue(tasks, slow, -1)
    other = tasks.queue("another", seen.append, [("in time",)])
    tasks.start()
    assert over.is_over
    assert other.is_over
    await over.ended()
    assert seen == ["in time"]
    assert tasks.dropped_calls == 8
    (record,) = caplog.records
    assert record.getMessage().startswith(
        f"a is slower than what it is called for: {MOST_WAITING} calls of it wait"
    )
    assert len(asyncio.all_tasks()) <= MOST_WAITING + 2
    gate.set()
    await ended(*running)
    assert seen[1:] == list(range(MOST_WAITING))
    last = queue(tasks, slow, "again")
    tasks.start()
    await last.ended()
    assert seen[-1] == "again"
    assert tasks.dropped_calls == 8


async def test_each_runs_in_the_context_of_its_call():
    tasks, seen = CallbackTasks(logger), []
    contexts = [contextvars.copy_context() for _ in range(2)]
    for number, context in enumerate(contexts):
        context.run(word.set, number)
        context.run(tasks.run, "a", lambda: seen.append(word.get()))
    await asyncio.sleep(0)
    assert seen == [0, 1]


async def test_a_call_leaves_nothing_for_the_collector():
    class Thing:
        """What is handed to a callback."""

    async def later(thing):
        await asyncio.sleep(0)

    tasks, sessions = CallbackTasks(logger), []
    gc.disable()
    try:
        for callback in (later, sessions.append):
            thing = Thing()
            gone = weakref.ref(thing)
            running = queue(tasks, callback, thing)
            tasks.start()
            await running.ended()
            sessions.clear()
            del thing, running
            await asyncio.sleep(0)
            assert gone() is None
    finally:
        gc.enable()
