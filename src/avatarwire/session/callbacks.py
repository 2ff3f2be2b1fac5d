"""A program's callbacks: each begins at once, in the order of the calls, and may wait.

One that does not wait has ended when the next one begins. One that waits goes on in a task of its
own, so that one that never returns stops nothing; how many calls of one callback may wait at a time
is limited, since a peer decides how many there are.
"""

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context, ContextVar, copy_context
from types import CoroutineType
from typing import Any, NamedTuple

from avatarwire.session.eager import begin, dismiss_spare

__all__ = ["CallbackTasks", "RunningCallback", "running_callback"]

#: The names of no callbacks: sessions share it.
NONE: frozenset[str] = frozenset()
#: How many calls of one callback may wait at a time.
MOST_WAITING = 250

#: The callback that runs; tasks that a callback starts inherit it.
_running: ContextVar["RunningCallback | None"] = ContextVar("avatarwire callback", default=None)


def running_callback() -> "RunningCallback | None":
    """Return the callback that the caller runs in, or was started by."""
    return _running.get()


class RunningCallback:
    """One call of a callback.

    Args:
        name: of the callback.

    Attributes:
        name: of the callback.
        task: what goes on with it when it has waited; None before that, and when it has ended.
        is_over: it has ended.
    """

    __slots__ = ("_ended", "is_over", "name", "task")

    def __init__(self, name: str) -> None:
        self.name: str = name
        self.task: asyncio.Task[None] | None = None
        self.is_over: bool = False
        self._ended: asyncio.Future[None] | None = None

    def ended(self) -> asyncio.Future[None]:
        """Return a future that is done when the callback has ended, however it did."""
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_future()
            if self.is_over:
                self._ended.set_result(None)
        return self._ended

    def end(self) -> None:
        """Take note that it has ended."""
        self.is_over = True
        self.task = None  # which may hold this in turn
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)


class _Due(NamedTuple):
    running: RunningCallback
    callback: Callable[..., object]
    calls: Iterable[tuple[object, ...]]
    context: Context


class CallbackTasks:
    """Runs callbacks, sync or async, so that one that raises or never returns stops nothing.

    Args:
        logger: where a callback that raised is told.

    Attributes:
        dropped_calls: how many calls were not made because too many of the same callback waited.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self.dropped_calls: int = 0
        self._logger = logger
        self._queue: deque[_Due] = deque()
        self._is_start_due = False
        self._is_starting = False
        self._waiting: dict[str, set[RunningCallback]] = {}
        self._misfits = NONE
        self._slow = NONE

    def look_up(self, owner: object, name: str) -> Any:  # noqa: ANN401
        """Return a program's callback; None when it has none, or when its property raised."""
        try:
            return getattr(owner, name, None)
        except Exception:
            self._logger.exception("looking up %s raised", name)
            return None

    def run(self, name: str, callback: Callable[..., object], *args: object) -> RunningCallback:
        """Start a callback in the event loop's next turn, or by ``start``, whichever is first."""
        running = self.queue(name, callback, (args,))
        self._start_soon()
        return running

    def queue(
        self, name: str, callback: Callable[..., object], calls: Iterable[tuple[object, ...]]
    ) -> RunningCallback:
        """Have a callback started by ``start``, which the caller calls when all else is done.

        Args:
            name: of the callback.
            callback: what to call.
            calls: the arguments of each call; a second one is made when the first has ended.
        """
        running = RunningCallback(name)
        self._queue.append(_Due(running, callback, calls, copy_context()))
        return running

    def start(self) -> None:
        """Start what is queued, in order, each up to its first wait.

        What they cause to be queued themselves begins in the event loop's next turn.
        """
        if self._is_starting:
            return
        self._is_starting = True
        try:
            for _ in range(len(self._queue)):
                if self._queue:  # one of them may have had the rest cancelled
                    self._begin(self._queue.popleft())
        finally:
            self._is_starting = False
            if self._queue:
                self._start_soon()

    def cancel(self, keep: set[RunningCallback]) -> list[asyncio.Task[None]]:
        """Cancel what waits, except ``keep``, and what has not begun; return the tasks of it."""
        while self._queue:
            self._queue.popleft().running.end()
        doomed = [
            running.task
            for waiting in self._waiting.values()
            for running in waiting
            if running.task is not None and running not in keep
        ]
        for task in doomed:
            task.cancel()
        return doomed

    def stand_down(self) -> None:
        """Keep no task ready for the next callback: none is expected soon."""
        dismiss_spare()

    def _start_soon(self) -> None:
        if not self._is_start_due:
            self._is_start_due = True
            asyncio.get_running_loop().call_soon(self._start_due)

    def _start_due(self) -> None:
        self._is_start_due = False
        self.start()

    def _begin(self, due: _Due) -> None:
        running = due.running
        waiting = self._waiting.get(running.name)
        if waiting is None:
            waiting = self._waiting[running.name] = set()
        elif len(waiting) >= MOST_WAITING:
            self._drop(running)
            return
        running.task = begin(self._run(running, due.callback, due.calls), due.context)
        if running.task is None:
            running.end()
            return
        running.task.set_name(f"avatarwire {running.name}")
        waiting.add(running)

        def over(_: object) -> None:
            waiting.discard(running)
            running.end()

        running.task.add_done_callback(over)

    def _drop(self, running: RunningCallback) -> None:
        self.dropped_calls += 1
        if running.name not in self._slow:
            self._slow |= {running.name}
            self._logger.warning(
                "%s is slower than what it is called for: %d calls of it wait, and more are dropped"
                " and counted (stats().dropped, callback_slow; told once)",
                running.name,
                MOST_WAITING,
            )
        running.end()

    async def _run(
        self,
        running: RunningCallback,
        callback: Callable[..., object],
        calls: Iterable[tuple[object, ...]],
    ) -> None:
        _running.set(running)
        for args in calls:
            try:
                result = callback(*args)
                # The type first: it is what nearly every callback returns, and asked fastest.
                if type(result) is CoroutineType or inspect.isawaitable(result):
                    await result
            except Exception as exc:
                if (
                    isinstance(exc, TypeError)
                    and exc.__traceback__
                    and not exc.__traceback__.tb_next
                ):
                    self._tell_misfit(running.name, exc)
                else:
                    self._logger.exception("%s raised", running.name)

    def _tell_misfit(self, name: str, exc: TypeError) -> None:
        """Log a method that could not be called at all: a program's own, of another meaning."""
        level = logging.DEBUG if name in self._misfits else logging.ERROR
        self._misfits |= {name}
        self._logger.log(level, "%s takes other arguments than it is called with: %s", name, exc)
