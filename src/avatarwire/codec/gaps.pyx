# cython: freethreading_compatible=True
"""What is missing from a stream of audio frames."""

cimport cython

from avatarwire.codec._bits cimport SEQ_MASK, TIMESTAMP_MASK
from avatarwire.codec._fields cimport fit, wrap


@cython.final
cdef class Gap:
    """Frames that never came, or came too late, at the place in the stream where they are missing.

    Args:
        seq: Counter of the first missing frame; any integer, taken modulo 4,096.
        timestamp: Where the silence begins, in milliseconds; any integer, taken modulo 1,048,576.
        frames: How many frames are missing, 1 to 4,095.
        duration_ms: How much sound is missing, in milliseconds; as exact as the timestamps are,
            and never more than so many frames as long as their neighbours last.

    Raises:
        TypeError: An argument is no integer.
        ValueError: ``frames`` or ``duration_ms`` is out of its range.
    """

    __match_args__ = ("seq", "timestamp", "frames", "duration_ms")

    def __init__(self, seq, timestamp, frames, duration_ms):
        self.first_seq = wrap(seq, SEQ_MASK, "seq")
        self.start_ms = wrap(timestamp, TIMESTAMP_MASK, "timestamp")
        self.count = <int> fit(frames, 1, SEQ_MASK, "frames")
        self.lost_ms = fit(duration_ms, 0, 0x7FFFFFFFFFFFFFFF, "duration_ms")

    @property
    def seq(self):
        """Counter of the first missing frame, 0 to 4,095."""
        return self.first_seq

    @property
    def timestamp(self):
        """Where the silence begins, in milliseconds, 0 to 1,048,575."""
        return self.start_ms

    @property
    def frames(self):
        """How many frames are missing."""
        return self.count

    @property
    def duration_ms(self):
        """How much sound is missing, in milliseconds."""
        return self.lost_ms

    def __eq__(self, other):
        if not isinstance(other, Gap):
            return NotImplemented
        return self.__reduce__() == other.__reduce__()

    def __hash__(self):
        return hash(self.__reduce__())

    def __repr__(self):
        return (
            f"Gap(seq={self.first_seq}, timestamp={self.start_ms}, frames={self.count}, "
            f"duration_ms={self.lost_ms})"
        )

    def __reduce__(self):
        return Gap, (self.first_seq, self.start_ms, self.count, self.lost_ms)
