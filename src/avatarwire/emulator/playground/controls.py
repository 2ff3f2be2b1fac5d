"""The port: what a platform lets the page do."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from avatarwire.emulator.recorded_session import RecordedSession
from avatarwire.emulator.slow_link import LinkFaults

__all__ = ["Controls", "Deed", "Microphone", "Session", "link_deeds"]

Session: TypeAlias = RecordedSession[Any]
#: Takes what a microphone hears, as 16 kHz mono PCM.
Microphone: TypeAlias = Callable[[bytes], None]

SLOW_BIT_S = 300_000
SLOW_LATENCY_S = 0.15
STALL_S = 3.0


class Deed(NamedTuple):
    """Something that goes wrong at a click.

    Attributes:
        name: what the page calls it by.
        label: what stands on its button.
        meaning: what happens.
        do: does it, to the session that is watched if there is one.
        is_on: tells whether it is still to come, or goes on.
    """

    name: str
    label: str
    meaning: str
    do: Callable[[Session | None], None]
    is_on: Callable[[], bool] = lambda: False


class Controls(ABC):
    """What a platform lets the page do.

    Attributes:
        title: the platform's name, for people.
        has_user: whether the user's words and voice go over this platform's connection.
        why_not: where they go otherwise; empty when they do.
    """

    title: str
    has_user: bool = True
    why_not: str = ""

    @abstractmethod
    def sessions(self) -> Sequence[Session]:
        """Return the sessions so far, in order."""

    @abstractmethod
    def describe(self, session: Session) -> dict[str, object]:
        """Return what the list of sessions says of one."""

    @abstractmethod
    def deeds(self) -> Sequence[Deed]:
        """Return what can go wrong at a click."""

    async def type_text(self, session: Session, text: str) -> None:
        """Send what the user has typed.

        Raises:
            ConnectionError: the session is not connected, or has no user here.
        """
        del session, text
        raise ConnectionError(self.why_not)

    def interrupt(self, session: Session) -> None:
        """Let the user interrupt what is being said.

        Raises:
            ConnectionError: the session has no user here.
        """
        del session
        raise ConnectionError(self.why_not)

    def open_microphone(self, session: Session) -> Microphone:
        """Return what takes the user's voice.

        Raises:
            ConnectionError: the session has no user here.
        """
        del session
        raise ConnectionError(self.why_not)


def link_deeds(faults: Callable[[], LinkFaults]) -> list[Deed]:
    """Return what can go wrong with the connections of any platform.

    Args:
        faults: the platform's faults, asked for at each click.
    """

    def cut(session: Session | None) -> None:
        if session is not None:
            session.cut()

    def stall(session: Session | None) -> None:
        if session is not None:
            session.stall(STALL_S)

    def slow(_: Session | None) -> None:
        faults().bandwidth_bit_s, faults().latency_s = SLOW_BIT_S, SLOW_LATENCY_S

    return [
        Deed("cut", "Cut", "The connection is gone without a word.", cut),
        Deed("stall", "Stall 3 s", "Nothing passes for three seconds, either way.", stall),
        Deed(
            "slow",
            "Slow link",
            "300 kbit/s and 150 ms, each way, until it is cleared.",
            slow,
            lambda: faults().is_slow,
        ),
    ]
