"""What happens to a session, as records and sound, in order: live and in files the same."""

import base64
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from avatarwire.audio import PcmFormat, level
from avatarwire.recording.heard import Heard, Piece
from avatarwire.recording.masking import masked, masked_words
from avatarwire.recording.records import Record, snapshot
from avatarwire.recording.source import Content, Source

__all__ = ["MARGIN_S", "Sink", "Timeline"]

#: What is younger may still change: an interrupt that happened may not have been told yet.
MARGIN_S = 0.25
#: How much may wait to be worked on, in bytes of messages: more is not recorded, and counted.
MOST_WAITING_BYTES = 64_000_000
#: Two readings of one clock differ by no more; asyncio's is ``time.monotonic`` as a rule.
SAME_CLOCK_S = 0.1
#: What an event costs beside its message.
EVENT_BYTES = 200

Event: TypeAlias = tuple[Callable[..., None], float, tuple[Any, ...], int]


class Sink(Protocol):
    """Where records and sound go."""

    def record(self, record: Record) -> None:
        """Take a record."""

    def sound(self, wav: str, pcm: bytes, format_: PcmFormat) -> tuple[str, int] | None:
        """Take sound that goes at the end of a WAV; return that file's name and the first sample.

        None: it is not kept.
        """

    def heard(self, piece: Piece, format_: PcmFormat) -> None:
        """Take what was heard, in stereo, in its place on the line of time."""


class Timeline:
    """Looks at a session, and turns what happens into records.

    What is told on the event loop is only put aside; ``work`` does the rest, in any one thread.

    Args:
        source: what is recorded.
        sink: where it goes.
        content: False: no sound, no words and no pictures, but their lengths and levels.
        now: the clock; ``time.monotonic``.

    Attributes:
        begun_s: the time by ``now`` that is 0 in the recording.
        lost: how many events were not recorded, because too much waited.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        *,
        content: bool = True,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.begun_s: float = now()
        self.lost: int = 0
        self._unix_s = time.time()
        self._source = source
        self._wording = source.wording()
        self._sink = sink
        self._content = content
        self._now = now
        self._events: deque[Event] = deque()
        self._waiting_bytes = 0
        self._told_lost = 0
        self._loop_offset_s: float | None = None
        self._heard = Heard(self._wording.sent_rate)
        self._stop: Callable[[], None] | None = None

    @property
    def now_s(self) -> float:
        """The time in the recording."""
        return self._now() - self.begun_s

    def begin(self) -> None:
        """Write the snapshot, and look from now on."""
        self._sink.record(
            snapshot(
                self._wording,
                self._source.session_id,
                monotonic_s=self.begun_s,
                unix_s=self._unix_s,
                content=self._content,
            )
        )
        self._stop = self._source.observe(self)

    def end(self) -> None:
        """Look no longer; ``work(is_over=True)`` then writes what is left."""
        if self._stop is not None:
            self._stop()
            self._stop = None

    # On the event loop

    def message(self, direction: str, kind: str, data: str | bytes) -> None:
        """Take a message on the wire."""
        del kind
        self._put(self._message, len(data), direction, data)

    def life(self, change: str, facts: Mapping[str, object]) -> None:
        """Take what happens to the session."""
        self._put(self._life, 0, change, {"session": self._source.session_id, **facts})

    def turn(self, turn_id: str, change: str, facts: Mapping[str, object]) -> None:
        """Take a turn's change of state."""
        self._put(self._turn, 0, turn_id, change, facts)

    def sound(
        self, turn_id: str, pcm: bytes, format_: PcmFormat, at_s: float, now_s: float
    ) -> None:
        """Take sound of a turn that is heard from ``at_s`` on, by the clock that says ``now_s``."""
        if self._loop_offset_s is None:
            # Once: two clocks that are read one after the other differ by something each time.
            offset_s = now_s - self._now()
            self._loop_offset_s = 0.0 if abs(offset_s) < SAME_CLOCK_S else offset_s
        if self._content:
            self._put(self._sound, len(pcm), turn_id, pcm, format_, at_s - self._loop_offset_s)

    def silence(self, turn_id: str, now_s: float) -> None:
        """Take note that nothing of a turn is heard from ``now_s`` on."""
        self._put(self._silence, 0, turn_id, now_s - (self._loop_offset_s or 0.0))

    def stats(self, stats: object) -> None:
        """Take the counts of a session."""
        self._put(self._stats, 0, stats)

    def _put(self, work: Callable[..., None], size_bytes: int, *args: object) -> None:
        size_bytes += EVENT_BYTES
        if self._waiting_bytes + size_bytes > MOST_WAITING_BYTES:
            self.lost += 1
            return
        self._waiting_bytes += size_bytes
        self._events.append((work, self._now() - self.begun_s, args, size_bytes))

    # Elsewhere

    def work(self, *, is_over: bool = False) -> None:
        """Write what was put aside.

        Args:
            is_over: also what could still change.
        """
        now_s = self.now_s
        for _ in range(len(self._events)):
            work, t, args, size_bytes = self._events.popleft()
            self._waiting_bytes -= size_bytes
            work(t, *args)
        if self.lost != self._told_lost:
            self._told_lost = self.lost
            self._record(now_s, "life", change="lost_events", count=self.lost)
        if self._content:
            self._hear(now_s if is_over else now_s - MARGIN_S, is_over=is_over)

    def _hear(self, t: float, *, is_over: bool) -> None:
        piece = self._heard.take(t)
        if piece is not None:
            self._sink.heard(piece, self._heard.format)
        for run in self._heard.runs(are_over=is_over):
            self._record(
                run.at / self._heard.format.sample_rate,
                "turn",
                turn=run.turn_id,
                change="heard",
                wav="heard",
                at=run.at,
                n=run.samples,
                rate=self._heard.format.sample_rate,
            )

    def _record(self, t: float, kind: str, **fields: object) -> None:
        self._sink.record(
            {"t": round(t, 6), "ts": round(self._unix_s + t, 6), "kind": kind, **fields}
        )

    def _life(self, t: float, change: str, facts: Mapping[str, object]) -> None:
        facts = masked(dict(facts), self._wording.redacted)
        self._record(t, "life", change=change, **facts)

    def _turn(self, t: float, turn_id: str, change: str, facts: Mapping[str, object]) -> None:
        facts = masked(dict(facts), self._wording.redacted)
        if not self._content:
            facts = {name: value for name, value in facts.items() if not _is_words(name)}
        self._record(t, "turn", turn=turn_id, change=change, **facts)

    def _sound(self, t: float, turn_id: str, pcm: bytes, format_: PcmFormat, at_s: float) -> None:
        del t
        self._heard.avatar(turn_id, pcm, format_, at_s - self.begun_s)

    def _silence(self, t: float, turn_id: str, at_s: float) -> None:
        at = at_s - self.begun_s if self._loop_offset_s is not None else t
        self._heard.silence(turn_id, at)

    def _stats(self, t: float, stats: object) -> None:
        values = {name: _plain(getattr(stats, name)) for name in getattr(stats, "__slots__", ())}
        self._record(t, "stats", stats=values)

    def _message(self, t: float, direction: str, data: str | bytes) -> None:
        wording = self._wording
        content = wording.read(data)
        fields: Record = {
            "dir": "send" if direction == "sent" else "recv",
            "bytes": len(data) if isinstance(data, bytes) else len(data.encode()),
        }
        if content.name:
            fields["name"] = masked_words(content.name, wording.redacted)
        fields |= content.facts
        is_sent_by_client = (fields["dir"] == "send") == (wording.side == "client")
        if content.pcm is not None and content.format is not None:
            fields |= self._heard_words(t, content, content.pcm, content.format, is_sent_by_client)
        if self._content:
            fields |= _words(content, data, wording.redacted)
        self._record(t, content.kind, **fields)

    def _heard_words(
        self, t: float, content: Content, pcm: bytes, format_: PcmFormat, is_avatars: bool
    ) -> Record:
        fields: Record = {
            "n": len(pcm) // format_.frame_bytes,
            "rate": format_.sample_rate,
            "channels": format_.channels,
            "level": round(level(pcm)[0], 4),
        }
        if not self._content:
            return fields
        kept = self._sink.sound("sent" if is_avatars else "user", pcm, format_)
        if kept is not None:
            fields["wav"], fields["at"] = kept
            if content.path:
                fields["path"] = list(content.path)
            if content.head:
                fields["head"] = content.head.hex()
        if not is_avatars:
            self._heard.user(pcm, format_, t)
        return fields


def _words(content: Content, data: str | bytes, redacted: Callable[[str], str]) -> Record:
    """Return what a message says, as far as it is no sound."""
    if content.value is not None:
        return {"json": masked(content.value, redacted)}
    if isinstance(data, str):
        return {"text": masked_words(data, redacted)}
    if content.pcm is not None:
        return {}
    return {"base64": base64.b64encode(data).decode()}


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value


def _is_words(name: str) -> bool:
    return "text" in name or "words" in name
