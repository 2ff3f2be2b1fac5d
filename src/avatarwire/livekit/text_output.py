"""What the agent writes, spoken by the platform's own voice."""

import logging
import uuid
from contextlib import AsyncExitStack
from typing import Any

from livekit.agents.voice.io import TextOutput

from avatarwire._tasks import begin_later
from avatarwire.errors import AvatarwireError
from avatarwire.session import Conversation
from avatarwire.session.tasks import keep

__all__ = ["AvatarTextOutput"]

logger: logging.Logger = logging.getLogger("avatarwire.livekit")

TASK = "avatarwire livekit text"


class AvatarTextOutput(TextOutput):
    """Has the platform speak what a LiveKit agent writes, where the platform has the voice.

    Example::

        agent_session.output.transcription = AvatarTextOutput(agent)

    Each segment of text is one response. The platform alone knows when it has been heard, so that
    the framework takes a text for said when it has been written.

    Args:
        session: the avatar's.

    Attributes:
        request_id: what the coming text answers; None: nothing in particular.
    """

    def __init__(self, session: Conversation) -> None:
        super().__init__(label="avatarwire", next_in_chain=None)
        self.request_id: str | None = None
        self._session = session
        self._response: tuple[str, Any, AsyncExitStack] | None = None
        self._last_request: str | None = None

    async def capture_text(self, text: str) -> None:
        """Send the next piece of text.

        Raises:
            ConnectionError, RuntimeError: there is no session to send it on.
        """
        if self._response is None:
            request_id = self.request_id or str(uuid.uuid4())
            stack = AsyncExitStack()
            stream = await stack.enter_async_context(self._session.response_stream(request_id))
            self._response = request_id, stream, stack
            self._last_request = request_id
        await self._response[1].send_chunk(text)

    def flush(self) -> None:
        """Complete the text."""
        if self._response is not None:
            _, _, stack = self._response
            self._response = None
            keep(begin_later(self._told(stack.aclose(), "completed"), name=TASK))

    def interrupt(self) -> None:
        """Stop what is being spoken of the last text."""
        if self._last_request is not None:
            stopping = self._session.send_interrupt(self._last_request)
            self._last_request = None
            keep(begin_later(self._told(stopping, "interrupted"), name=TASK))

    async def _told(self, call: Any, what: str) -> None:  # noqa: ANN401 - a coroutine
        try:
            await call
        except AvatarwireError as exc:
            logger.warning("a text response could not be %s: %s", what, exc)
