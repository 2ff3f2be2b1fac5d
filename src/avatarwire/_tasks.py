"""Tasks that begin in the event loop's next turn, whatever the loop's task factory does.

With ``asyncio.eager_task_factory`` a task may have ended before the one that made it knows of it.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["begin_later"]

T = TypeVar("T")


def begin_later(work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Return a task of ``work`` that has not begun."""
    return asyncio.Task(work, loop=asyncio.get_running_loop(), name=name)
