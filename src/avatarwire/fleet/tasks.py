"""Work in the background: kept until it is done, and what it raises is logged."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from avatarwire._tasks import begin_later

__all__ = ["Tasks"]

logger: logging.Logger = logging.getLogger("avatarwire.fleet")


class Tasks:
    """The background work of one object.

    Args:
        name: whose, for the log.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[Any]] = set()

    def keep(self, work: Coroutine[Any, Any, Any]) -> None:
        """Begin some work."""
        task = begin_later(work, name=f"avatarwire {self._name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("%s: a task failed", self._name, exc_info=task.exception())
