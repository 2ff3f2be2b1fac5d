"""How late things happen, in few numbers."""

from bisect import bisect_left

__all__ = ["BOUNDS_MS", "Lateness"]

#: Upper bounds of the buckets, in milliseconds; what is later still has a bucket of its own.
BOUNDS_MS = (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 50, 100, 200, 500, 1000)


class Lateness:
    """A histogram of delays behind a deadline.

    Attributes:
        counts: how many fell into each bucket of ``BOUNDS_MS``, and above the last.
        max_ms: the largest.
    """

    __slots__ = ("counts", "max_ms")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget what was counted."""
        self.counts: list[int] = [0] * (len(BOUNDS_MS) + 1)
        self.max_ms: float = 0.0

    def add(self, late_s: float) -> None:
        """Count one delay."""
        late_ms = late_s * 1000
        self.counts[bisect_left(BOUNDS_MS, late_ms)] += 1
        self.max_ms = max(self.max_ms, late_ms)

    def percentile_ms(self, percent: float) -> float:
        """Give a bound, in milliseconds, that ``percent`` of all delays do not exceed."""
        rank = sum(self.counts) * percent / 100
        reached = 0
        for bound_ms, count in zip(BOUNDS_MS, self.counts, strict=False):
            reached += count
            if reached >= rank:
                return min(bound_ms, self.max_ms)
        return self.max_ms
