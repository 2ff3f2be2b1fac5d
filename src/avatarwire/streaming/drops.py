"""What a turn loses to gaps between connections, and to a late one, where it does not wait."""

from avatarwire.audio import PcmFormat
from avatarwire.streaming.intake import Intake
from avatarwire.streaming.timeline import Timeline

__all__ = ["Drops"]


class Drops:
    """Drops what is queued while there is no connection, at the pace at which it was sent.

    Args:
        intake: where the sound comes from.
        timeline: where it is queued.
        sent: its format there.
        buffer_ms: how much more than the gap lasts may be dropped before writers wait.

    Attributes:
        is_on: there is a gap, and what is queued is dropped.
        samples: how much was dropped in all.
    """

    __slots__ = (
        "_begun_s",
        "_buffer_ms",
        "_dropped_bytes",
        "_intake",
        "_sent",
        "_timeline",
        "_up_to_bytes",
        "is_on",
        "samples",
    )

    def __init__(
        self, intake: Intake, timeline: Timeline, sent: PcmFormat, buffer_ms: float
    ) -> None:
        self._intake = intake
        self._timeline = timeline
        self._sent = sent
        self._buffer_ms = buffer_ms
        self._begun_s = 0.0
        self._dropped_bytes = 0  # since the gap began
        self._up_to_bytes = 0  # of what was written, when the last was dropped
        self.is_on: bool = False
        self.samples: int = 0

    @property
    def has_the_end(self) -> bool:
        """Whether the last of the sound so far was dropped.

        It is, too, when a converter has held its very last moments back, and they are sent.
        """
        return 0 < self._up_to_bytes == self._intake.whole_bytes

    def begin(self, now_s: float) -> None:
        """Drop what is queued, now and until the gap ends."""
        self.drop()
        self.is_on = True
        self._begun_s = now_s
        self._dropped_bytes = 0

    def drop(self) -> None:
        """Drop the whole samples: what follows half a sample is its other half."""
        queued_bytes = self._timeline.queued_bytes
        whole_bytes = queued_bytes - queued_bytes % self._sent.frame_bytes
        self._timeline.skip(whole_bytes)
        if whole_bytes:
            self._dropped_bytes += whole_bytes
            self.samples += whole_bytes // self._sent.frame_bytes
            self._up_to_bytes = self._intake.whole_bytes

    def skip_late(self) -> int:
        """Drop what is queued and should have been heard already; return how many samples."""
        samples = self._timeline.skip_late() // self._sent.frame_bytes
        self.samples += samples
        return samples

    def wait_s(self, now_s: float) -> float:
        """Return how long a writer waits as on a connection: until little enough is ahead.

        A source that is faster than sound would lose all of its sound to a gap of a moment, and
        one without an end would let nothing else happen.
        """
        ahead_ms = self._sent.ms(self._dropped_bytes) - self._buffer_ms
        return self._begun_s + ahead_ms / 1000 - now_s
