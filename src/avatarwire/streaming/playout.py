"""What the listener has heard of a turn, by the clock and by what the platform says."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Playout", "PlayoutClock", "PlayoutReason"]

PlayoutReason: TypeAlias = Literal["completed", "interrupted", "failed", "timed_out", "lost"]


@dataclass(frozen=True, slots=True)
class Playout:
    """How a turn of speech ended. Durations are milliseconds of sound; written = sent + dropped.

    Attributes:
        reason: ``completed``: played to its end; ``interrupted``: by us, the user or the platform;
            ``failed``: rejected or failed by the platform; ``timed_out``: no word of its end came
            in time; ``lost``: the session ended first.
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


class PlayoutClock:
    """The time at which each sample sent will have been played.

    The first sample plays when it is sent, and each one follows the one before it; sound that comes
    after everything else has been played (an underrun) plays when it is sent.

    Attributes:
        sent_samples: how many samples were sent, per channel.
        underruns: how often the sound ran out before more was sent.
        underrun_s: for how long in all.
    """

    __slots__ = ("_begun_s", "_sample_rate", "sent_samples", "underrun_s", "underruns")

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._begun_s: float | None = None
        self.sent_samples: int = 0
        self.underruns: int = 0
        self.underrun_s: float = 0.0

    def begins_at_s(self, now_s: float) -> float:
        """Give when the first sample is played; ``now_s`` before there is one."""
        return now_s if self._begun_s is None else self._begun_s

    def ends_at_s(self, now_s: float) -> float:
        """Give when everything sent has been played; ``now_s`` before the first sample."""
        if self._begun_s is None:
            return now_s
        return self._begun_s + self.sent_samples / self._sample_rate

    def ahead_s(self, now_s: float) -> float:
        """Give how much sound the platform still has to play."""
        return max(0.0, self.ends_at_s(now_s) - now_s)

    def send(self, samples: int, now_s: float) -> None:
        """Note that so many samples were sent."""
        if self._begun_s is None:
            self._begun_s = now_s
        gap_s = now_s - self.ends_at_s(now_s)
        if gap_s > 0 and self.sent_samples:
            # Shifted, not restarted: the sum of many durations would drift.
            self._begun_s += gap_s
            self.underruns += 1
            self.underrun_s += gap_s
        self.sent_samples += samples

    def take_back(self, samples: int, now_s: float) -> None:
        """Note that the last so many samples were lost, and that nothing more is to be played."""
        self.sent_samples -= samples
        self._begun_s = now_s - self.sent_samples / self._sample_rate

    def position_s(self, now_s: float) -> float:
        """Give how much of what was sent has been played."""
        return max(0.0, self.sent_samples / self._sample_rate - self.ahead_s(now_s))
