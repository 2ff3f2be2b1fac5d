"""A task that stands by for coroutines that begin at once; see ``eager``."""

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import Context
from types import coroutine
from typing import Any

__all__ = ["SPARE_S", "Carrier"]

#: A spare task is replaced after this time: it is seen among all tasks, and what a coroutine that
#: did not wait has attached to it ends with it.
SPARE_S = 0.1


class Carrier:
    """A task that stands by, until it is given a coroutine that has begun.

    Args:
        loop: whose task.

    Attributes:
        task: the task, until it is given something.
    """

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
        self.task: asyncio.Task[None] = asyncio.Task(
            carrying, loop=loop, name="avatarwire callback", context=Context()
        )
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
