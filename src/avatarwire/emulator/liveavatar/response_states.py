"""What the platform says of each response: ``response.state``."""

import time
from collections.abc import Callable

from avatarwire.emulator.liveavatar.faults import Faults
from avatarwire.emulator.liveavatar.player import Turn
from avatarwire.liveavatar.messages import Event

__all__ = ["ResponseStates"]

_BEGINNINGS = frozenset({"response.start", "response.audio.start", "system.prompt.start"})


class ResponseStates:
    """Tells a client how far each of its responses is, and rejects some on demand.

    Args:
        session_id: of the session.
        post: sends an event.

    Attributes:
        faults: what goes wrong.
    """

    def __init__(self, session_id: str, post: Callable[[Event], None]) -> None:
        self._session_id = session_id
        self.faults: Faults = Faults()
        self._post = post
        self._seq = 0
        self._accepted: set[str] = set()
        self._started: set[str] = set()
        self._rejected: set[str] = set()

    def event(
        self,
        request_id: str,
        response_id: str,
        state: str,
        reason: str | None = None,
        seq: int | None = None,
    ) -> Event:
        """Build the next ``response.state``; ``seq`` puts it out of its order."""
        if seq is None:
            self._seq += 1
            seq = self._seq
        return {
            "event": "response.state",
            "sessionId": self._session_id,
            "requestId": request_id,
            "responseId": response_id,
            "seq": seq,
            "timestamp": time.time_ns() // 1_000_000,
            "data": {"state": state} if reason is None else {"state": state, "reason": reason},
        }

    def begun(self, turn: Turn) -> None:
        """Accept a turn, unless it goes on with a response that was accepted."""
        if turn.response_id in self._accepted:
            return
        self._accepted.add(turn.response_id)
        self._tell(turn.request_id, turn.response_id, "ACCEPTED")

    def ended(self, turn: Turn) -> None:
        """Tell how a turn has ended, unless its response goes on."""
        if not turn.reason:
            return
        self._accepted.discard(turn.response_id)
        self._tell(turn.request_id, turn.response_id, "FINISHED", turn.reason)

    def rejects(self, event: Event) -> bool:
        """Return whether an event is of a response that is rejected, now or before."""
        response_id = event.get("responseId")
        if not isinstance(response_id, str):
            return False
        if self._begins(event["event"], event.get("seq"), response_id):
            self._rejected.discard(response_id)
            if self.faults.rejections:
                self._rejected.add(response_id)
                request_id = event.get("requestId")
                self._tell(
                    request_id if isinstance(request_id, str) else "",
                    response_id,
                    "REJECTED",
                    self.faults.rejections.popleft(),
                )
        return response_id in self._rejected

    def _begins(self, name: str, seq: object, response_id: str) -> bool:
        if name in _BEGINNINGS:
            self._started.add(response_id)
            return True
        if name != "response.chunk" or seq != 0:
            return False
        # The first chunk of what was not started begins it.
        was_started = response_id in self._started
        self._started.discard(response_id)
        return not was_started

    def _tell(
        self, request_id: str, response_id: str, state: str, reason: str | None = None
    ) -> None:
        # What has no id cannot be spoken of.
        if response_id and not self.faults.withhold_response_states:
            self._post(self.event(request_id, response_id, state, reason))
