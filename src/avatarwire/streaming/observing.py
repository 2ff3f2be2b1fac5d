"""Who looks at the turns of one session: a recorder, a monitor. Nobody, as a rule."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from avatarwire.audio import PcmFormat
from avatarwire.streaming.telling import Callbacks

if TYPE_CHECKING:
    from avatarwire.streaming.playout import Playout

__all__ = ["NO_OBSERVERS", "TurnObserver", "TurnObservers"]

ObserverT = TypeVar("ObserverT", bound="TurnObserver")

logger: logging.Logger = logging.getLogger("avatarwire.streaming")


#: Which changes the callbacks tell, and what their argument is called.
_TOLD = {
    "on_started": ("started", ""),
    "on_mark": ("mark", "mark"),
    "on_underrun": ("underrun", "underrun_ms"),
}


class TurnObserver(Protocol):
    """Is told what becomes of turns, on the event loop; it must not block.

    Times are the event loop's, in seconds. A turn is called by its response id.
    """

    def turn(self, turn_id: str, change: str, facts: Mapping[str, object]) -> None:
        """Take a change of state.

        Args:
            turn_id: which turn.
            change: ``opened``, ``started`` (it is heard), ``finishing`` (no more is written),
                ``taken_back`` (what was not heard goes out anew), ``paused``, ``resumed``,
                ``mark``, ``underrun``, ``ended``; others may follow.
            facts: what belongs to it; of ``ended`` the fields of the ``Playout``.
        """

    def sound(
        self, turn_id: str, pcm: bytes, format_: PcmFormat, at_s: float, now_s: float
    ) -> None:
        """Take sound that was sent at ``now_s`` and is heard from ``at_s`` on, by the clock."""

    def silence(self, turn_id: str, now_s: float) -> None:
        """Take note that nothing of the turn is heard from ``now_s`` on, unless it is sent anew."""


class TurnObservers(Generic[ObserverT]):
    """The observers of the turns of one session.

    Attributes:
        each: who they are; empty as a rule, and then nothing is spent.
    """

    __slots__ = ("each",)

    def __init__(self) -> None:
        self.each: tuple[ObserverT, ...] = ()

    def join(self, observer: ObserverT) -> None:
        """Tell one more from now on."""
        self.each = (*self.each, observer)

    def leave(self, observer: ObserverT) -> None:
        """Tell one no more."""
        self.each = tuple(each for each in self.each if each is not observer)

    def change(self, turn_id: str, change: str, **facts: object) -> None:
        """Tell a change of a turn's state."""
        for observer in self.each:
            self.tell(observer.turn, turn_id, change, facts)

    def sound(
        self,
        turn_id: str,
        pcm: bytes | memoryview,
        format_: PcmFormat,
        at_s: float,
        now_s: float,
    ) -> None:
        """Tell that sound was sent, and when it is heard."""
        kept = bytes(pcm)
        for observer in self.each:
            self.tell(observer.sound, turn_id, kept, format_, at_s, now_s)

    def taken_back(self, turn_id: str, now_s: float) -> None:
        """Tell that what was sent and not heard goes out anew."""
        for observer in self.each:
            self.tell(observer.silence, turn_id, now_s)
            self.tell(observer.turn, turn_id, "taken_back", {})

    def resolved(self, turn_id: str, playout: "Playout", now_s: float) -> None:
        """Tell how a turn has ended."""
        facts = asdict(playout)
        for observer in self.each:
            if playout.reason not in {"completed", "timed_out"}:
                self.tell(observer.silence, turn_id, now_s)
            self.tell(observer.turn, turn_id, "ended", facts)

    def beside(self, callbacks: Callbacks, turn_id: str) -> Callbacks:
        """Return callbacks that tell the observers too what the program is told."""
        if not self.each:
            return callbacks

        told = {
            name: self._beside(getattr(callbacks, name), turn_id, change, fact)
            for name, (change, fact) in _TOLD.items()
            if hasattr(callbacks, name)
        }
        return replace(callbacks, **told)

    def _beside(
        self, callback: Callable[..., object] | None, turn_id: str, change: str, fact: str
    ) -> Callable[..., object]:
        def told(*args: object) -> object:
            self.change(turn_id, change, **dict(zip((fact,), args, strict=False)))
            return None if callback is None else callback(*args)

        return told

    def tell(self, call: Callable[..., None], *args: object) -> None:
        """Call an observer; what it raises is logged."""
        try:
            call(*args)
        except Exception:
            logger.exception("an observer raised; the session goes on")


#: Of a turn that nobody can look at.
NO_OBSERVERS: TurnObservers[Any] = TurnObservers()
