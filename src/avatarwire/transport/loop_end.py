"""What is closed when its event loop ends: a task for each loop, not one for each connection."""

import asyncio
from typing import Protocol

from avatarwire._tasks import begin_later

__all__ = ["Open", "watch"]


class Open(Protocol):
    """What must not outlive its event loop."""

    async def loop_ends(self) -> None:
        """Close, since the loop is about to end."""


class LoopEnd:
    """A task that waits until nothing is open any more, or until it is cancelled with its loop."""

    __slots__ = ("_is_empty", "_open", "task")

    def __init__(self) -> None:
        self._open: set[Open] = set()
        self._is_empty = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] = begin_later(self._run(), name="avatarwire end of the loop")

    def add(self, one: Open) -> None:
        """Close this one when the loop ends."""
        self._open.add(one)

    def discard(self, one: Open) -> None:
        """Forget one that has ended; the last one ends the task."""
        self._open.discard(one)
        if not self._open and not self._is_empty.done():
            _of_loops.pop(asyncio.get_running_loop(), None)
            self._is_empty.set_result(None)

    async def _run(self) -> None:
        try:
            await self._is_empty
        except asyncio.CancelledError:
            _of_loops.pop(asyncio.get_running_loop(), None)
            await asyncio.gather(*(one.loop_ends() for one in self._open))
            raise


_of_loops: dict[asyncio.AbstractEventLoop, LoopEnd] = {}


def watch(one: Open) -> LoopEnd:
    """Have ``one`` closed when the running event loop ends; return where to discard it before."""
    for loop in [loop for loop in _of_loops if loop.is_closed()]:
        del _of_loops[loop]
    loop = asyncio.get_running_loop()
    if loop not in _of_loops:
        _of_loops[loop] = LoopEnd()
    _of_loops[loop].add(one)
    return _of_loops[loop]
