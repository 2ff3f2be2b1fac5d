"""The ports: what is recorded, who is told, and how a platform's messages are read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from avatarwire.audio import PcmFormat

__all__ = ["Content", "Observer", "Sessions", "Side", "Source", "TurnsOnly", "Wording"]

Side: TypeAlias = Literal["client", "platform"]


@dataclass(frozen=True, slots=True)
class Content:
    """What one message holds.

    Attributes:
        kind: ``text``, ``audio``, ``image`` or ``binary``.
        name: what the platform calls such a message; empty when it has no name.
        value: the JSON of a text message that is JSON; the place of its sound holds None.
        pcm: its sound; None when it has none that can be heard as it is.
        format: of the sound.
        path: where in ``value`` the sound is, as base64.
        head: what stands before the sound in a binary message.
        facts: what else is known of it.
    """

    kind: Literal["text", "audio", "image", "binary"]
    name: str = ""
    value: Any = None
    pcm: bytes | None = field(default=None, repr=False)
    format: PcmFormat | None = None
    path: Sequence[str] = ()
    head: bytes = b""
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How the messages of one session are read.

    Attributes:
        platform: whose words they are.
        side: whose session is recorded.
        read: what a message holds; it raises nothing.
        redacted: takes the session's keys and tokens out of text.
        configuration: what the session was made with.
        sent_rate: the usual rate of the avatar's sound, in Hz.
        user_rate: the usual rate of the user's sound, in Hz.
    """

    platform: str
    side: Side
    read: Callable[[str | bytes], Content] = field(repr=False)
    redacted: Callable[[str], str] = field(default=str, repr=False)
    configuration: Mapping[str, object] = field(default_factory=dict, repr=False)
    sent_rate: int = 24000
    user_rate: int = 16000


class Observer(Protocol):
    """Is told all that happens to a session, on the event loop."""

    def message(self, direction: str, kind: str, data: str | bytes) -> None:
        """Take a message on the wire: ``sent`` or ``received``, ``text`` or ``binary``."""

    def life(self, change: str, facts: Mapping[str, object]) -> None:
        """Take what happens to the session: ``connected``, ``gap``, ``ended``."""

    def turn(self, turn_id: str, change: str, facts: Mapping[str, object]) -> None:
        """Take a turn's change of state."""

    def sound(
        self, turn_id: str, pcm: bytes, format_: PcmFormat, at_s: float, now_s: float
    ) -> None:
        """Take sound of a turn, told at ``now_s``, that is heard from ``at_s`` on."""

    def silence(self, turn_id: str, now_s: float) -> None:
        """Take note that nothing of a turn is heard from ``now_s`` on, unless it comes anew."""


class TurnsOnly:
    """The part of an observer that passes over all but turns' changes of state."""

    def message(self, direction: str, kind: str, data: str | bytes) -> None:
        """Pass over a message."""

    def life(self, change: str, facts: Mapping[str, object]) -> None:
        """Pass over what happens to the session."""

    def sound(
        self, turn_id: str, pcm: bytes, format_: PcmFormat, at_s: float, now_s: float
    ) -> None:
        """Pass over sound."""

    def silence(self, turn_id: str, now_s: float) -> None:
        """Pass over silence."""


class Source(Protocol):
    """What can be recorded: an agent, a client, a session of an emulator."""

    @property
    def session_id(self) -> str | None:
        """The session's id; None while it has none."""
        ...

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Tell ``observer`` what happens from now on; return what ends it."""
        ...

    def wording(self) -> Wording:
        """Return how its messages are read."""
        ...


class Sessions(Protocol):
    """What has sessions that can be recorded: an emulator."""

    def observe_sessions(self, began: Callable[[Source], Callable[[], None]]) -> Callable[[], None]:
        """Call ``began`` for each session, those so far first; return what ends it.

        What ``began`` returns is called when the platform lets go of that session.
        """
        ...
