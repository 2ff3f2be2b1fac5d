"""How many sessions begin something in one iteration of the event loop.

A thousand that dial or stop at once would hold up the loop, and the sound of all others, until the
last of them had begun. What follows of each, answers and ends, comes as spread out as they began.
"""

import asyncio
import threading
from collections import deque

__all__ = ["MOST_AT_ONCE", "pass_turnstile"]

MOST_AT_ONCE = 8
"""How many pass in one iteration: each costs the loop about a millisecond."""


class _Here(threading.local):
    """The turnstile of the event loop that runs in this thread, while anybody passes."""

    turnstile: "_Turnstile | None" = None


_here = _Here()


async def pass_turnstile() -> None:
    """Return when the caller may begin, first come, first served; at once unless many come."""
    loop = asyncio.get_running_loop()
    turnstile = _here.turnstile
    if turnstile is None or turnstile.loop is not loop:
        turnstile = _here.turnstile = _Turnstile(loop)
    await turnstile.wait()


class _Turnstile:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._left = MOST_AT_ONCE
        loop.call_soon(self._turn)

    async def wait(self) -> None:
        if self._left:
            self._left -= 1
            return
        turn: asyncio.Future[None] = self.loop.create_future()
        self._waiting.append(turn)
        await turn

    def _turn(self) -> None:
        """Begin another iteration; leave when nobody has come in the last one."""
        if self._left == MOST_AT_ONCE:
            _here.turnstile = None
            return
        self._left = MOST_AT_ONCE
        while self._left and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # whose task was cancelled
                turn.set_result(None)
                self._left -= 1
        self.loop.call_soon(self._turn)
