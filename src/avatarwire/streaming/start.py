"""When a turn begins to be heard."""

import asyncio
from collections.abc import Callable

from avatarwire.streaming.telling import tell

__all__ = ["Start"]


class Start:
    """Knows when one turn was first heard: by the platform's word, else by the clock.

    By the clock the first sample is heard when it is sent.

    Args:
        grace_s: how long after that the platform may take to say so; None: it says nothing, and
            the clock alone decides.
        on_started: who is told, soon after it is known; None: nobody.
    """

    __slots__ = (
        "_after_s",
        "_began_s",
        "_grace_s",
        "_is_over",
        "_loop",
        "_news",
        "_on_started",
        "_sent_s",
        "_timer",
        "_written_s",
    )

    def __init__(self, grace_s: float | None, on_started: Callable[[], object] | None) -> None:
        self._grace_s = grace_s
        self._on_started = on_started
        self._after_s = 0.0
        self._written_s: float | None = None
        self._sent_s: float | None = None
        self._began_s: float | None = None
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None
        self._news: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop

    @property
    def has_begun(self) -> bool:
        """Whether the turn is known to be heard, or to have been."""
        return self._began_s is not None

    @property
    def is_written(self) -> bool:
        """Whether the first write was noted."""
        return self._written_s is not None

    @property
    def is_sent(self) -> bool:
        """Whether there is sound on its way, the first of the turn included."""
        return self._sent_s is not None

    @property
    def ms(self) -> float | None:
        """From the first write until it was heard; None while that is not known."""
        if self._began_s is None or self._written_s is None:
            return None
        return (self._began_s - self._written_s) * 1000

    def goes_by_clock(self, after_s: float = 0.0) -> None:
        """Expect no word: the platform tells none, or speaks already, until ``after_s``."""
        self._grace_s = None
        self._after_s = after_s

    def written(self, loop: asyncio.AbstractEventLoop) -> None:
        """Note the first write."""
        self._loop = loop
        self._written_s = loop.time()

    def sent(self, now_s: float) -> None:
        """Note that the first sound was sent, or sent again."""
        self._sent_s = now_s
        if self._on_started is not None or self._news is not None or self._grace_s is None:
            self._watch(now_s)

    def taken_back(self) -> None:
        """Note that what was sent goes out anew: whether it was heard is not known."""
        if self._began_s is None:
            self._sent_s = None
            self._cancel()

    def said(self, now_s: float) -> None:
        """Take the platform's word that it is heard now."""
        if self._sent_s is not None:
            self._begin(now_s)

    def end(self, now_s: float, *, was_played: bool) -> None:
        """Note that the turn is over.

        Args:
            now_s: the event loop's time.
            was_played: to its end, so that it was heard, whatever the platform has said.
        """
        due_s = self._due_s()
        if due_s is not None and (was_played or now_s >= due_s + (self._grace_s or 0.0)):
            self._begin(due_s)
        self._is_over = True
        self._cancel()
        if self._news is not None:
            self._news.set()

    async def wait(self, timeout_s: float | None) -> bool:
        """Wait until it is heard; False when it is over first, or the time is up."""
        if self._began_s is None and not self._is_over:
            if self._news is None:
                self._news = asyncio.Event()
            if self._sent_s is not None:
                self._watch(self._loop.time())
            try:
                async with asyncio.timeout(timeout_s):
                    await self._news.wait()
            except TimeoutError:
                pass
        return self._began_s is not None

    def _due_s(self) -> float | None:
        """Return when it begins by the clock; None while nothing of it is on its way."""
        return None if self._sent_s is None else max(self._sent_s, self._after_s)

    def _watch(self, now_s: float) -> None:
        """Begin by the clock, now or when the platform has had its time."""
        due_s = self._due_s()
        if due_s is None or self._began_s is not None:
            return
        last_s = due_s + (self._grace_s or 0.0)
        if last_s <= now_s:
            self._begin(due_s)
        elif self._timer is None:
            self._timer = self._loop.call_at(last_s, self._begin, due_s)

    def _begin(self, began_s: float) -> None:
        if self._began_s is None and not self._is_over:
            self._began_s = began_s
            self._cancel()
            tell(self._loop, self._on_started)
            if self._news is not None:
                self._news.set()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
