"""The last seconds of a session, kept in memory until something goes wrong."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from avatarwire.audio import PcmFormat
from avatarwire.recording.heard import Piece
from avatarwire.recording.records import Record
from avatarwire.recording.timeline import Sink

__all__ = ["Ring", "is_error"]

NORMAL_CLOSURE = 1000
RECORD_BYTES = 500

Sound: TypeAlias = tuple[str, bytes, PcmFormat]
#: Passes on what is kept.
Kept: TypeAlias = Callable[[Sink], None]


def is_error(record: Record) -> bool:
    """Return whether a record tells that something went wrong."""
    match record:
        case {"kind": "life", "change": "ended", "code": code}:
            return bool(code != NORMAL_CLOSURE)
        case {"kind": "turn", "change": "ended", "reason": "failed" | "lost"}:
            return True
    return False


class Ring:
    """A sink that keeps what is young, and passes it on at the first error, with all that follows.

    Args:
        keep_s: how much is kept, in seconds.
        max_bytes: how much at the most.
        open_sink: makes what it is passed on to.

    Attributes:
        sink: that; None as long as nothing went wrong.
    """

    def __init__(self, keep_s: float, max_bytes: int, open_sink: Callable[[], Sink]) -> None:
        self.sink: Sink | None = None
        self._keep_s = keep_s
        self._max_bytes = max_bytes
        self._open_sink = open_sink
        self._snapshot: Record | None = None
        self._kept: deque[tuple[float, int, Kept]] = deque()
        self._kept_bytes = 0
        self._sound: Sound | None = None  # of the record that comes next
        self._now_s = 0.0

    def record(self, record: Record) -> None:
        """Keep a record, or pass it on."""
        if self.sink is not None:
            self.sink.record(record)
            return
        if self._snapshot is None:
            self._snapshot = record
            return
        sound, self._sound = self._sound, None
        size_bytes = RECORD_BYTES + len(record.get("base64", "")) + len(sound[1] if sound else b"")
        self._keep(record["t"], size_bytes, partial(_pass_on, record, sound))
        if is_error(record):
            self.dump()

    def sound(self, wav: str, pcm: bytes, format_: PcmFormat) -> tuple[str, int] | None:
        """Keep sound for the record that comes next, or pass it on."""
        if self.sink is not None:
            return self.sink.sound(wav, pcm, format_)
        self._sound = (wav, pcm, format_)
        return wav, 0  # where it will be is not known yet

    def heard(self, piece: Piece, format_: PcmFormat) -> None:
        """Keep what was heard, or pass it on."""
        if self.sink is not None:
            self.sink.heard(piece, format_)
        else:
            self._keep(
                piece.at / format_.sample_rate,
                len(piece.pcm),
                lambda sink: sink.heard(piece, format_),
            )

    def dump(self) -> None:
        """Pass on what is kept, and all that follows."""
        if self.sink is not None:
            return
        sink = self.sink = self._open_sink()
        if self._snapshot is not None:
            sink.record(self._snapshot)
        for _, _, kept in self._kept:
            kept(sink)
        self._kept.clear()

    def _keep(self, t: float, size_bytes: int, kept: Kept) -> None:
        self._now_s = max(self._now_s, t)
        self._kept.append((t, size_bytes, kept))
        self._kept_bytes += size_bytes
        while self._kept and (
            self._kept_bytes > self._max_bytes or self._kept[0][0] < self._now_s - self._keep_s
        ):
            self._kept_bytes -= self._kept.popleft()[1]


def _pass_on(record: Record, sound: Sound | None, sink: Sink) -> None:
    """Pass on a record: its sound is elsewhere than was said when it was put aside."""
    if sound is not None:
        place = sink.sound(*sound)
        record = {name: value for name, value in record.items() if name not in {"wav", "at"}}
        if place is not None:
            record["wav"], record["at"] = place
    sink.record(record)
