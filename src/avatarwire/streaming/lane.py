"""Bounded lanes between whoever receives and whoever is slower."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

__all__ = ["Lane"]

T = TypeVar("T")


class Lane(Generic[T]):
    """A queue that drops its oldest item, and counts it, rather than grow or make anyone wait.

    Args:
        limit: how many items it holds.

    Attributes:
        dropped: how many items were dropped: nobody took them in time, or before it was cleared.
    """

    def __init__(self, limit: int) -> None:
        self._items: deque[T] = deque()
        self._limit = limit
        self._closed = False
        self._waiting: list[asyncio.Future[None]] = []
        self.dropped: int = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> bool:
        """Add ``item``; False when the oldest one had to go for it."""
        full = len(self._items) == self._limit
        if full:
            self._items.popleft()
            self.dropped += 1
        self._items.append(item)
        if self._waiting:
            self._wake()
        return not full

    def extend(self, items: Sequence[T]) -> None:
        """Add ``items``, no more than the lane holds; the oldest go for them where they must."""
        over = len(self._items) + len(items) - self._limit
        if over > 0:
            for _ in range(over):
                self._items.popleft()
            self.dropped += over
        self._items.extend(items)
        if self._waiting:
            self._wake()

    def drain(self) -> Iterator[tuple[T]]:
        """Take item after item, each as the arguments of a call, until there is none."""
        while self._items:
            yield (self._items.popleft(),)

    def take(self) -> T:
        """Take the oldest item; there must be one."""
        return self._items.popleft()

    async def get(self) -> T:
        """Take the oldest item, waiting for one.

        Raises:
            StopAsyncIteration: the lane is closed and empty.
        """
        while not self._items:
            if self._closed:
                raise StopAsyncIteration
            news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(news)
            try:
                await news
            finally:
                self._waiting.remove(news)
        return self._items.popleft()

    def close(self) -> None:
        """End it: what is in it can still be taken."""
        self._closed = True
        self._wake()

    def clear(self) -> None:
        """Drop what is in it, and count it."""
        self.dropped += len(self._items)
        self._items.clear()

    def _wake(self) -> None:
        for news in self._waiting:
            if not news.done():
                news.set_result(None)
