"""The life of a session as rules: what happens goes in, what to do comes out.

There is no clock, socket or task in here. Every rule of connecting again, of final answers and of
endings is decided by this class and nowhere else; ``engine`` does what it says.

    NEW ──start──▶ OPENING ──opened──▶ OPEN ──lost──▶ GAP ──opened──▶ OPEN
     ▲                │                  │             │
     │              failed         closing, stop    failed
     │                ▼                  ▼             ▼
     └──stopped──── ENDED ◀───ended─── CLOSING       ENDED
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from avatarwire.errors import SessionLostError
from avatarwire.transport import ExponentialBackoffStrategy

__all__ = ["Dial", "End", "Lifecycle", "Retry", "State"]

NORMAL_CLOSURE = 1000
ABNORMAL_CLOSURE = 1006


class State(Enum):
    """Where a session is in its life."""

    NEW = "new"
    OPENING = "opening"
    OPEN = "open"
    GAP = "gap"
    CLOSING = "closing"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and when a lost connection is dialled again.

    Attributes:
        attempts: the most attempts without success; 0: a lost connection is the end.
        base_delay_s: the longest wait before the first attempt, in seconds; it doubles.
        max_delay_s: the longest wait before any attempt, in seconds.
        first_at_once: the first attempt after a connection that held waits for nothing.
        steady_s: how long a connection has to hold, in seconds, for the delays to begin anew. One
            that is dropped sooner, and on which nothing came, counts as a failed attempt.
        jitter: wait a random part of each delay.
    """

    attempts: int = 0
    base_delay_s: float = 1.0
    max_delay_s: float = 60.0
    first_at_once: bool = False
    steady_s: float = 8.0
    jitter: bool = True


class Dial(NamedTuple):
    """Dial, after a delay.

    Attributes:
        attempt: which one it is since something last came of one, from 1.
        delay_s: how long to wait first, in seconds.
    """

    attempt: int
    delay_s: float


class End(NamedTuple):
    """Tell that the session has ended.

    Attributes:
        code: the WebSocket close code; 1006 where there was none.
        reason: why, in words; may be empty.
        cause: the error of the attempt that was the last one; None when no attempt was made.
    """

    code: int
    reason: str
    cause: Exception | None = None

    @property
    def error(self) -> SessionLostError:
        """The same as an error to raise."""
        return SessionLostError(self.code, self.reason)


class Lifecycle:
    """The state of one session and the rules for leaving it.

    Attributes:
        state: where it is.
        end: how it ended; None until it has.
        is_ours: the end was asked for by our own ``stop()``.
        is_fruitful: something has come on this connection after its confirmation.
        connections: how many the platform has confirmed in this session.
    """

    def __init__(self) -> None:
        self.state: State = State.NEW
        self.end: End | None = None
        self.is_ours: bool = False
        self.is_fruitful: bool = False
        self.connections: int = 0
        self._retry = Retry()
        self._backoff = ExponentialBackoffStrategy()
        self._attempt = 0
        self._most_attempts = 1
        self._opened_at_s = 0.0
        self._is_first = True

    def start(self, retry: Retry, attempts: int = 1) -> Dial:
        """Begin a session.

        Args:
            retry: how its connection is restored later.
            attempts: how many dials the first connection may take; they do not wait.
        """
        self.state = State.OPENING
        self.end = None
        self.is_ours = False
        self.connections = 0
        self._retry = retry
        self._backoff = ExponentialBackoffStrategy(
            retry.base_delay_s, retry.max_delay_s, jitter=retry.jitter
        )
        self._attempt = 1
        self._most_attempts = attempts
        self._is_first = True
        return Dial(1, 0.0)

    def opened(self, now_s: float) -> None:
        """Take note that the platform has confirmed a connection, at ``now_s``."""
        if self.state in {State.OPENING, State.GAP}:
            self.state = State.OPEN
            self.is_fruitful = False
            self.connections += 1
            self._opened_at_s = now_s

    def closing(self) -> None:
        """Take note that the platform is about to end the session."""
        if self.state in {State.OPENING, State.OPEN, State.GAP}:
            self.state = State.CLOSING

    def lost(self, error: SessionLostError, *, is_final: bool, now_s: float) -> Dial | End | None:
        """Decide what follows the end of a connection.

        Args:
            error: how it ended.
            is_final: the platform takes the session as over after this.
            now_s: when that was.

        Returns:
            None while an attempt is under way: its failure decides.
        """
        if self.state in {State.OPENING, State.GAP}:
            return None
        if self.state is not State.OPEN or is_final or not self._retry.attempts:
            return End(error.code, error.reason)
        self.state = State.GAP
        self._most_attempts = self._retry.attempts
        is_first, self._is_first = self._is_first, False
        if is_first or now_s - self._opened_at_s >= self._retry.steady_s:
            self._attempt = 0
            self._backoff.reset()
            if self._retry.first_at_once:
                self._attempt = 1
                return Dial(1, 0.0)
        elif self.is_fruitful:
            self._attempt = 0
        return self._next_attempt(None)

    def failed(self, error: Exception, *, is_final: bool, has_more: bool = False) -> Dial | End:
        """Decide what follows an attempt that failed.

        Args:
            error: why it failed.
            is_final: asking again is of no use.
            has_more: there is another endpoint, which is dialled without waiting.
        """
        if self.end is not None:
            return self.end
        if self.state is State.OPENING and (is_final or self._attempt >= self._most_attempts):
            lost = error if isinstance(error, SessionLostError) else SessionLostError(1000)
            return End(lost.code, lost.reason, error)
        if is_final or self.state is State.CLOSING:
            if isinstance(error, SessionLostError):
                return End(error.code, error.reason, error)
            return End(ABNORMAL_CLOSURE, f"the platform refused to reconnect: {error}", error)
        if self._attempt < self._most_attempts and (has_more or self.state is State.OPENING):
            self._attempt += 1
            return Dial(self._attempt, 0.0)
        return self._next_attempt(error)

    def stop(self) -> None:
        """Take note that our side ends the session."""
        self.is_ours = True
        if self.state is not State.ENDED:
            self.state = State.CLOSING

    def ended(self, end: End) -> End:
        """Take the session as ended and return how; after our own stop that is 1000."""
        if self.end is None:
            self.end = End(NORMAL_CLOSURE, "") if self.is_ours else end
        self.state = State.ENDED
        return self.end

    def stopped(self) -> None:
        """Take note that nothing is left of the session: another one may begin."""
        self.state = State.NEW

    def _next_attempt(self, error: Exception | None) -> Dial | End:
        if self._attempt >= self._most_attempts:
            return End(
                ABNORMAL_CLOSURE, f"not reconnected in {self._most_attempts} attempts", error
            )
        self._attempt += 1
        return Dial(self._attempt, self._backoff.take())
