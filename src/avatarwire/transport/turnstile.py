"""How many sessions begin, or lose their connection, in one iteration of the event loop.

A thousand that dial, stop or are cut off at once would hold up the loop, and the sound of all
others, until the last of them was done. What follows of each comes as spread out as they do.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable

__all__ = ["MOST_AT_ONCE", "in_turn", "pass_turnstile"]

MOST_AT_ONCE = 8
"""How many pass in one iteration: each costs the loop about a millisecond."""


class _Here(threading.local):
    """The turnstile of the event loop that runs in this thread, while anybody passes."""

    turnstile: "_Turnstile | None" = None


_here = _Here()


async def pass_turnstile() -> None:
    """Return when the caller may begin, first come, first served; at once unless many come."""
    turnstile = _turnstile()
    if turnstile.is_open():
        return
    turn: asyncio.Future[None] = turnstile.loop.create_future()
    turnstile.waiting.append(turn)
    await turn


def in_turn(call: Callable[[], None]) -> None:
    """Call something when its turn has come, as ``pass_turnstile`` returns; at once unless many do.

    Args:
        call: what to call; it raises nothing.
    """
    turnstile = _turnstile()
    if turnstile.is_open():
        call()
    else:
        turnstile.waiting.append(call)


def _turnstile() -> "_Turnstile":
    loop = asyncio.get_running_loop()
    turnstile = _here.turnstile
    if turnstile is None or turnstile.loop is not loop:
        turnstile = _here.turnstile = _Turnstile(loop)
    return turnstile


class _Turnstile:
    """Lets so many through in each iteration of its loop.

    Attributes:
        loop: as given.
        waiting: who has not passed yet.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting: deque[asyncio.Future[None] | Callable[[], None]] = deque()
        self._left = MOST_AT_ONCE
        loop.call_soon(self._turn)

    def is_open(self) -> bool:
        """Return whether one more may pass in this iteration, and count it if so."""
        if not self._left:
            return False
        self._left -= 1
        return True

    def _turn(self) -> None:
        """Begin another iteration; leave when nobody has come in the last one."""
        if self._left == MOST_AT_ONCE:
            _here.turnstile = None
            return
        self._left = MOST_AT_ONCE
        while self._left and self.waiting:
            turn = self.waiting.popleft()
            if not isinstance(turn, asyncio.Future):
                self.loop.call_soon(turn)
            elif turn.done():  # its task was cancelled
                continue
            else:
                turn.set_result(None)
            self._left -= 1
        self.loop.call_soon(self._turn)
