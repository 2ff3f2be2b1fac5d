"""Tasks that nobody may be left to wait for."""

import asyncio
from typing import Any, TypeVar

__all__ = ["keep"]

T = TypeVar("T")

_kept: dict[asyncio.AbstractEventLoop, set[asyncio.Task[Any]]] = {}


def keep(task: asyncio.Task[T]) -> asyncio.Task[T]:
    """Hold a task until it is done, since the event loop holds it weakly; return the task."""
    # A loop that was closed by hand does not end its tasks; they are let go with the next one's.
    for loop in [loop for loop in list(_kept) if loop.is_closed()]:
        del _kept[loop]
    _kept.setdefault(task.get_loop(), set()).add(task)
    task.add_done_callback(_done)
    return task


def _done(task: asyncio.Task[Any]) -> None:
    kept = _kept[task.get_loop()]
    kept.discard(task)
    if not kept:
        del _kept[task.get_loop()]
    # What it raised is told to whoever waits; fetched here, it is no error that no one fetched.
    if not task.cancelled():
        task.exception()
