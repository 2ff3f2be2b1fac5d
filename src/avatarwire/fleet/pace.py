"""How fast starts may follow one another."""

__all__ = ["Pace"]


class Pace:
    """Spaces out what may happen so many times a second; a second's worth may come at once.

    Args:
        per_second: how many times a second.
    """

    def __init__(self, per_second: float) -> None:
        self._interval_s = 1.0 / per_second
        self._free_at_s = float("-inf")

    def wait_s(self, now_s: float) -> float:
        """Return how long the next one would have to wait, in seconds."""
        return max(0.0, self._free_at_s - now_s)

    def take(self, now_s: float) -> float:
        """Take a place; return how long to wait for it, in seconds."""
        # A burst of one second may go at once: what is spaced is the rate, not each start.
        self._free_at_s = max(self._free_at_s, now_s - 1.0) + self._interval_s
        return max(0.0, self._free_at_s - now_s)
