"""What Live Avatar's session states prove of a turn's playback: they name no turn."""

import asyncio

from avatarwire.streaming import AudioStream

__all__ = ["PLAYOUT_GRACE_S", "Evidence"]

#: How long after its paced end a turn may stay without a word of the platform.
PLAYOUT_GRACE_S = 5.0
#: A state that comes so much before the paced end is not about this turn's end.
CLOCK_TOLERANCE_S = 0.1
#: One that is about this turn, and comes so much before, tells that the playback was stopped.
STOPPED_EARLY_S = 1.0


class Evidence:
    """Weighs what the avatar's states say of one turn, and ends the turn by it.

    Args:
        stream: the turn.
    """

    __slots__ = ("_idles", "_interrupts", "_others_end_at_s", "_spoke", "_stream")

    def __init__(self, stream: AudioStream) -> None:
        self._stream = stream
        self._spoke = False
        self._others_end_at_s: float | None = None
        # What a platform may still say of our own pauses.
        self._idles = 0
        self._interrupts = 0

    def behind(self, others_end_at_s: float) -> None:
        """Note that the avatar spoke before this turn, with sound until then (loop time)."""
        self._others_end_at_s = others_end_at_s

    def speaking(self) -> None:
        """Note that the avatar speaks now: for this turn, if sound of it has been sent."""
        if self._stream.sent_ms:
            self._spoke = True
            self._stream.start.said(asyncio.get_running_loop().time())

    def paused(self) -> None:
        """Note that the platform was told to stop, because the turn is paused."""
        self._idles += 1
        self._interrupts += 1

    def is_of_pause(self) -> bool:
        """Return whether the platform's word that the turn was stopped is of a pause."""
        is_of_pause = self._interrupts > 0
        self._interrupts -= is_of_pause
        return is_of_pause

    def idle(self, *, shared: bool = False) -> None:
        """End the turn if the avatar, idle now, has spoken for it.

        Args:
            shared: an earlier turn was playing too, so that it may be the one that is meant.
        """
        stream = self._stream
        # As far as is known; some platforms may not say so.
        is_of_pause = self._idles > 0
        self._idles -= is_of_pause
        if stream.sends:
            self._spoke = False
            return
        left_s = stream.ends_at_s - asyncio.get_running_loop().time()
        if not self._spoke:
            if self._others_end_at_s is None:
                return
            # No new SPEAKING: it plays behind what was playing.
            left_s += max(0.0, self._others_end_at_s - stream.begins_at_s)
            shared = True
        shared = shared or is_of_pause
        if left_s <= (CLOCK_TOLERANCE_S if shared else STOPPED_EARLY_S):
            stream.end("completed")
        elif not shared:
            stream.end("interrupted", notify=False)

    def forget(self) -> None:
        """Forget what was noted: another connection tells its own states."""
        self._spoke, self._others_end_at_s = False, None
        self._idles = self._interrupts = 0
