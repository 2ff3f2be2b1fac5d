"""Text that the platform speaks, streamed: answers, and prompts for an idle user.

Source: the wire protocol, "Response lifecycle".
"""

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Iterable
from types import TracebackType
from typing import Literal, Self

from avatarwire.errors import AvatarwireError
from avatarwire.liveavatar.errors import PromptStreamStateError, ResponseStreamStateError
from avatarwire.liveavatar.events import ResponseStateEvent
from avatarwire.liveavatar.messages import Event, MessageBuilder
from avatarwire.liveavatar.responses import Responses, StreamedResponse
from avatarwire.liveavatar.sending import EventOutbox, Metadata
from avatarwire.liveavatar.token_joiner import Joiner, split_half

__all__ = ["PromptStream", "ResponseStream"]

#: So many characters of one stream are kept, to tell which were heard.
MOST_CHARACTERS = 1_000_000


class _TextStream(ABC):
    """What both kinds of stream have in common.

    Attributes:
        request_id: what the stream answers.
        response_id: the stream's own id.
    """

    _error: type[AvatarwireError]
    _kind: str

    def __init__(
        self, outbox: EventOutbox, responses: Responses, request_id: str, response_id: str
    ) -> None:
        self.request_id = request_id
        self.response_id = response_id
        self._outbox = outbox
        self._responses = responses
        self._state: Literal["new", "open", "closed"] = "new"
        self._response: StreamedResponse | None = None
        self._next_seq = 0
        self._half = ""  # of a character of which the other half has not come
        self._said: list[str] = []
        self._characters = 0

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.response_id!r} of request {self.request_id!r}"
            f" {self._state}>"
        )

    @property
    def is_finished(self) -> bool:
        """Whether the platform has said its last word on it, or never will."""
        return self._response is not None and self._response.is_settled

    @property
    def heard_text(self) -> str | None:
        """What was heard of it, on the evidence of ``heard_evidence``.

        All of its text once the platform has said that it was played to its end, nothing of it when
        the platform has rejected it. None: it is not known, because the platform has not said its
        last word, or says only that it stopped somewhere, or because it is over a million
        characters.
        """
        event = self.heard_evidence
        if event is None or self._characters > MOST_CHARACTERS:
            return None
        if event.state == "REJECTED":
            return ""
        if event.reason != "COMPLETED":
            return None
        # Characters that came in halves become whole.
        return "".join(self._said).encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    @property
    def heard_evidence(self) -> ResponseStateEvent | None:
        """The platform's last word on it, from ``response.state``; None until it comes."""
        return None if self._response is None else self._response.last

    async def wait_finished(
        self,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> ResponseStateEvent:
        """Wait for the platform's last word: the first ``REJECTED`` or ``FINISHED``.

        Only ``FINISHED`` with the reason ``COMPLETED`` says that it was played to its end.

        Args:
            timeout: seconds to wait at the most. Not every platform sends states.

        Raises:
            TimeoutError: nothing came in time; a later call may still learn it.
            SessionLostError: the session ended for good first.
            ResponseStreamStateError, PromptStreamStateError: the stream has not been entered, or a
                lost connection cut it off (``on_gap`` of the configuration).
        """
        if self._response is None:
            raise self._refusal("wait for", "it has not been entered: use async with")
        return await self._response.wait(timeout)

    async def write_all(
        self, source: AsyncIterable[str] | Iterable[str], *, flush_ms: float = 0
    ) -> bool:
        """Send all text that ``source`` gives, each piece as it comes; empty ones are left out.

        Example::

            async with agent.response_stream(request_id) as stream:
                await stream.write_all(llm.tokens(prompt), flush_ms=50)

        Args:
            source: an async iterable of text, such as a model's tokens, or a plain one.
            flush_ms: the least time between two messages, in milliseconds: pieces that come
                sooner are joined. The first one never waits.

        Returns:
            Whether all of it was sent: False when the platform said its last word first, and
            the rest was not asked for.

        Raises:
            TypeError: ``source`` is no iterable, or gives something else than text.
            ValueError: ``flush_ms`` is negative or not finite.
            SessionLostError: the session ended.
            ResponseStreamStateError, PromptStreamStateError: it is not open, or was cut off.
        """
        if isinstance(source, str | bytes):
            raise TypeError("write_all takes an iterable of text: one piece goes to a send call")
        joiner = Joiner(self._write_now, flush_ms)
        self._require_open("write to")
        try:
            if isinstance(source, AsyncIterable):
                async for text in source:
                    if not await self._join(joiner, text):
                        return False
            else:
                for text in source:
                    if not await self._join(joiner, text):
                        return False
            if not joiner.flush():
                await self._outbox.writable()
        finally:
            joiner.close()
        return True

    async def _join(self, joiner: Joiner, text: str) -> bool:
        """Take one piece of text; False when the platform wants no more."""
        if self._response is not None and self._response.last is not None:
            return False
        if not joiner.add(text):
            await self._outbox.writable()
        return True

    def _write_now(self, text: str) -> bool:
        return self._write(text, None, None)

    def _write(self, text: str, timestamp: int | None, metadata: Metadata) -> bool:
        """Write the next chunk at once; False when the connection is full."""
        self._require_open("write to")
        if timestamp is None:
            timestamp = time.time_ns() // 1_000_000
        half = ""
        if isinstance(text, str):
            text, half = split_half(self._half + text)
        chunk = self._chunk(text, timestamp, metadata)  # refuses what it cannot hold
        if half and not text and not metadata:
            self._half = half
            return True
        has_room = self._send(chunk)
        self._half = half
        self._next_seq += 1
        self._characters += len(text)
        if self._characters <= MOST_CHARACTERS:
            self._said.append(text)
        else:
            self._said.clear()
        return has_room

    def _write_half(self) -> None:
        """Send the half of a character that is left at the end; JSON makes U+FFFD of it."""
        if self._half:
            half, self._half = self._half, ""
            self._send(self._chunk(half, time.time_ns() // 1_000_000, None))
            self._next_seq += 1

    def _send(self, event: Event, *, is_end: bool = False) -> bool:
        """Write at once, or hold for another connection; False when either takes a wait."""
        if self._response is None:
            raise self._refusal("write to", "it has not been entered: use async with")
        return self._response.send(self._outbox, event, is_end=is_end)

    @abstractmethod
    def _chunk(self, text: str, timestamp: int, metadata: Metadata, /) -> Event:
        """Build the next chunk."""

    def _require_open(self, operation: str) -> None:
        if self._response is None:
            raise self._refusal(operation, "it has not been entered: use async with")
        if self._state == "closed":
            raise self._refusal(operation, "it has been completed or cancelled")
        # An agent that was started anew has another session, to which this text does not belong.
        self._response.require_alive()

    def _close(self) -> None:
        self._state = "closed"
        if self._response is not None:
            self._response.is_written = True

    def _require_new(self) -> None:
        if self._state != "new":
            raise self._refusal("enter", "it has been entered before: make another one")

    def _refusal(self, operation: str, why: str) -> AvatarwireError:
        return self._error(
            f"cannot {operation} {self._kind} {self.response_id!r} of request"
            f" {self.request_id!r}: {why}"
        )


class ResponseStream(_TextStream):
    """One text response; an agent's ``response_stream()`` makes it.

    Example::

        async with agent.response_stream(request_id) as stream:
            async for token in tokens:
                await stream.send_chunk(token)
        event = await stream.wait_finished(timeout=60)

    Entering begins the response, leaving normally completes it, and leaving by an exception or a
    cancellation cancels it. A request has one active response at a time.
    """

    _error = ResponseStreamStateError
    _kind = "response"

    def __init__(
        self,
        outbox: EventOutbox,
        responses: Responses,
        request_id: str,
        response_id: str,
        start: Event | None,
    ) -> None:
        super().__init__(outbox, responses, request_id, response_id)
        self._start = start

    async def send_chunk(
        self, text: str, *, timestamp: int | None = None, metadata: Metadata = None
    ) -> None:
        """Send the next piece of text.

        Args:
            text: the words, spaces included.
            timestamp: milliseconds; now by default.
            metadata: goes into the event's ``data``.

        Raises:
            TypeError, ValueError: an argument that the event cannot hold.
            ResponseStreamStateError: the stream is not open, or was cut off.
            SessionLostError: the session has ended.
        """
        if not self._write(text, timestamp, metadata):
            await self._outbox.writable()

    async def done(self, metadata: Metadata = None) -> None:
        """Complete the text; leaving the stream does it.

        Raises:
            TypeError, ValueError: metadata that the event cannot hold.
            ResponseStreamStateError: the stream is not open, or was cut off.
            SessionLostError: the session has ended.
        """
        self._require_open("complete")
        event = MessageBuilder.response_done(self.request_id, self.response_id, metadata)
        self._write_half()
        has_room = self._send(event, is_end=True)
        self._close()
        if not has_room:
            await self._outbox.writable()

    async def cancel(self) -> None:
        """Abandon the response.

        Raises:
            ResponseStreamStateError: the stream is not open, or was cut off.
            SessionLostError: the session has ended.
        """
        self._require_open("cancel")
        # No wait for room: whoever cancels has no more to send.
        self._outbox.write_event(MessageBuilder.response_cancel(self.response_id))
        if self._response is not None:
            self._response.forget()
        self._close()

    async def __aenter__(self) -> Self:
        self._require_new()
        self._response, has_room = self._responses.open_response(
            self, self.request_id, self.response_id, self._start
        )
        self._state = "open"
        try:
            if not has_room:
                await self._outbox.writable()
        except BaseException as exc:
            await self._cancel_for(exc)
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._state == "closed":
            return
        try:
            if exc is None:
                await self.done()
            else:
                await self._cancel_for(exc)
        finally:
            self._close()  # one that could not be completed is over all the same

    async def _cancel_for(self, exc: BaseException) -> None:
        """Cancel because of ``exc``, which stays the error that is told."""
        try:
            await self.cancel()
        except Exception as failure:
            exc.add_note(f"the response {self.response_id!r} could not be cancelled: {failure}")
            self._close()

    def _close(self) -> None:
        super()._close()
        self._responses.close_response(self, self.request_id)

    def _chunk(self, text: str, timestamp: int, metadata: Metadata, /) -> Event:
        return MessageBuilder.response_chunk(
            self.request_id, self.response_id, self._next_seq, timestamp, text, metadata
        )


class PromptStream(_TextStream):
    """One streamed prompt for an idle user; an agent's ``prompt_stream()`` makes it.

    Example::

        async with agent.prompt_stream("course-step-42") as prompt:
            await prompt.send("Now let's look at the next question.")

    Entering begins the prompt, leaving normally completes it. The protocol cannot cancel a prompt:
    leaving by an exception only closes it here.
    """

    _error = PromptStreamStateError
    _kind = "prompt"

    def __init__(
        self, outbox: EventOutbox, responses: Responses, request_id: str, response_id: str
    ) -> None:
        super().__init__(outbox, responses, request_id, response_id)
        self._next_seq = 1
        self._start = MessageBuilder.system_prompt_start(request_id, response_id)

    async def send(self, text: str, *, timestamp: int | None = None) -> None:
        """Send the next piece of text; ``timestamp`` in milliseconds, now by default.

        Raises:
            TypeError, ValueError: an argument that the event cannot hold.
            PromptStreamStateError: the stream is not open, or was cut off.
            SessionLostError: the session has ended.
        """
        if not self._write(text, timestamp, None):
            await self._outbox.writable()

    async def done(self) -> None:
        """Complete the text; leaving the stream does it.

        Raises:
            PromptStreamStateError: the stream is not open, or was cut off.
            SessionLostError: the session has ended.
        """
        self._require_open("complete")
        event = MessageBuilder.system_prompt_done(self.request_id, self.response_id)
        self._write_half()
        has_room = self._send(event, is_end=True)
        self._close()
        if not has_room:
            await self._outbox.writable()

    async def __aenter__(self) -> Self:
        self._require_new()
        self._response, has_room = self._responses.open_prompt(
            self.request_id, self.response_id, self._start
        )
        self._state = "open"
        try:
            if not has_room:
                await self._outbox.writable()
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if exc is None and self._state == "open":
                await self.done()
        finally:
            self._close()

    def _chunk(self, text: str, timestamp: int, _metadata: Metadata, /) -> Event:
        return MessageBuilder.system_prompt_chunk(
            self.request_id, self.response_id, self._next_seq, timestamp, text
        )
