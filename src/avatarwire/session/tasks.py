"""Tasks that nobody may be left to wait for."""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from avatarwire._tasks import begin_later
from avatarwire.errors import AvatarwireError

__all__ = ["keep", "send_soon"]

T = TypeVar("T")

#: With those of a loop that was closed by hand: let go, they would clean up within another loop.
_kept: set[asyncio.Task[Any]] = set()


def keep(task: asyncio.Task[T]) -> asyncio.Task[T]:
    """Hold a task until it is done, since the event loop holds it weakly; return the task."""
    _kept.add(task)
    task.add_done_callback(_done)
    return task


def send_soon(call: Coroutine[Any, Any, None], *, name: str, logger: logging.Logger) -> None:
    """Send in the order of the calls: each writes before it waits for anything.

    What cannot be told, as to a session that has ended, is a line of the log.
    """
    keep(begin_later(_quietly(call, logger), name=name))


async def _quietly(call: Coroutine[Any, Any, None], logger: logging.Logger) -> None:
    try:
        await call
    except AvatarwireError as exc:
        logger.debug("what the user does could not be told: %s", exc)


def _done(task: asyncio.Task[Any]) -> None:
    _kept.discard(task)
    # What it raised is told to whoever waits; fetched here, it is no error that no one fetched. A
    # cancelled task keeps its frames until then, and through them itself.
    with contextlib.suppress(asyncio.CancelledError):
        task.exception()
