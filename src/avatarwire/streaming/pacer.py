"""One timer per event loop, for everything that is due at a time of its own."""

import asyncio
import heapq
import itertools
import logging
import math
import threading
from typing import Protocol

__all__ = ["Pacer", "Punctual", "running_pacer"]

logger: logging.Logger = logging.getLogger("avatarwire.streaming")

#: Deadlines within it are served by one wake-up: with thousands of streams, waking is the cost.
GRAIN_S = 0.004
#: An event loop may call a little early, and its clock may count whole milliseconds.
EARLY_S = 0.001


class Punctual(Protocol):
    """Something that has to act at certain times."""

    def tick(self, now_s: float) -> float | None:
        """Do what is due at ``now_s``; give the next deadline, None when there is none."""


class Pacer:
    """Calls each of its streams at its deadline, by one timer.

    Deadlines are absolute, in the event loop's time: a late call is not followed by later ones.

    Args:
        loop: the event loop, for its clock and its timer.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, Punctual]] = []
        # What holds for each stream; heap entries that differ from it are out of date.
        self._deadlines: dict[Punctual, float] = {}
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = math.inf

    def __len__(self) -> int:
        return len(self._deadlines)

    def schedule(self, stream: Punctual, deadline_s: float) -> None:
        """Call ``stream`` at ``deadline_s`` and at no earlier deadline that it had."""
        if self._deadlines.get(stream) == deadline_s:
            return
        self._deadlines[stream] = deadline_s
        heapq.heappush(self._heap, (deadline_s, next(self._order), stream))
        if deadline_s < self._wakes_at:
            self._arm()

    def remove(self, stream: Punctual) -> None:
        """Forget ``stream``; with the last one the timer goes too."""
        self._deadlines.pop(stream, None)
        if not self._deadlines:
            self._heap.clear()
            self._disarm()

    def _arm(self) -> None:
        self._disarm()
        if self._heap:
            self._wakes_at = math.ceil(self._heap[0][0] / GRAIN_S) * GRAIN_S
            self._timer = self._loop.call_at(self._wakes_at, self._wake)

    def _disarm(self) -> None:
        self._wakes_at = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        now_s = self._loop.time()
        heap, deadlines = self._heap, self._deadlines
        # What is scheduled meanwhile must not arm the timer: that is done once, at the end.
        self._wakes_at = -math.inf
        due = []
        while heap and heap[0][0] <= now_s + EARLY_S:
            due.append(heapq.heappop(heap))
        for deadline_s, _, stream in due:
            if deadlines.get(stream) != deadline_s:
                continue
            del deadlines[stream]
            try:
                next_s = stream.tick(max(now_s, deadline_s))
            except Exception:
                logger.exception("%r failed; the other streams go on", stream)
                continue
            if next_s is not None:
                deadlines[stream] = next_s
                heapq.heappush(heap, (next_s, next(self._order), stream))
        self._arm()


_pacers: dict[asyncio.AbstractEventLoop, Pacer] = {}
_lock = threading.Lock()  # event loops live in threads


def running_pacer() -> Pacer:
    """Give the running event loop's pacer."""
    loop = asyncio.get_running_loop()
    pacer = _pacers.get(loop)
    if pacer is None:
        with _lock:
            for other in [other for other in _pacers if other.is_closed()]:
                del _pacers[other]
            pacer = _pacers[loop] = Pacer(loop)
    return pacer
