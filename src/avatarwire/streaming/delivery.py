"""What of a turn's sound has arrived: the clock follows it, and what runs out is told."""

import asyncio
from collections.abc import Callable

from avatarwire.streaming.speaker import Speaker
from avatarwire.streaming.telling import tell
from avatarwire.streaming.timeline import Timeline

__all__ = ["Delivery"]

#: How often what is on its way is looked at, once the listener waits for it.
LOOK_S = 0.02
#: How often a program is told that the sound has run out, while it has.
TELL_S = 0.2


class Delivery:
    """Has a turn's clock follow what the peer has acknowledged.

    Args:
        speaker: what the sound goes through.
        timeline: whose clock it is.
        on_underrun: who is told when the sound has run out; None: nobody.

    Attributes:
        is_watched: something was on its way, when it was looked at last: the clock follows.
    """

    __slots__ = (
        "_is_under_way",
        "_on_underrun",
        "_speaker",
        "_tells_at_s",
        "_timeline",
        "_told_s",
        "is_watched",
    )

    def __init__(
        self,
        speaker: Speaker,
        timeline: Timeline,
        on_underrun: Callable[[float], object] | None,
    ) -> None:
        self._speaker = speaker
        self._timeline = timeline
        self._on_underrun = on_underrun
        self._is_under_way = False
        self._told_s = 0.0
        self._tells_at_s = 0.0
        self.is_watched: bool = False

    def look(self, now_s: float) -> None:
        """Look at what has arrived."""
        speaker = self._speaker
        left_bytes = speaker.unacknowledged_bytes()
        if left_bytes:
            self.is_watched = True
            self._is_under_way = self._timeline.acknowledged(
                now_s, speaker.wire_bytes, left_bytes, speaker.least_round_trip_s or 0.0
            )
        elif left_bytes == 0 or not self._is_under_way:
            # Where nothing tells, what was sent counts as arrived, unless it was late when the
            # connection was lost.
            self._timeline.all_arrived()
            self.is_watched = self._is_under_way = False

    def follow(self, now_s: float) -> None:
        """Look at what has arrived, and tell what has run out."""
        self.look(now_s)
        underrun_s = self._timeline.underrun_s
        if underrun_s > self._told_s and now_s >= self._tells_at_s:
            self._told_s, self._tells_at_s = underrun_s, now_s + TELL_S
            tell(asyncio.get_running_loop(), self._on_underrun, underrun_s * 1000)

    def next_look_s(self, now_s: float, due_s: float | None = None) -> float | None:
        """Return when to look again: at ``due_s``, or when what has arrived has been played."""
        if not self._is_under_way:
            return due_s
        look_s = max(self._timeline.starves_at_s, now_s + LOOK_S)
        return look_s if due_s is None else min(look_s, due_s)
