"""Who is told of a platform's sessions: of each as it begins, and when it is let go of."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from avatarwire.emulator.recorded_session import RecordedSession

__all__ = ["Arrivals", "Began"]

Session: TypeAlias = RecordedSession[Any]
#: Is called for a session; what it returns is called when the platform lets go of that one.
Began: TypeAlias = Callable[[Session], Callable[[], None]]


class Arrivals:
    """Tells observers of sessions.

    Args:
        sessions: those that there are, at any time.
    """

    def __init__(self, sessions: Sequence[Session]) -> None:
        self._sessions = sessions
        self._observers: list[tuple[Began, dict[Session, Callable[[], None]]]] = []

    def observe(self, began: Began) -> Callable[[], None]:
        """Call ``began`` for each session, those so far first; return what ends it."""
        observer = (began, {session: began(session) for session in self._sessions})
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def begin(self, session: Session) -> None:
        """Tell of a session that has begun."""
        for began, ends in self._observers:
            ends[session] = began(session)

    def forget(self, session: Session) -> None:
        """Tell that the platform lets go of a session."""
        for _, ends in self._observers:
            ends.pop(session)()
