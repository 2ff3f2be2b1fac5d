"""When the sound of a turn leaves: arithmetic without a clock."""

from dataclasses import dataclass

from avatarwire.audio import PcmFormat

__all__ = ["Schedule", "Timing"]

MAX_MS = 3_600_000
# Binary fractions of a second are inexact; a frame that fits must not be held back for it.
_EPSILON_S = 1e-6


@dataclass(frozen=True, slots=True)
class Timing:
    """How a turn is paced. All are milliseconds of sound.

    Raises:
        TypeError: a duration is not a number.
        ValueError: ``frame_ms`` is not 1 to 1,000, another duration not 0 to 3,600,000.

    Attributes:
        frame_ms: length of a frame, the least that is sent.
        lead_ms: how much may be ahead of playout; a frame when it is less than one. Below two
            frames nothing is left for a late write: the sound runs out at each.
        batch_ms: how much is written at a time: whole frames, rounded down, at least one, and no
            more than half the lead: the other half is played while the next write may be late.
        buffer_ms: how much may be queued before ``write`` waits, a frame at the least.
        paced: False: as fast as the connection takes it.
    """

    frame_ms: int = 40
    lead_ms: float = 400
    batch_ms: float = 200
    buffer_ms: float = 2000
    paced: bool = True

    def __post_init__(self) -> None:
        for name in ("frame_ms", "lead_ms", "batch_ms", "buffer_ms"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name} must be a number, not {type(value).__name__}")
            if not 0 <= value <= MAX_MS:  # also refuses NaN
                raise ValueError(f"{name} must be 0 to {MAX_MS:,} milliseconds, not {value!r}")
        if not isinstance(self.frame_ms, int) or not 1 <= self.frame_ms <= 1000:
            raise ValueError(f"frame_ms must be a whole number, 1 to 1,000, not {self.frame_ms!r}")


class Schedule:
    """What a ``Timing`` means for sound of one format.

    Attributes:
        frame_bytes: PCM of a whole frame.
        batch_bytes: PCM of a whole batch.
        buffer_bytes: PCM that may be queued before ``write`` waits.
        paced: False: as fast as the connection takes it.
    """

    __slots__ = (
        "_batch_s",
        "_bytes_per_second",
        "_frame_s",
        "_lead_s",
        "batch_bytes",
        "buffer_bytes",
        "frame_bytes",
        "paced",
    )

    def __init__(self, timing: Timing, format_: PcmFormat) -> None:
        self.paced: bool = timing.paced
        self._bytes_per_second = format_.bytes_per_second
        self._frame_s = timing.frame_ms / 1000
        self._lead_s = max(timing.lead_ms / 1000, self._frame_s)
        batch_ms = min(timing.batch_ms, timing.lead_ms / 2)
        batch_frames = int(batch_ms / timing.frame_ms + _EPSILON_S)
        self._batch_s = max(1, batch_frames) * self._frame_s
        self.frame_bytes: int = format_.sample_rate * timing.frame_ms // 1000 * format_.frame_bytes
        self.batch_bytes: int = max(1, batch_frames) * self.frame_bytes
        # Less than a frame does not leave before the end: nobody may have to wait for it.
        self.buffer_bytes: float = max(
            timing.buffer_ms * format_.bytes_per_second / 1000, self.frame_bytes
        )

    def due_bytes(self, queued_bytes: int, ahead_s: float, *, finishing: bool) -> int:
        """Give how much of the queue may leave now.

        Args:
            queued_bytes: PCM that waits.
            ahead_s: what the platform still has to play.
            finishing: nothing more comes, so that the last frame may be short.
        """
        room_s = self._lead_s - ahead_s + _EPSILON_S
        if finishing and queued_bytes / self._bytes_per_second <= room_s:
            return queued_bytes
        if room_s < self._batch_s:
            return 0
        frames = min(queued_bytes // self.frame_bytes, int(room_s / self._frame_s))
        return frames * self.frame_bytes

    def next_ahead_s(self, queued_bytes: int, *, finishing: bool) -> float | None:
        """Give to what ``ahead_s`` must fall before more is due; None when nothing waits."""
        if finishing:
            # The end leaves as late as it may: whatever fits into the lead can still be taken back.
            left_s = min(queued_bytes / self._bytes_per_second, self._batch_s)
        elif queued_bytes >= self.frame_bytes:
            left_s = self._batch_s
        else:
            return None
        return self._lead_s - left_s
