"""When the sound of a turn leaves."""

from dataclasses import dataclass
from numbers import Integral
from typing import Literal

from avatarwire._checks import is_any_real

__all__ = ["MAX_MS", "Timing"]

#: The longest duration there is.
MAX_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Timing:
    """How a turn is paced. All are milliseconds of sound.

    Raises:
        TypeError: a duration is not a number.
        ValueError: ``frame_ms`` is not 1 to 1,000, another duration not 0 to 3,600,000, or
            ``late`` no word for what can be done.

    Attributes:
        frame_ms: length of a frame, the least that is sent.
        lead_ms: how much may be ahead of playout; a frame when it is less than one. Below two
            frames nothing is left for a late write: the sound runs out at each.
        batch_ms: how much is written at a time: whole frames, rounded down, at least one, and no
            more than half the lead: the other half is played while the next write may be late.
        buffer_ms: how much may be queued before ``write`` waits, a frame at the least.
        paced: False: as fast as the connection takes it.
        late: what becomes of sound that the connection has held up until its time had passed:
            ``"play"``: it is heard later, and all that follows; ``"skip"``: it is dropped, and the
            turn goes on where it would be. Nothing is skipped of a turn that is not paced.
    """

    frame_ms: int = 40
    lead_ms: float = 400
    batch_ms: float = 200
    buffer_ms: float = 2000
    paced: bool = True
    late: Literal["play", "skip"] = "play"

    def __post_init__(self) -> None:
        for name in ("frame_ms", "lead_ms", "batch_ms", "buffer_ms"):
            value = getattr(self, name)
            if not is_any_real(value):
                raise TypeError(f"{name} must be a number, not {type(value).__name__}")
            # The instance is frozen; a number of NumPy, which may overflow, becomes a plain one.
            plain = int(value) if isinstance(value, Integral) else float(value)
            object.__setattr__(self, name, plain)
            if not 0 <= plain <= MAX_MS:  # also refuses NaN
                raise ValueError(f"{name} must be 0 to {MAX_MS:,} milliseconds, not {value!r}")
        if not isinstance(self.frame_ms, int) or not 1 <= self.frame_ms <= 1000:
            raise ValueError(f"frame_ms must be a whole number, 1 to 1,000, not {self.frame_ms!r}")
        if self.late not in {"play", "skip"}:
            raise ValueError(f'late must be "play" or "skip", not {self.late!r}')
