"""An agent's calls for text that the platform speaks, as streams and one by one."""

import uuid

from avatarwire.liveavatar.messages import MessageBuilder
from avatarwire.liveavatar.responses import Responses
from avatarwire.liveavatar.sending import Metadata, Sender
from avatarwire.liveavatar.text_streams import PromptStream, ResponseStream

__all__ = ["ResponseCalls"]


class ResponseCalls(Sender):
    """Text responses and prompts."""

    _responses: Responses

    def response_stream(
        self,
        request_id: str,
        *,
        speed: float = 1.0,
        volume: float = 1.0,
        mood: str | None = None,
        metadata: Metadata = None,
        send_start: bool = True,
    ) -> ResponseStream:
        """Make one text response, which numbers its chunks and completes or cancels itself.

        Example::

            async with agent.response_stream(request_id) as stream:
                await stream.write_all(tokens)

        Args:
            request_id: what it answers, as the platform gave it.
            speed: 0.5 to 2.
            volume: 0 to 1.5.
            mood: an open set: neutral, happy, sad, angry, excited, calm, serious.
            metadata: for the start event.
            send_start: False: no start event, for old platforms; the first chunk begins it.

        Raises:
            TypeError, ValueError: an argument that the start event cannot hold.
        """
        response_id = str(uuid.uuid4())
        start = MessageBuilder.response_start(
            request_id, response_id, speed, volume, mood, metadata
        )
        return ResponseStream(
            self._outbox,
            self._responses,
            request_id,
            response_id,
            start if send_start else None,
        )

    def prompt_stream(self, request_id: str, *, response_id: str | None = None) -> PromptStream:
        """Make one prompt for an idle user, spoken as it is written.

        Example::

            async with agent.prompt_stream("course-step-42") as prompt:
                await prompt.write_all(tokens)

        Args:
            request_id: your own name for it.
            response_id: its own id; a new UUID4 by default.

        Raises:
            ValueError: an id is blank, or no text.
        """
        return PromptStream(
            self._outbox,
            self._responses,
            request_id,
            str(uuid.uuid4()) if response_id is None else response_id,
        )

    async def send_response_start(
        self,
        request_id: str,
        response_id: str,
        *,
        speed: float = 1.0,
        volume: float = 1.0,
        mood: str | None = None,
        metadata: Metadata = None,
    ) -> None:
        """Begin a text response (optional): speed 0.5 to 2, volume 0 to 1.5, mood an open set.

        Complete each, or cancel it: of those that are left, 1,000 are kept in mind. Beyond that the
        oldest is forgotten, told in the log once a session, and only a new one can follow it.

        Raises:
            ResponseStreamStateError: the request, or the id, has an active response.
        """
        await self._settle(
            self._responses.start(request_id, response_id, speed, volume, mood, metadata)
        )

    async def send_response_chunk(
        self,
        request_id: str,
        response_id: str,
        seq: int,
        timestamp: int,
        text: str,
        metadata: Metadata = None,
    ) -> None:
        """Send the next piece of a text response: ``seq`` 0, 1, 2…, ``timestamp`` in ms.

        Another id than the response began with is not sent: the first one is, with a
        DeprecationWarning.

        Raises:
            ResponseStreamStateError: ``seq`` is not the next one, or a stream owns the request.
        """
        if not self._responses.chunk(request_id, response_id, seq, timestamp, text, metadata):
            await self._outbox.writable()

    async def send_response_done(
        self, request_id: str, response_id: str, metadata: Metadata = None
    ) -> None:
        """Complete a text response; another id than it began with is treated as in a chunk.

        Raises:
            ResponseStreamStateError: the request has no active response, or a stream's.
        """
        await self._settle(self._responses.done(request_id, response_id, metadata))

    async def send_response_cancel(self, response_id: str) -> None:
        """Abandon a text response.

        Raises:
            ResponseStreamStateError: not exactly one response of that id is active.
        """
        await self._settle(self._responses.cancel(response_id))

    async def send_prompt(self, text: str, metadata: Metadata = None) -> None:
        """Have ``text`` spoken to wake an idle user."""
        await self._send_event(MessageBuilder.system_prompt(text, metadata))
