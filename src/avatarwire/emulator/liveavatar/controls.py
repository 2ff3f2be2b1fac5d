"""What the playground's page can do on a Live Avatar platform."""

from collections.abc import Callable, Sequence
from typing import cast

from avatarwire.emulator.liveavatar.faults import Faults, StartFault
from avatarwire.emulator.liveavatar.session import LiveSession
from avatarwire.emulator.playground import Controls, Deed, link_deeds
from avatarwire.emulator.playground.controls import Microphone, Session

__all__ = ["LiveAvatarControls"]

REASON = "SESSION_BUSY"
NO_CAPACITY = 40001


class LiveAvatarControls(Controls):
    """The user types, speaks and interrupts.

    Args:
        sessions: the sessions so far.
        faults: what goes wrong, asked for at each click.
    """

    title = "Live Avatar"

    def __init__(self, sessions: Sequence[LiveSession], faults: Callable[[], Faults]) -> None:
        self._sessions = sessions
        self._faults = faults

    def sessions(self) -> Sequence[Session]:
        """Return the sessions so far, in order."""
        return self._sessions

    def describe(self, session: Session) -> dict[str, object]:
        """Return its state, and how many turns there were."""
        live = cast("LiveSession", session)
        return {"state": live.state.value, "turns": len(live.turns), "is_over": live.ended}

    async def type_text(self, session: Session, text: str) -> None:
        """Send what the user has typed.

        Raises:
            ConnectionError: the session is not connected.
        """
        await cast("LiveSession", session).send_text(text)

    def interrupt(self, session: Session) -> None:
        """Let the user interrupt what is being said."""
        cast("LiveSession", session).interrupt()

    def open_microphone(self, session: Session) -> Microphone:
        """Return what takes the user's voice."""
        return cast("LiveSession", session).open_microphone()

    def deeds(self) -> Sequence[Deed]:
        """Return what can go wrong at a click."""
        faults = self._faults

        def reject(_: Session | None) -> None:
            faults().rejections.append(REASON)

        def refuse(_: Session | None) -> None:
            faults().starts.append(StartFault(code=NO_CAPACITY))

        def clear(_: Session | None) -> None:
            now = faults()
            now.bandwidth_bit_s, now.latency_s, now.jitter_s = None, 0.0, 0.0
            now.stalls.clear()
            now.rejections.clear()
            now.starts.clear()

        return [
            *link_deeds(faults),
            Deed(
                "reject",
                "Reject next answer",
                f"The next response is rejected: {REASON}.",
                reject,
                lambda: bool(faults().rejections),
            ),
            Deed(
                "refuse",
                "Refuse next start",
                f"The next session, or reconnection, is refused once: {NO_CAPACITY}.",
                refuse,
                lambda: bool(faults().starts),
            ),
            Deed("clear", "Clear faults", "All goes well again.", clear),
        ]
