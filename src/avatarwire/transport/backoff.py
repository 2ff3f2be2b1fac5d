"""Delays between attempts that double up to a limit."""

import asyncio
import math
import random

__all__ = ["ExponentialBackoffStrategy"]


class ExponentialBackoffStrategy:
    """Counts attempts and waits between them, twice as long each time.

    Args:
        base_delay: the first delay, in seconds.
        max_delay: the longest delay, in seconds.
        jitter: wait a uniformly random part of each delay ("full jitter"), so that many sessions
            that were cut together do not come back together.

    Raises:
        ValueError: when a delay is negative or not finite.
    """

    def __init__(
        self, base_delay: float = 1.0, max_delay: float = 60.0, *, jitter: bool = False
    ) -> None:
        for name, value in (("base_delay", base_delay), ("max_delay", max_delay)):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a finite number of seconds, not {value!r}")
        self._base = base_delay
        self._max = max_delay
        self._jitter = jitter
        self._next = min(base_delay, max_delay)

    @property
    def next_delay(self) -> float:
        """The coming delay in seconds, before jitter; reading it does not count as an attempt."""
        return self._next

    def take(self) -> float:
        """Return the coming delay in seconds, with jitter; the next one is twice as long."""
        delay = self._next
        # Doubling the last delay never leaves the range of a float; 2**attempt would.
        self._next = min(delay * 2, self._max)
        if self._jitter:
            delay *= random.random()  # noqa: S311 - spreads load, keeps no secret
        return delay

    async def wait(self) -> None:
        """Sleep for the coming delay; the next one is twice as long."""
        await asyncio.sleep(self.take())

    def reset(self) -> None:
        """Start from the first delay again, after an attempt that succeeded."""
        self._next = min(self._base, self._max)
