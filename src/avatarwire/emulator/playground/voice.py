"""The avatar's voice for a page: what is played, and when by the platform's clock."""

import asyncio
import struct
from array import array
from collections import deque
from collections.abc import Mapping

from avatarwire.audio import PcmFormat

__all__ = ["HEADER", "Voice"]

#: When it is played, the time now, both by the platform's clock in seconds, and the rate in Hz;
#: mono 16-bit samples follow, all of it little-endian.
HEADER = struct.Struct("<ddI")
#: Some ten seconds of 40 ms frames: what waits longer is stale.
MOST_WAITING = 250


class Voice:
    """Looks at a session, and puts its sound into messages for the page.

    Attributes:
        missed: how many messages the page was too slow for.
    """

    def __init__(self) -> None:
        self.missed: int = 0
        self._messages: deque[bytes | float] = deque()
        self._news = asyncio.Event()

    async def next(self) -> bytes | float:
        """Return the next sound; a number is the time from which on nothing is heard any more."""
        while not self._messages:
            self._news.clear()
            await self._news.wait()
        return self._messages.popleft()

    def sound(
        self, turn_id: str, pcm: bytes, format_: PcmFormat, at_s: float, now_s: float
    ) -> None:
        """Take sound that is heard from ``at_s`` on."""
        del turn_id
        self._put(HEADER.pack(at_s, now_s, format_.sample_rate) + _mono(pcm, format_.channels))

    def silence(self, turn_id: str, now_s: float) -> None:
        """Take note that nothing is heard from ``now_s`` on, unless it comes anew."""
        del turn_id
        self._put(now_s)

    def message(self, direction: str, kind: str, data: str | bytes) -> None:
        """Pass over a message: records tell it."""

    def life(self, change: str, facts: Mapping[str, object]) -> None:
        """Pass over what happens to the session: records tell it."""

    def turn(self, turn_id: str, change: str, facts: Mapping[str, object]) -> None:
        """Pass over a turn's change: records tell it."""

    def _put(self, message: bytes | float) -> None:
        self._messages.append(message)
        if len(self._messages) > MOST_WAITING:
            self._messages.popleft()
            self.missed += 1
        self._news.set()


def _mono(pcm: bytes, channels: int) -> bytes:
    """Return the first channel."""
    if channels == 1:
        return pcm
    return array("h", pcm[: len(pcm) - len(pcm) % (2 * channels)])[::channels].tobytes()
