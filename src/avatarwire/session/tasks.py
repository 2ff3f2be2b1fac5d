"""Tasks that nobody may be left to wait for."""

import asyncio
import contextlib
from typing import Any, TypeVar

__all__ = ["keep"]

T = TypeVar("T")

#: With those of a loop that was closed by hand: let go, they would clean up within another loop.
_kept: set[asyncio.Task[Any]] = set()


def keep(task: asyncio.Task[T]) -> asyncio.Task[T]:
    """Hold a task until it is done, since the event loop holds it weakly; return the task."""
    _kept.add(task)
    task.add_done_callback(_done)
    return task


def _done(task: asyncio.Task[Any]) -> None:
    _kept.discard(task)
    # What it raised is told to whoever waits; fetched here, it is no error that no one fetched. A
    # cancelled task keeps its frames until then, and through them itself.
    with contextlib.suppress(asyncio.CancelledError):
        task.exception()
