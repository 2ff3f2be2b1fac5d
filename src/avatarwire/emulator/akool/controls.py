"""What the playground's page can do on an Akool platform."""

from collections.abc import Callable, Sequence
from typing import cast

from avatarwire.emulator.akool.faults import AkoolFaults
from avatarwire.emulator.akool.session import AkoolSession
from avatarwire.emulator.playground import Controls, Deed, link_deeds
from avatarwire.emulator.playground.controls import Session

__all__ = ["AkoolControls"]

UNAVAILABLE = 503


class AkoolControls(Controls):
    """The user is elsewhere: only what the client sends can be seen and heard.

    Args:
        sessions: the sessions so far.
        faults: what goes wrong, asked for at each click.
    """

    title = "Akool"
    has_user = False
    why_not = (
        "On Akool the user speaks and types over Agora, in the browser; the backend's WebSocket"
        " carries the avatar's voice alone. So there is nobody to be here: what the backend sends"
        " is shown and heard."
    )

    def __init__(self, sessions: Sequence[AkoolSession], faults: Callable[[], AkoolFaults]) -> None:
        self._sessions = sessions
        self._faults = faults

    def sessions(self) -> Sequence[Session]:
        """Return the sessions so far, in order."""
        return self._sessions

    def describe(self, session: Session) -> dict[str, object]:
        """Return whether the client has left."""
        return {"is_over": cast("AkoolSession", session).left is not None}

    def deeds(self) -> Sequence[Deed]:
        """Return what can go wrong at a click."""
        faults = self._faults

        def refuse(_: Session | None) -> None:
            faults().handshakes.append(UNAVAILABLE)

        def clear(_: Session | None) -> None:
            now = faults()
            now.bandwidth_bit_s, now.latency_s, now.jitter_s = None, 0.0, 0.0
            now.stalls.clear()
            now.handshakes.clear()

        return [
            *link_deeds(faults),
            Deed(
                "refuse",
                "Refuse next connection",
                f"The next connection is refused once, with {UNAVAILABLE}.",
                refuse,
                lambda: bool(faults().handshakes),
            ),
            Deed("clear", "Clear faults", "All goes well again.", clear),
        ]
