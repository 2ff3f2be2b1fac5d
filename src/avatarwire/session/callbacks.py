"""A program's callbacks, each in a task of its own, started in the order of the calls."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

__all__ = ["CallbackTasks", "running_callback"]

#: The callback that a task belongs to; tasks that a callback starts inherit it.
_running: ContextVar[asyncio.Task[None] | None] = ContextVar("avatarwire callback", default=None)


def running_callback() -> asyncio.Task[None] | None:
    """Give the callback that the caller runs in, or was started by."""
    return _running.get()


class CallbackTasks:
    """Runs callbacks, sync or async, so that one that raises or never returns stops nothing.

    Args:
        logger: where a callback that raised is told.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._tasks: set[asyncio.Task[None]] = set()
        self._misfits: set[str] = set()

    def run(self, name: str, callback: Callable[..., object], *args: object) -> asyncio.Task[None]:
        """Start a callback."""
        return self._start(self._run(name, callback, args), name)

    def cancel(self, keep: set[asyncio.Task[Any]]) -> list[asyncio.Task[None]]:
        """Cancel what still runs, except ``keep``, and give the tasks cancelled."""
        doomed = [task for task in self._tasks if task not in keep]
        for task in doomed:
            task.cancel()
        return doomed

    def _start(self, work: Any, name: str) -> asyncio.Task[None]:  # noqa: ANN401
        task: asyncio.Task[None] = asyncio.create_task(work, name=f"avatarwire {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(
        self, name: str, callback: Callable[..., object], args: tuple[object, ...]
    ) -> None:
        _running.set(asyncio.current_task())
        try:
            result = callback(*args)
            if inspect.isawaitable(result):
                await result
        except Exception as exc:
            if isinstance(exc, TypeError) and exc.__traceback__ and not exc.__traceback__.tb_next:
                self._tell_misfit(name, exc)
            else:
                self._logger.exception("%s raised", name)

    def _tell_misfit(self, name: str, exc: TypeError) -> None:
        """Log a method that could not be called at all: a program's own, of another meaning."""
        level = logging.DEBUG if name in self._misfits else logging.ERROR
        self._misfits.add(name)
        self._logger.log(level, "%s takes other arguments than it is called with: %s", name, exc)
