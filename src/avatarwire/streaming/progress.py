"""Which of a turn's sound has been heard, and when."""

from dataclasses import dataclass

__all__ = ["Progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """A run of sound that was heard in one go, and can no longer be taken back.

    Attributes:
        from_ms: where in the turn's sound it begins, in milliseconds.
        to_ms: where it ends.
        at_s: when its beginning was heard, by the clock, in the event loop's time.
    """

    from_ms: float
    to_ms: float
    at_s: float
