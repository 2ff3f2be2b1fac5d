"""One timer per event loop, for everything that is due at a time of its own."""

import asyncio
import heapq
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
        """Do what is due at ``now_s``; return the next deadline, None when there is none."""


class Pacer:
    """Calls each of its streams at its deadline, by one timer.

    Deadlines are absolute, in the event loop's time: a late call is not followed by later ones.
    Each is rounded up to a whole number of grains; those that fall together are served together.

    Args:
        loop: the event loop, for its clock and its timer.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # By number of grains, and the numbers as a heap: there are few, however many the streams.
        self._due: dict[int, list[Punctual]] = {}
        self._grains: list[int] = []
        # What holds for each stream; whatever else lists it is out of date.
        self._grain_of: dict[Punctual, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at: float = math.inf

    def __len__(self) -> int:
        return len(self._grain_of)

    def schedule(self, stream: Punctual, deadline_s: float) -> None:
        """Call ``stream`` at ``deadline_s`` and at no earlier deadline that it had."""
        grain = _grain(deadline_s)
        if self._grain_of.get(stream) != grain:
            self._enter(stream, grain)
            if grain < self._wakes_at:
                self._arm()

    def remove(self, stream: Punctual) -> None:
        """Forget ``stream``; with the last one the timer goes too."""
        self._grain_of.pop(stream, None)
        if not self._grain_of:
            self._due.clear()
            self._grains.clear()
            self._disarm()

    def _enter(self, stream: Punctual, grain: int) -> None:
        self._grain_of[stream] = grain
        due = self._due.get(grain)
        if due is None:
            self._due[grain] = [stream]
            heapq.heappush(self._grains, grain)
        else:
            due.append(stream)

    def _arm(self) -> None:
        self._disarm()
        if self._grains:
            self._wakes_at = self._grains[0]
            self._timer = self._loop.call_at(self._wakes_at * GRAIN_S, self._wake)

    def _disarm(self) -> None:
        self._wakes_at = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        woken_s = self._loop.time() + EARLY_S
        # What is due again at once has its turn when others have had theirs.
        reached: list[tuple[int, list[Punctual]]] = []
        while self._grains and self._grains[0] * GRAIN_S <= woken_s:
            grain = heapq.heappop(self._grains)
            reached.append((grain, self._due.pop(grain)[::-1]))
        try:
            for grain, due in reached:
                self._serve(grain, due)
        finally:
            # None are left, unless one of them was stopped by more than an error.
            for grain, due in reached:
                for stream in due:
                    if self._grain_of.get(stream) == grain:
                        self._enter(stream, grain)
            self._arm()

    def _serve(self, grain: int, due: list[Punctual]) -> None:
        # A stream may not be asked before its deadline: it would ask for the same one again.
        now_s = max(self._loop.time(), grain * GRAIN_S)
        grain_of = self._grain_of
        while due:
            stream = due.pop()
            if grain_of.get(stream) != grain:
                continue
            del grain_of[stream]
            try:
                next_s = stream.tick(now_s)
                if next_s is not None:
                    self._enter(stream, _grain(next_s))
            except Exception:
                logger.exception("%r failed; the other streams go on", stream)


def _grain(deadline_s: float) -> int:
    """Return the number of the first grain that is not before ``deadline_s``."""
    grain = math.ceil(deadline_s / GRAIN_S)
    # The quotient may have been rounded down to a whole number.
    return grain + 1 if grain * GRAIN_S < deadline_s else grain


_pacers: dict[asyncio.AbstractEventLoop, Pacer] = {}
_lock = threading.Lock()  # event loops live in threads


def running_pacer() -> Pacer:
    """Return the running event loop's pacer."""
    loop = asyncio.get_running_loop()
    pacer = _pacers.get(loop)
    if pacer is None:
        with _lock:
            for other in [other for other in _pacers if other.is_closed()]:
                del _pacers[other]
            pacer = _pacers[loop] = Pacer(loop)
    return pacer
