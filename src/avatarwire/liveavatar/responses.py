"""Which text responses are under way, and what the platform has said of them.

All rules are checked, and an event written, in one step that awaits nothing: whatever tasks do
meanwhile, what one call has checked still holds when it writes.
Source: the wire protocol, "Response lifecycle".
"""

import asyncio
import copy
import logging
import time
import warnings
import weakref
from collections.abc import Callable, Collection, Mapping, MutableMapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from avatarwire.errors import AvatarwireError, BacklogFullError, SessionLostError
from avatarwire.liveavatar.errors import PromptStreamStateError, ResponseStreamStateError
from avatarwire.liveavatar.events import ResponseStateEvent
from avatarwire.liveavatar.messages import Event, MessageBuilder, encode
from avatarwire.liveavatar.protocol import Received
from avatarwire.liveavatar.sending import EventOutbox, Metadata
from avatarwire.liveavatar.token_joiner import split_half
from avatarwire.session.dialect import Part

__all__ = ["Responses", "StreamedResponse"]

logger: logging.Logger = logging.getLogger("avatarwire.liveavatar")

#: So many responses of one session may be neither complete nor cancelled; what a program leaves
#: lying is forgotten beyond that, the oldest first.
MOST_ACTIVE: Final = 1000


class StreamedResponse:
    """What becomes of one streamed response at the platform.

    Args:
        request_id: what it answers.
        response_id: its own id.
        is_prompt: it is a prompt, not an answer.
        resumes: what was sent of it on a lost connection is sent again on the next one; what has
            not been begun waits for a connection in any case.
        hold: told of an event that waits for a connection, and whether it is the last one; raises
            BacklogFullError where too much does.

    Attributes:
        request_id: what it answers.
        response_id: its own id.
        last: the platform's last word on it; None until it comes.
        lost: why no word can come any more; None while one can.
        is_written: its stream sends nothing more.
        is_held: the connection is lost, and its text waits for another one.
    """

    def __init__(
        self,
        request_id: str,
        response_id: str,
        *,
        is_prompt: bool = False,
        resumes: bool,
        hold: Callable[["StreamedResponse", Event, bool], None],
    ) -> None:
        self.request_id = request_id
        self.response_id = response_id
        self.is_held: bool = False
        self._is_prompt = is_prompt
        self._resumes = resumes
        self._hold = hold
        self._is_begun = False
        self._events: list[Event] = []
        self.last: ResponseStateEvent | None = None
        self.lost: AvatarwireError | None = None
        self.is_written = False
        self._settled = asyncio.Event()

    @property
    def is_settled(self) -> bool:
        """Whether the platform has said its last word, or never will."""
        return self._settled.is_set()

    @property
    def is_under_way(self) -> bool:
        """Whether something of it has been sent, and more is to be."""
        ends = self.is_written or self.is_settled
        return self._is_begun and not self.is_held and not ends

    def send(self, outbox: EventOutbox, event: Event, *, is_end: bool = False) -> bool:
        """Write the next of its events; False: wait for room, or for another connection.

        Args:
            outbox: where it goes.
            event: what is written, or kept for another connection.
            is_end: it completes the response: it is kept however much waits already.

        Raises:
            NotConnectedError, SessionLostError: it cannot be sent, and will not be.
            BacklogFullError: too much waits for another connection already; nothing was kept.
            ResponseStreamStateError, PromptStreamStateError: the connection was lost in the middle
                of it, and it does not resume.
        """
        if self.is_held:
            self._hold(self, event, is_end)
            self._events.append(event)
            return False
        try:
            has_room = outbox.write_event_now(event)
        except SessionLostError:
            outbox.require_open()
            if outbox.is_connected:
                raise  # no other connection will come
            if self._is_begun and not self._resumes:
                self.cut_off()
                self.require_alive()
            # At once: its stream may be complete, and gone, before the gap is told.
            self._hold(self, event, is_end)
            self._events.append(event)
            return False
        if self._resumes or not self._is_begun:
            self._events.append(event)
        self._is_begun = True
        return has_room

    def send_again(self, outbox: EventOutbox) -> None:
        """Send everything from its start, on another connection.

        Raises:
            SessionLostError: that one is lost as well.
        """
        for event in self._events:
            outbox.write_event_now(event)
        self._is_begun = True
        self.is_held = False

    def forget(self) -> None:
        """Drop its text, because it is cancelled: nothing of it is sent again."""
        self._events.clear()

    def notice(self, event: ResponseStateEvent) -> None:
        """Take a terminal state; only the first one counts."""
        if not self.is_settled:
            self.last = event
            self._settled.set()

    def lose(self, lost: AvatarwireError) -> None:
        """Send nothing of it any more; ``lost`` says why."""
        self.lost = lost
        self._settled.set()

    def cut_off(self) -> None:
        """End it, because the connection was lost in the middle of it; its session goes on."""
        kind = "prompt" if self._is_prompt else "response"
        error = PromptStreamStateError if self._is_prompt else ResponseStreamStateError
        self.lose(
            error(
                f"{kind} {self.response_id!r} of request {self.request_id!r} was cut off: the"
                f" connection was lost in the middle of it. The session goes on: begin another"
                f' {kind}, or set on_gap="resume" to have it sent again by itself'
            )
        )

    async def wait(self, timeout_s: float | None) -> ResponseStateEvent:
        """Wait for the platform's last word.

        Raises:
            TimeoutError: it did not come in time.
            SessionLostError: the session ended first.
            ResponseStreamStateError, PromptStreamStateError: it was cut off.
        """
        async with asyncio.timeout(timeout_s):
            await self._settled.wait()
        if self.last is not None:
            return self.last
        self.require_alive()
        raise AssertionError("settled by neither")  # pragma: no cover

    def require_alive(self) -> None:
        """Refuse to go on with what is lost.

        Raises:
            SessionLostError: its session has ended.
            ResponseStreamStateError, PromptStreamStateError: it was cut off.
        """
        if self.lost is not None:
            raise copy.copy(self.lost)  # each caller's own: a traceback grows with each raise


@dataclass(slots=True)
class _Active:
    """A text response whose text is not complete.

    Attributes:
        owner: the stream that it belongs to; None for the old-style calls.
        next_seq: of the next old-style chunk.
        is_over: the platform has said its last word on it.
        half: of a character of which the other half has not come.
    """

    request_id: str
    response_id: str
    owner: object | None = None
    next_seq: int = 0
    is_over: bool = False
    half: str = ""

    def __str__(self) -> str:
        kind = "stream" if self.owner is not None else "response"
        return f"{kind} {self.response_id!r} of request {self.request_id!r}"


_NONE: Mapping[str, StreamedResponse] = MappingProxyType({})


class Responses(Part[Received]):
    """The text responses of one agent.

    What a call costs does not grow with the responses that are under way: each is found by its
    request, and by its own id. Of those that are never completed or cancelled, 1,000 are kept; one
    that is forgotten goes on at the platform, and its request may have another.

    Args:
        outbox: where their events go.

    Attributes:
        resume: streams that are open when the connection is lost are sent again on the next one;
            False: they fail.
        limit_bytes: how much of the streams may be written while there is no connection.
    """

    def __init__(self, outbox: EventOutbox) -> None:
        self.resume: bool = False
        self.limit_bytes: int = 0
        self._outbox = outbox
        self._held: list[StreamedResponse] = []
        self._held_bytes = 0
        self._active: dict[str, _Active] = {}  # by request, the oldest first
        self._named: dict[str, dict[str, _Active]] = {}  # by response id, then by request
        self._has_forgotten = False
        # Weak: when nobody holds a stream any more, nobody can ask what became of it. Made with the
        # first one: it is many objects, and most sessions speak.
        self._awaited: Mapping[str, StreamedResponse] = _NONE

    # Streams: each writes its start, and gives what the write gave

    def open_response(
        self, owner: object, request_id: str, response_id: str, start: Event | None
    ) -> tuple[StreamedResponse, bool]:
        """Begin the one active response of a request; without ``start`` nothing is written.

        Raises:
            ResponseStreamStateError: another response of that request is active.
        """
        self._outbox.require_open()
        self._require_idle(request_id, response_id)
        response = StreamedResponse(request_id, response_id, resumes=self.resume, hold=self._hold)
        has_room = True if start is None else response.send(self._outbox, start)
        self._enter(_Active(request_id, response_id, owner))
        self._await(response)
        return response, has_room

    def close_response(self, owner: object, request_id: str) -> None:
        """Let another response of the request begin, unless one has."""
        active = self._active.get(request_id)
        if active is not None and active.owner is owner:
            self._leave(active)

    def open_prompt(
        self, request_id: str, response_id: str, start: Event
    ) -> tuple[StreamedResponse, bool]:
        """Begin a streamed prompt.

        Raises:
            PromptStreamStateError: a response of that id is under way.
        """
        self._outbox.require_open()
        under_way = self._under_way(response_id)
        if under_way is not None:
            raise PromptStreamStateError(
                f"cannot begin prompt {response_id!r} of request {request_id!r}: {under_way}"
            )
        response = StreamedResponse(
            request_id, response_id, is_prompt=True, resumes=self.resume, hold=self._hold
        )
        has_room = response.send(self._outbox, start)
        self._await(response)
        return response, has_room

    # Old-style calls: each writes its event, and gives what the write gave

    def start(
        self,
        request_id: str,
        response_id: str,
        speed: float,
        volume: float,
        mood: str | None,
        metadata: Metadata,
    ) -> bool:
        """Begin a response.

        Raises:
            ResponseStreamStateError: the request has an active response, or one has that id.
        """
        event = MessageBuilder.response_start(
            request_id, response_id, speed, volume, mood, metadata
        )
        self._outbox.require_open()
        self._require_idle(request_id, response_id)
        has_room = self._outbox.write_event(event)
        self._enter(_Active(request_id, response_id))
        return has_room

    def chunk(
        self,
        request_id: str,
        response_id: str,
        seq: int,
        timestamp: int,
        text: str,
        metadata: Metadata,
    ) -> bool:
        """Send the next piece of a response; the first one begins it if nothing has.

        Raises:
            ResponseStreamStateError: ``seq`` is not the next one, or a stream owns the request.
        """
        event = MessageBuilder.response_chunk(
            request_id, response_id, seq, timestamp, text, metadata
        )
        self._outbox.require_open()
        active = self._active.get(request_id)
        if active is None or (active.is_over and active.owner is None and seq == 0):
            awaited = self._awaited_stream(response_id)
            if awaited is not None:
                raise _refusal("begin", request_id, response_id, awaited)
            active = _Active(request_id, response_id)
        elif active.owner is not None:
            raise _refusal("send a chunk of", request_id, response_id, f"{active} owns the request")
        if seq != active.next_seq:
            raise _refusal(
                "send a chunk of",
                request_id,
                response_id,
                f"the next seq is {active.next_seq}, not {seq}",
            )
        event["responseId"] = _wire_id("chunk", response_id, active)
        event["data"]["text"], half = split_half(active.half + text)
        has_room = self._outbox.write_event(event)
        active.half = half
        active.next_seq += 1
        if self._active.get(request_id) is not active:
            self._enter(active)
        return has_room

    def done(self, request_id: str, response_id: str, metadata: Metadata) -> bool:
        """Complete a response.

        Raises:
            ResponseStreamStateError: the request has no active old-style response.
        """
        event = MessageBuilder.response_done(request_id, response_id, metadata)
        self._outbox.require_open()
        active = self._active.get(request_id)
        if active is None:
            raise _refusal("complete", request_id, response_id, "that request has no active one")
        if active.owner is not None:
            raise _refusal("complete", request_id, response_id, f"{active} owns the request")
        event["responseId"] = _wire_id("done", response_id, active)
        if active.half:  # JSON makes U+FFFD of it
            self._outbox.write_event(
                MessageBuilder.response_chunk(
                    request_id,
                    event["responseId"],
                    active.next_seq,
                    time.time_ns() // 1_000_000,
                    active.half,
                )
            )
            active.half = ""
        has_room = self._outbox.write_event(event)
        self._leave(active)
        return has_room

    def cancel(self, response_id: str) -> bool:
        """Abandon the one active response of that id.

        Raises:
            ResponseStreamStateError: there is none, or more than one.
        """
        event = MessageBuilder.response_cancel(response_id)
        self._outbox.require_open()
        named = [active for active in self._of_id(response_id) if active.owner is None]
        matches = [active for active in named if not active.is_over] or named
        if len(matches) != 1:
            found = ", ".join(map(str, matches)) or "none is active"
            raise ResponseStreamStateError(
                f"cannot cancel response {response_id!r}, of which exactly one must be active"
                f" by old-style calls: {found}"
            )
        has_room = self._outbox.write_event(event)
        self._leave(matches[0])
        return has_room

    # What the session tells

    def notice(self, received: Received) -> None:
        """Take what the platform says of a response; what is about none is passed over."""
        if not isinstance(received, ResponseStateEvent) or not received.is_terminal:
            return
        event = received
        response = self._awaited.get(event.response_id)
        if response is not None and response.request_id == event.request_id:
            response.notice(event)
        active = self._active.get(event.request_id)
        if active is not None and active.response_id == event.response_id:
            active.is_over = True

    def gap(self, lost: SessionLostError) -> None:
        """Hold the open streams, or end them: the connection is lost, another may follow."""
        del lost
        for response in list(self._awaited.values()):
            if not response.is_under_way:
                continue
            if self.resume:
                self._keep(response)
                continue
            response.cut_off()
            active = self._active.get(response.request_id)
            if active is not None and active.response_id == response.response_id:
                self._leave(active)  # the request may be answered anew

    def connected(self) -> None:
        """Send what was held from its start, under the same ids: there is a connection again."""
        held, self._held = self._held, []
        self._held_bytes = 0
        for index, response in enumerate(held):
            try:
                response.send_again(self._outbox)
            except SessionLostError:
                self._held = held[index:]
                return

    def _hold(self, response: StreamedResponse, event: Event, is_end: bool) -> None:
        size_bytes = len(encode(event))
        if not is_end and self._held_bytes + size_bytes > self.limit_bytes:
            raise BacklogFullError(self._held_bytes, self.limit_bytes)
        self._held_bytes += size_bytes
        self._keep(response)

    def _keep(self, response: StreamedResponse) -> None:
        # Strongly: its stream may be complete, and gone, before there is a connection.
        if not response.is_held:
            response.is_held = True
            self._held.append(response)

    def ended(self, lost: SessionLostError) -> None:
        """End all streams: nothing can be sent, and the platform says nothing more."""
        self._active.clear()
        self._named.clear()
        self._has_forgotten = False
        for response in list(self._awaited.values()):
            response.lose(lost)  # also where the platform has had its say: its stream may be open
        self._awaited = _NONE
        self._held.clear()
        self._held_bytes = 0

    def _enter(self, active: _Active) -> None:
        """Make ``active`` the one response of its request."""
        previous = self._active.get(active.request_id)
        if previous is not None:
            self._leave(previous)
        self._active[active.request_id] = active
        self._named.setdefault(active.response_id, {})[active.request_id] = active
        if len(self._active) > MOST_ACTIVE:
            oldest = next(iter(self._active.values()))
            self._leave(oldest)
            if not self._has_forgotten:
                self._has_forgotten = True
                logger.warning(
                    "%d responses are neither complete nor cancelled: the oldest are forgotten,"
                    " first %s; complete each, or cancel it (told once a session)",
                    MOST_ACTIVE,
                    oldest,
                )

    def _leave(self, active: _Active) -> None:
        del self._active[active.request_id]
        named = self._named[active.response_id]
        del named[active.request_id]
        if not named:
            del self._named[active.response_id]

    def _of_id(self, response_id: str) -> Collection[_Active]:
        """Return the active ones of that id: old-style calls may give it to several requests."""
        return self._named.get(response_id, {}).values()

    def _await(self, response: StreamedResponse) -> None:
        if not isinstance(self._awaited, MutableMapping):
            self._awaited = weakref.WeakValueDictionary()
        self._awaited[response.response_id] = response

    def _require_idle(self, request_id: str, response_id: str) -> None:
        active = self._active.get(request_id)
        if active is not None and (active.owner is not None or not active.is_over):
            raise _refusal(
                "begin", request_id, response_id, f"{active} is active: complete or cancel it first"
            )
        under_way = self._under_way(response_id)
        if under_way is not None:
            raise _refusal("begin", request_id, response_id, under_way)

    def _under_way(self, response_id: str) -> str | None:
        """Return why an id cannot be used for another response yet, or None when it can."""
        for active in self._of_id(response_id):
            if not active.is_over:
                return f"{active} is active"
        return self._awaited_stream(response_id)

    def _awaited_stream(self, response_id: str) -> str | None:
        response = self._awaited.get(response_id)
        if response is None or response.lost or (response.is_written and response.is_settled):
            return None
        stream = f"the stream {response_id!r} of request {response.request_id!r}"
        if not response.is_written:
            return f"{stream} is open"
        # Two of one id could not be told apart in what the platform says.
        return f"the platform has not said its last word on {stream}"


def _refusal(
    operation: str, request_id: str, response_id: str, why: str
) -> ResponseStreamStateError:
    return ResponseStreamStateError(
        f"cannot {operation} response {response_id!r} of request {request_id!r}: {why}"
    )


def _wire_id(call: str, given: str, active: _Active) -> str:
    """Return the id to send; one response keeps the id that it began with."""
    if given != active.response_id:
        warnings.warn(
            f"{call} names response {given!r} while {active} is active: it goes out as "
            f"{active.response_id!r}; give one response one id, or use response_stream()",
            DeprecationWarning,
            stacklevel=4,
        )
    return active.response_id
