"""Coroutines that begin at once, and need a task of their own only when they wait.

asyncio has this from Python 3.12 on, for a task made anew each time. Here a spare task stands by
for each event loop: a coroutine runs as that task up to its first wait, and only one that does wait
keeps it. The current task is switched as asyncio documents it for other implementations of tasks
("Extending": ``_enter_task`` and ``_leave_task``), on each Python alike.
"""

import asyncio
import threading
from asyncio import _enter_task, _leave_task
from collections.abc import Coroutine, Generator
from contextvars import Context
from types import coroutine
from typing import Any

__all__ = ["begin", "dismiss_spare"]

#: A spare task is replaced after this time: it is seen among all tasks, and what a coroutine that
#: did not wait has attached to it ends with it.
SPARE_S = 0.1


class _Spare(threading.local):
    """The spare task of the event loop that runs in this thread."""

    carrier: "_Carrier | None" = None


_here = _Spare()


def begin(work: Coroutine[Any, Any, None], context: Context) -> asyncio.Task[None] | None:
    """Run a coroutine up to its first wait; return the task that goes on with it then.

    Up to there and beyond, ``asyncio.current_task()`` is that very task, which can be cancelled at
    any time, so that ``asyncio.timeout()`` and what else needs a task works from the first line on.
    What the coroutine raises is raised here if it has not waited, except that it was cancelled.

    Args:
        work: what to run. Another one that ends without waiting may see the same task.
        context: what it runs in, from its first line to its last; not that of a running call.

    Returns:
        None when it has ended.
    """
    loop = asyncio.get_running_loop()
    # Taken, so that what begins meanwhile has one of its own.
    carrier, _here.carrier = _here.carrier, None
    if carrier is None or not carrier.stands_by(loop):
        carrier = _Carrier(loop)
    task, outer = carrier.task, asyncio.current_task(loop)
    if outer is not None:
        _leave_task(loop, outer)
    _enter_task(loop, task)
    try:
        waits_for = context.run(work.send, None)
    except (StopIteration, asyncio.CancelledError):
        _here.carrier = carrier
        return None
    finally:
        _leave_task(loop, task)
        if outer is not None:
            _enter_task(loop, outer)
    carrier.take_over(work, waits_for, context)
    return task


def dismiss_spare() -> None:
    """End the spare task of the running event loop, in its next turn."""
    carrier, _here.carrier = _here.carrier, None
    if carrier is not None:
        carrier.dismiss()


class _Carrier:
    """A task that stands by, until it is given a coroutine that has begun."""

    __slots__ = ("_cancelled", "_context", "_given", "_timer", "_waits_for", "_work", "task")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._given: asyncio.Future[None] = loop.create_future()
        self._work: Coroutine[Any, Any, None] | None = None
        self._waits_for: Any = None
        self._context = Context()
        self._cancelled: asyncio.CancelledError | None = None
        carrying = self._carry()
        # Up to the first line that can be told of a cancellation: a task that is cancelled before
        # its first step would otherwise end there, and what it was given would never hear of it.
        carrying.send(None)
        self.task = loop.create_task(carrying, name="avatarwire callback", context=Context())
        self._timer = loop.call_later(SPARE_S, self.dismiss)

    def stands_by(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Return whether it can still be given something, in this loop."""
        given = self._given
        return not given.done() and not self.task.cancelling() and given.get_loop() is loop

    def take_over(
        self,
        work: Coroutine[Any, Any, None],
        waits_for: Any,  # noqa: ANN401 - whatever a coroutine yields to its task
        context: Context,
    ) -> None:
        """Go on with ``work``, which has yielded ``waits_for``, in the loop's next turn."""
        if asyncio.isfuture(waits_for):
            # As a task does in this moment: until then nobody else may wait for it.
            waits_for._asyncio_future_blocking = False  # noqa: SLF001 - of asyncio's protocol
        self._work, self._waits_for, self._context = work, waits_for, context
        del self.task  # an error of the work, which holds this, would hold itself by it
        self.dismiss()

    def dismiss(self) -> None:
        """Stand by no longer."""
        self._timer.cancel()
        if not self._given.done():
            self._given.set_result(None)

    async def _carry(self) -> None:
        await self._stand_by()
        if self._work is not None:
            await self._go_on(self._work)

    @coroutine
    def _stand_by(self) -> Generator[Any, None, None]:
        try:
            yield  # to __init__
            yield from self._given
        except asyncio.CancelledError as exc:
            if self._work is None:
                raise
            self._cancelled = exc

    @coroutine
    def _go_on(self, work: Coroutine[Any, Any, None]) -> Generator[Any, None, None]:
        error: BaseException | None = None
        try:
            yield from self._first_wait()
        except BaseException as exc:  # what a task throws belongs to its work
            error = exc
        while True:
            try:
                if error is None:
                    waits_for = self._context.run(work.send, None)
                else:
                    waits_for = self._context.run(work.throw, error)
            except StopIteration:
                return
            finally:
                error = None
            try:
                yield waits_for
            except BaseException as exc:
                error = exc

    def _first_wait(self) -> Generator[Any, None, None]:
        """Wait for what the work has yielded, as the task would have at that time."""
        waits_for, cancelled, self._cancelled = self._waits_for, self._cancelled, None
        is_future = asyncio.isfuture(waits_for)
        task = asyncio.current_task()
        # Unless the work has taken the request back, what it waits for is cancelled, if it can be.
        if cancelled is not None and task is not None and task.cancelling():
            is_passed_on = is_future and waits_for.cancel(*cancelled.args)
            if not is_passed_on:
                raise cancelled
        if is_future:
            yield from waits_for.__await__()
        elif waits_for is not None:
            yield waits_for  # which no task can wait for: the loop's own error is raised here
