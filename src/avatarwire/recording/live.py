"""The same records, live: what a monitor and a playground show."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeAlias

from avatarwire.audio import PcmFormat
from avatarwire.recording.heard import Piece
from avatarwire.recording.records import Record
from avatarwire.recording.source import Source
from avatarwire.recording.timeline import Timeline

__all__ = ["Live", "Sound"]

INTERVAL_S = 0.04


@dataclass(frozen=True, slots=True)
class Sound:
    """Sound that records refer to.

    Attributes:
        wav: ``sent``, ``user`` or ``heard``.
        at: its first sample there.
        pcm: 16-bit little-endian samples.
        format: of it.
    """

    wav: str
    at: int
    pcm: bytes = field(repr=False)
    format: PcmFormat


Item: TypeAlias = Record | Sound


class Live:
    """Yields a session's records as they come, the snapshot first, on the event loop.

    Example::

        with Live(session) as live:
            async for item in live:
                show(item)

    Sound comes as ``Sound`` before the record that refers to it. Whoever reads too slowly misses
    the oldest; how many, ``missed`` says.

    Args:
        source: an agent, a client, or a session of an emulator.
        content: False: no sound, no words and no pictures, but their lengths and levels.
        most: how many items wait for the reader.

    Attributes:
        missed: how many items the reader was too slow for.
    """

    def __init__(self, source: Source, *, content: bool = True, most: int = 2000) -> None:
        self.missed: int = 0
        self._items: deque[Item] = deque()
        self._most = most
        self._timeline = Timeline(source, self, content=content)
        self._samples: dict[str, int] = {}
        self._is_over = False

    def __enter__(self) -> Self:
        self._timeline.begin()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over = True
        self._timeline.end()

    async def __aiter__(self) -> AsyncIterator[Item]:
        while True:
            while self._items:
                yield self._items.popleft()
            if self._is_over:
                return
            await asyncio.sleep(INTERVAL_S)
            self._timeline.work(is_over=self._is_over)

    def record(self, record: Record) -> None:
        """Take a record from the timeline."""
        self._add(record)

    def sound(self, wav: str, pcm: bytes, format_: PcmFormat) -> tuple[str, int]:
        """Take sound from the timeline."""
        at = self._samples.get(wav, 0)
        self._samples[wav] = at + len(pcm) // format_.frame_bytes
        self._add(Sound(wav, at, pcm, format_))
        return wav, at

    def heard(self, piece: Piece, format_: PcmFormat) -> None:
        """Take what was heard from the timeline."""
        self._add(Sound("heard", piece.at, piece.pcm, format_))

    def _add(self, item: Item) -> None:
        self._items.append(item)
        while len(self._items) > self._most:
            self._items.popleft()
            self.missed += 1
