"""How a turn of speech ended."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = ["Playout", "PlayoutReason"]

PlayoutReason: TypeAlias = Literal["completed", "interrupted", "failed", "timed_out", "lost"]


@dataclass(frozen=True, slots=True)
class Playout:
    """How a turn of speech ended. Durations are milliseconds of sound; written = sent + dropped.

    Attributes:
        reason: ``completed``: played to its end; ``interrupted``: by us, the user or the platform;
            ``failed``: rejected or failed by the platform; ``timed_out``: no word of its end came
            in time; ``lost``: the session ended first, or its end was dropped in a gap between
            connections (``on_gap="drop"``), whatever was played of the rest.
        written_ms: what was given to the stream.
        sent_ms: what went to the platform.
        dropped_ms: what was given and not sent.
        played_ms: what the listener heard, as far as the clock can tell; all that was sent when
            the platform confirmed the end.
        started_ms: from the first write until the turn began to be heard; None: it did not, as far
            as is known. That is by the platform's word; where it gives none, and the turn was
            played nevertheless, by the clock.
        heard: the names of the marks that the listener has passed.
        heard_text: the words of what was heard, as far as the stream was told them: by the clock,
            a word counts when it has begun.
    """

    reason: PlayoutReason
    written_ms: float
    sent_ms: float
    dropped_ms: float
    played_ms: float
    started_ms: float | None = field(default=None, kw_only=True, compare=False)
    heard: tuple[str, ...] = field(default=(), kw_only=True)
    heard_text: str = field(default="", kw_only=True)
