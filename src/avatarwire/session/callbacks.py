"""A program's callbacks: each begins at once, in the order of the calls, and may wait.

One that does not wait has ended when the next one begins. One that waits goes on in a task of its
own, so that one that never returns stops nothing; how many calls of one callback may wait at a time
is limited, since a peer decides how many there are.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeAlias

from avatarwire.session.calling import RUNNING, call_each
from avatarwire.session.eager import begin, dismiss_spare

__all__ = ["CallbackTasks", "RunningCallback", "running_callback"]

#: The names of no callbacks: sessions share it.
NONE: frozenset[str] = frozenset()
#: How many calls of one callback may wait at a time.
MOST_WAITING = 250

_running: ContextVar["RunningCallback | None"] = RUNNING


def running_callback() -> "RunningCallback | None":
    """Return the callback that the caller runs in, or was started by."""
    return _running.get()


_Due: TypeAlias = tuple[Callable[..., object], Iterable[tuple[object, ...]], Context]


class RunningCallback:
    """One call of a callback.

    Args:
        name: of the callback.
        callback: what to call.
        calls: the arguments of each call; a second one is made when the first has ended.

    Attributes:
        name: of the callback.
        due: what is called, with which arguments, in which context; None when it has begun.
        task: what goes on with it when it has waited; None before that, and when it has ended.
        is_over: it has ended.
    """

    __slots__ = ("_ended", "due", "is_over", "name", "task")

    def __init__(
        self, name: str, callback: Callable[..., object], calls: Iterable[tuple[object, ...]]
    ) -> None:
        self.name: str = name
        self.due: _Due | None = (callback, calls, copy_context())
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
        self.due = None
        self.task = None  # which may hold this in turn
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)


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
        self._queue: deque[RunningCallback] = deque()
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
        running = RunningCallback(name, callback, calls)
        self._queue.append(running)
        return running

    def begin(
        self, name: str, callback: Callable[..., object], calls: Iterable[tuple[object, ...]]
    ) -> RunningCallback:
        """Start a callback now, after what is queued; see ``queue``."""
        running = self.queue(name, callback, calls)
        self.start()
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
            self._queue.popleft().end()
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

    def _begin(self, running: RunningCallback) -> None:
        due, running.due = running.due, None  # whose context holds the call in turn
        if due is None:
            return
        callback, calls, context = due
        waiting = self._waiting.get(running.name)
        if waiting is None:
            waiting = self._waiting[running.name] = set()
        elif len(waiting) >= MOST_WAITING:
            self._drop(running)
            return
        running.task = begin(call_each(running, callback, calls, self._fail), context)
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

    def _fail(self, running: RunningCallback, exc: Exception) -> None:
        traceback = exc.__traceback__
        if isinstance(exc, TypeError) and traceback is not None and traceback.tb_next is None:
            self._tell_misfit(running.name, exc)
        else:
            self._logger.error("%s raised", running.name, exc_info=exc)

    def _tell_misfit(self, name: str, exc: TypeError) -> None:
        """Log a method that could not be called at all: a program's own, of another meaning."""
        level = logging.DEBUG if name in self._misfits else logging.ERROR
        self._misfits |= {name}
        self._logger.log(level, "%s takes other arguments than it is called with: %s", name, exc)
