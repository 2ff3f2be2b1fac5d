"""Who looks at a session: what a recorder and a monitor are told, whatever the platform."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from avatarwire.errors import SessionLostError
from avatarwire.session.dialect import Part
from avatarwire.session.outbox import Outbox
from avatarwire.streaming import TurnObservers

if TYPE_CHECKING:
    from avatarwire.recording import Observer
    from avatarwire.session.session import Session

__all__ = ["Observers", "tell_begun", "watchers"]

#: Who is shown each session of this process as it begins: nobody, unless the program asked for it.
watchers: list[Callable[["Session"], None]] = []


def tell_begun(session: "Session") -> None:
    """Show the watchers a session that begins."""
    for watcher in watchers:
        watcher(session)


class Observers(TurnObservers["Observer"], Part[Any]):
    """The observers of one agent or client; a part of its sessions."""

    __slots__ = ()

    def add(self, observer: "Observer", outbox: Outbox) -> Callable[[], None]:
        """Show an observer what happens from now on; return what ends it."""
        stop_looking = outbox.tap(observer.message)
        self.join(observer)

        def end() -> None:
            stop_looking()
            self.leave(observer)

        return end

    def connected(self) -> None:
        """Tell that there is a connection."""
        self._tell("connected", {})

    def gap(self, lost: SessionLostError) -> None:
        """Tell that the connection is lost, and another one may follow."""
        self._tell("gap", {"code": lost.code, "reason": lost.reason})

    def ended(self, lost: SessionLostError) -> None:
        """Tell that the session has ended."""
        self._tell("ended", {"code": lost.code, "reason": lost.reason})

    def _tell(self, change: str, facts: Mapping[str, object]) -> None:
        for observer in self.each:
            self.tell(observer.life, change, facts)
