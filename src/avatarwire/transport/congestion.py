"""The time in which a peer takes less than is written to it."""

import asyncio
from collections.abc import Callable

__all__ = ["MAX_UNREAD_ANSWERS_BYTES", "Congestion"]

MAX_UNREAD_ANSWERS_BYTES = 2**16
"""How much of answers to its pings a peer may leave unread: thousands of them."""


class Congestion:
    """Begins when the write buffer is over its high water, and ends at its low water.

    Args:
        limit_s: seconds that it may take; None: as long as the peer likes.
        on_stalled: called once, when that has passed, or when the peer has us answer more than it
            reads.
    """

    __slots__ = ("_on_stalled", "_timer", "_unread_bytes", "_waiters")

    def __init__(self, limit_s: float | None, on_stalled: Callable[[], None]) -> None:
        self._on_stalled = on_stalled
        self._waiters: list[asyncio.Future[None]] = []
        self._unread_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        if limit_s is not None:
            self._timer = asyncio.get_running_loop().call_later(limit_s, on_stalled)

    async def wait(self) -> None:
        """Return when it has ended."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            self._waiters.remove(waiter)

    def count_unread(self, size_bytes: int) -> None:
        """Take note of answers: the peer takes nothing, so they go into our own memory."""
        before_bytes = self._unread_bytes
        self._unread_bytes += size_bytes
        if before_bytes <= MAX_UNREAD_ANSWERS_BYTES < self._unread_bytes:
            self._on_stalled()

    def resolve(self) -> None:
        """End: the peer has read, or nothing is written any more."""
        if self._timer is not None:
            self._timer.cancel()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
