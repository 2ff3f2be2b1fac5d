"""The time in which a peer takes less than is written to it."""

import asyncio
from collections.abc import Callable

__all__ = ["MAX_UNREAD_ANSWERS_BYTES", "Congestion"]

MAX_UNREAD_ANSWERS_BYTES = 2**16
"""How much of answers to its pings a peer may leave unread: thousands of them."""


class Congestion:
    """Begins when too much waits to be sent, and ends when little does.

    Args:
        limit_s: seconds in which the peer may take nothing; None: as long as it likes.
        on_stalled: called once, when they have passed, or when the peer has us answer more than it
            reads.
        left_bytes: returns how much the peer has not taken yet.
    """

    __slots__ = (
        "_left_bytes",
        "_limit_s",
        "_on_stalled",
        "_timer",
        "_unread_bytes",
        "_waiters",
        "_was_left_bytes",
    )

    def __init__(
        self,
        limit_s: float | None,
        on_stalled: Callable[[], None],
        left_bytes: Callable[[], int],
    ) -> None:
        self._limit_s = limit_s
        self._on_stalled = on_stalled
        self._left_bytes = left_bytes
        self._was_left_bytes = left_bytes()
        self._waiters: list[asyncio.Future[None]] = []
        self._unread_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._set_timer()

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

    def _set_timer(self) -> None:
        if self._limit_s is not None:
            self._timer = asyncio.get_running_loop().call_later(self._limit_s, self._look)

    def _look(self) -> None:
        """Go on waiting for a peer that takes what there is, however slowly."""
        was_left_bytes, self._was_left_bytes = self._was_left_bytes, self._left_bytes()
        if self._was_left_bytes < was_left_bytes:
            self._set_timer()
        else:
            self._on_stalled()
