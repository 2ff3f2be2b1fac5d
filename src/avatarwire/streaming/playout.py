"""How a turn of speech ended."""

from dataclasses import dataclass
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
    """

    reason: PlayoutReason
    written_ms: float
    sent_ms: float
    dropped_ms: float
    played_ms: float
