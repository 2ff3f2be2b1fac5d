"""What the framework hears of the user, told to a platform that leaves recognition to us."""

import logging
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

from livekit.agents import AgentSession, UserInputTranscribedEvent, UserStateChangedEvent
from livekit.agents.voice.events import AgentStateChangedEvent

from avatarwire.session import Conversation
from avatarwire.session.tasks import send_soon

__all__ = ["UserVoice"]

logger: logging.Logger = logging.getLogger("avatarwire.livekit")


class UserVoice:
    """Sends the events of one user's speech, in the order in which the framework has them.

    A platform clears what the avatar says when it is told that the user speaks. It is told when
    the framework has stopped or paused the agent, not when a cough goes by that does not stop it.

    Args:
        agent_session: whose events it follows.
        session: the avatar's.
        on_request: called with the id of each utterance of the user: what is said next answers it.
    """

    def __init__(
        self,
        agent_session: AgentSession[Any],
        session: Conversation,
        on_request: Callable[[str], None],
    ) -> None:
        self._on_request = on_request
        self._request_id: str | None = None
        self._agent_session = agent_session
        self._session = session
        self._is_speaking = False
        self._is_told = False
        self._partials = 0

    def user_state_changed(self, event: UserStateChangedEvent) -> None:
        """Take note that the user speaks, or has stopped."""
        self._is_speaking = event.new_state == "speaking"
        if self._is_speaking:
            self._begin()
        elif self._is_told:
            self._is_told = False
            self._send(self._session.send_voice_finish(self._current()))

    def agent_state_changed(self, event: AgentStateChangedEvent) -> None:
        """Tell what was held back while the agent spoke."""
        del event
        if self._is_speaking and not self._is_told:
            self._begin()

    def transcribed(self, event: UserInputTranscribedEvent) -> None:
        """Tell what was recognised."""
        if self._is_held_back:
            return
        if not event.is_final:
            self._partials += 1
            self._send(
                self._session.send_asr_partial(self._current(), event.transcript, self._partials)
            )
            return
        self._send(self._session.send_asr_final(self._current(), event.transcript))
        self._partials = 0

    @property
    def _is_held_back(self) -> bool:
        return not self._is_told and self._agent_session.agent_state == "speaking"

    def _begin(self) -> None:
        if self._is_told or self._is_held_back:
            return
        self._is_told = True
        self._partials = 0
        self._request_id = None
        self._send(self._session.send_voice_start(self._current()))

    def _current(self) -> str:
        if self._request_id is None:
            self._request_id = str(uuid.uuid4())
            self._on_request(self._request_id)
        return self._request_id

    def _send(self, call: Coroutine[Any, Any, None]) -> None:
        send_soon(call, name="avatarwire livekit voice", logger=logger)
