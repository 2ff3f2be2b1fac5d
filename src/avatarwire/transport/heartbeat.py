"""Finding out that a peer has fallen silent: a ping, a deadline, and grace for a stalled loop."""

import asyncio
from typing import Protocol

__all__ = ["READ_GRACE_S", "Heartbeat", "Pinging"]

READ_GRACE_S = 0.01
"""How long a loop that was stalled has to read what had arrived."""


class Pinging(Protocol):
    """What a heartbeat beats for."""

    def send_ping(self) -> bool:
        """Send a ping; False: not now, and no answer is to be expected."""
        ...

    def peer_is_silent(self) -> None:
        """Take note that no answer came in time."""


class Heartbeat:
    """Has a peer pinged at intervals, and tells when it does not answer.

    A loop that has stalled looks at the clock before it looks at what has arrived. So a deadline
    that has passed is not the end yet: what had arrived is read first.

    Args:
        owner: what pings, and is told of silence.
        interval_s: seconds from one ping to the next; None: none are sent.
        timeout_s: seconds that an answer may take; None: as long as it likes.

    Attributes:
        pinged_at_s: when the last ping was sent, in the event loop's time.
    """

    __slots__ = (
        "_interval_s",
        "_is_late",
        "_is_waiting",
        "_owner",
        "_timeout_s",
        "_timer",
        "pinged_at_s",
    )

    def __init__(self, owner: Pinging, interval_s: float | None, timeout_s: float | None) -> None:
        self.pinged_at_s: float = 0.0
        self._owner = owner
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._is_waiting = False
        self._is_late = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Ping an interval from now."""
        self._ping_at(asyncio.get_running_loop().time())

    def __call__(self) -> None:
        """Do what is due; a timer calls it, which so needs no bound method that is kept."""
        if not self._is_waiting:
            self.beat()
        elif not self._is_late:
            self._is_late = True
            self._set_timer(asyncio.get_running_loop().call_later(READ_GRACE_S, self))
        else:
            self._owner.peer_is_silent()

    def beat(self) -> None:
        """Ping now; the next ping follows an interval later, when this one has been answered."""
        self.pinged_at_s = asyncio.get_running_loop().time()
        if self._owner.send_ping():
            self.pinged()
        else:
            self._ping_at(self.pinged_at_s)

    def pinged(self) -> None:
        """Take note that a ping has been sent just now: its answer is expected."""
        loop = asyncio.get_running_loop()
        self.pinged_at_s = loop.time()
        if self._timeout_s is None:
            self._ping_at(self.pinged_at_s)
            return
        self._is_waiting = True
        self._is_late = False
        self._set_timer(loop.call_later(self._timeout_s, self))

    def heard(self) -> None:
        """Take note of the peer's answer."""
        if self._is_waiting:
            self._is_waiting = False
            self._ping_at(self.pinged_at_s)

    def stop(self) -> None:
        """Send nothing more."""
        self._is_waiting = False
        self._set_timer(None)

    def _ping_at(self, last_s: float) -> None:
        """Ping an interval after ``last_s``, or at once if that has passed."""
        if self._interval_s is not None:
            loop = asyncio.get_running_loop()
            self._set_timer(loop.call_at(last_s + self._interval_s, self))

    def _set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer
