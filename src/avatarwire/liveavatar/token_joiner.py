"""Tokens of text, joined to spare messages."""

import asyncio
import math
from collections.abc import Callable

from avatarwire._checks import is_number

__all__ = ["Joiner", "split_half"]


def split_half(text: str) -> tuple[str, str]:
    """Split off the half of a surrogate pair at the end: its other half begins the next token."""
    whole = len(text) - ("\ud800" <= text[-1:] <= "\udbff")
    return text[:whole], text[whole:]


class Joiner:
    """Joins pieces of text that come faster than they are to be sent.

    Args:
        write: sends text at once; False when the connection is full.
        flush_ms: the least time between two writes, in milliseconds.
    """

    def __init__(self, write: Callable[[str], bool], flush_ms: float) -> None:
        if not is_number(flush_ms):
            raise TypeError(f"flush_ms must be a number, not {type(flush_ms).__name__}")
        if not 0 <= flush_ms < math.inf:
            raise ValueError(f"flush_ms must be 0 or more milliseconds, not {flush_ms!r}")
        self._write = write
        self._flush_s = flush_ms / 1000
        self._loop = asyncio.get_running_loop()
        self._pieces: list[str] = []
        self._next_s = -math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._failure: Exception | None = None
        self._has_room = True

    def add(self, text: str) -> bool:
        """Send a piece, now or joined to others; False when the connection is full."""
        if self._failure is not None:
            raise self._failure
        if not isinstance(text, str):
            raise TypeError(f"the source must give str, not {type(text).__name__}")
        if not text:
            return True
        self._pieces.append(text)
        if self._loop.time() >= self._next_s:
            return self.flush()
        if self._timer is None:
            self._timer = self._loop.call_at(self._next_s, self._tick)
        has_room, self._has_room = self._has_room, True
        return has_room

    def flush(self) -> bool:
        """Send what waits; False when the connection is full."""
        self.close()
        if self._failure is not None:
            raise self._failure
        if not self._pieces:
            return True
        has_room = self._write("".join(self._pieces))
        self._pieces.clear()
        self._next_s = self._loop.time() + self._flush_s
        return has_room

    def close(self) -> None:
        """Send nothing more by itself."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        try:
            self._has_room = self.flush()
        except Exception as exc:
            self._failure = exc
