"""Random interleavings of text responses and prompts: no order of calls breaks a rule."""

import asyncio
import gc
import sys
import warnings

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from avatarwire.errors import SessionLostError
from avatarwire.liveavatar.errors import PromptStreamStateError, ResponseStreamStateError
from avatarwire.liveavatar.events import ResponseStateEvent
from avatarwire.liveavatar.messages import MessageBuilder
from avatarwire.liveavatar.responses import MOST_ACTIVE, Responses
from avatarwire.liveavatar.text_streams import PromptStream, ResponseStream

STATE_ERRORS = (ResponseStreamStateError, PromptStreamStateError)
requests = st.sampled_from(["r", "s", "t"])
ids = st.sampled_from(["a", "b"])


def is_stream(response):
    """Whether a stream made that id; one without a start event may end before it began."""
    return response.startswith("stream")


class Wire:
    """An outlet, and the judge of what leaves by it: the rules, told from the platform's side."""

    def __init__(self):
        self.is_full = False
        self.is_open = True
        self.wrote = set()  # tasks
        self.active = {}  # by request: [response id, next seq, told to be over]
        self.prompts = {}  # by response id: next seq, None once done
        self._room = asyncio.Event()

    is_connected = True

    def require_open(self):
        if not self.is_open:
            raise SessionLostError(1006)
        return self

    def write_event_now(self, event):
        return self.write_event(event)

    def write_event(self, event):
        self.require_open()
        self.wrote.add(asyncio.current_task())
        name = event["event"].replace(".", "_")
        getattr(self, name)(event, event.get("requestId"), event["responseId"])
        return not self.is_full

    async def writable(self):
        self._room.clear()
        while self.is_full and self.is_open:
            await self._room.wait()
        self.require_open()

    def drain(self):
        self.is_full = False
        self._room.set()

    def response_start(self, _event, request, response):
        assert request not in self.active or self.active[request][2]
        assert all(id_ != response or over for id_, _, over in self.active.values())
        self.active[request] = [response, 0, False]

    def response_chunk(self, event, request, response):
        seq = event["seq"]
        if request not in self.active or (self.active[request][2] and seq == 0):
            self.active[request] = [response, 0, False]
        assert self.active[request][:2] == [response, seq]
        self.active[request][1] += 1

    def response_done(self, _event, request, response):
        if request in self.active or not is_stream(response):
            assert self.active.pop(request)[0] == response

    def response_cancel(self, _event, _request, response):
        named = [request for request, active in self.active.items() if active[0] == response]
        if named or not is_stream(response):
            (request,) = [request for request in named if not self.active[request][2]] or named
            del self.active[request]

    def system_prompt_start(self, _event, _request, response):
        assert all(id_ != response or over for id_, _, over in self.active.values())
        self.prompts[response] = 1

    def system_prompt_chunk(self, event, _request, response):
        assert self.prompts[response] == event["seq"]
        self.prompts[response] += 1

    def system_prompt_done(self, _event, _request, response):
        assert self.prompts[response] is not None
        self.prompts[response] = None


class Conversation(RuleBasedStateMachine):
    streams = Bundle("streams")

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.wire = Wire()
        self.responses = Responses(self.wire)
        self.entered = []  # stream, the platform's first terminal word
        self.tasks = []
        self.count = 0

    def teardown(self):
        try:
            self.run(self.wire.drain)
            self.settle()
            assert not self.tasks
        finally:
            self.loop.close()

    def run(self, call, *arguments):
        """Call in the event loop, and let everything that can go on go on."""

        async def turn():
            call(*arguments)
            for _ in range(10):
                await asyncio.sleep(0)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self.loop.run_until_complete(turn())

    def act(self, work):
        """Start a call; one that finds no room waits while the others go on."""
        self.run(lambda: self.tasks.append(self.loop.create_task(work)))

    def settle(self):
        for task in [task for task in self.tasks if task.done()]:
            self.tasks.remove(task)
            error = task.exception()
            assert error is None or isinstance(
                error, (*STATE_ERRORS, SessionLostError, LookupError)
            )
            if isinstance(error, STATE_ERRORS):
                assert task not in self.wire.wrote

    async def enter(self, stream):
        entry = [stream, None]
        self.entered.append(entry)
        try:
            await stream.__aenter__()
        except STATE_ERRORS:
            self.entered.remove(entry)
            raise

    @rule(target=streams, request=requests, sends_start=st.booleans())
    def new_response(self, request, sends_start):
        self.count += 1
        response = f"stream-{self.count}"
        start = MessageBuilder.response_start(request, response) if sends_start else None
        stream = ResponseStream(self.wire, self.responses, request, response, start)
        self.act(self.enter(stream))
        return stream

    @rule(target=streams, request=requests, response=ids)
    def new_prompt(self, request, response):
        stream = PromptStream(self.wire, self.responses, request, response)
        self.act(self.enter(stream))
        return stream

    @rule(target=streams, stream=streams)
    def enter_again(self, stream):
        self.act(stream.__aenter__()) if stream._state != "new" else None
        return multiple()

    @rule(stream=streams, count=st.integers(1, 3))
    def write(self, stream, count):
        send = getattr(stream, "send_chunk", None) or stream.send
        for _ in range(count):
            self.act(send("x"))

    @rule(stream=streams)
    def done(self, stream):
        self.act(stream.done())

    @rule(stream=streams)
    def cancel(self, stream):
        if isinstance(stream, ResponseStream):
            self.act(stream.cancel())

    @rule(stream=streams, failing=st.booleans())
    def leave(self, stream, failing):
        if stream._state == "open":
            error = LookupError() if failing else None
            self.act(stream.__aexit__(type(error) if failing else None, error, None))

    @rule(request=requests, response=ids)
    def old_start(self, request, response):
        self.old(self.responses.start, request, response, 1.0, 1.0, None, None)

    @rule(request=requests, response=ids, seq=st.integers(0, 2))
    def old_chunk(self, request, response, seq):
        self.old(self.responses.chunk, request, response, seq, 0, "x", None)

    @rule(request=requests, response=ids)
    def old_done(self, request, response):
        self.old(self.responses.done, request, response, None)

    @rule(response=ids)
    def old_cancel(self, response):
        self.old(self.responses.cancel, response)

    def old(self, call, *arguments):
        async def work():
            if not call(*arguments):
                await self.wire.writable()

        self.act(work())

    @rule(
        stream=st.none() | streams,
        request=requests,
        response=ids,
        state=st.sampled_from(["ACCEPTED", "REJECTED", "FINISHED", "NEXT_YEARS"]),
    )
    def platform_says(self, stream, request, response, state):
        if stream is not None:
            request, response = stream.request_id, stream.response_id
        event = ResponseStateEvent("session", request, response, 1, 1, state, "COMPLETED")
        for entry in self.entered:
            ours = (entry[0].request_id, entry[0].response_id) == (request, response)
            if ours and entry[1] is None and event.is_terminal:
                entry[1] = event
        active = self.wire.active.get(request)
        if active is not None and active[0] == response and event.is_terminal:
            active[2] = not is_stream(response)
        self.run(self.responses.notice, event)

    @rule()
    def no_room(self):
        self.wire.is_full = True

    @rule()
    def room(self):
        self.run(self.wire.drain)

    @rule()
    def session_ends(self):
        lost = SessionLostError(1006)
        self.wire.is_open = False
        self.run(self.wire.drain)
        self.run(self.responses.ended, lost)
        for entry in self.entered:
            entry[1] = entry[1] or lost
        self.wire.active.clear()
        self.wire.prompts.clear()
        self.wire.is_open = True  # another session of the same agent

    @invariant()
    def calls_that_were_refused_wrote_nothing(self):
        self.settle()

    @invariant()
    def each_stream_knows_the_first_terminal_word(self):
        for stream, word in self.entered:
            assert stream.is_finished == (word is not None)
            if isinstance(word, ResponseStateEvent):
                assert self.loop.run_until_complete(stream.wait_finished(5)) is word


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)


def test_a_stream_of_a_session_that_has_ended_writes_nothing_in_the_next():
    """Also one on which the platform has had its say, so that nobody waits for it any more."""

    async def conversation():
        wire = Wire()
        responses = Responses(wire)
        stream = ResponseStream(wire, responses, "r", "p", None)
        await stream.__aenter__()
        responses.notice(ResponseStateEvent("session", "r", "p", 1, 1, "REJECTED", "SESSION_BUSY"))
        responses.ended(SessionLostError(1006))
        with pytest.raises(SessionLostError):
            await stream.send_chunk("x")
        assert (await stream.wait_finished(5)).state == "REJECTED"
        assert wire.wrote == set()

    asyncio.run(conversation())


def test_a_stream_owns_its_request_until_it_is_left():
    """Also when the platform has had its say: what it still writes would be in another's midst."""

    async def conversation():
        wire = Wire()
        responses = Responses(wire)
        stream = ResponseStream(wire, responses, "r", "stream-1", None)
        async with stream:
            responses.notice(
                ResponseStateEvent("session", "r", "stream-1", 1, 1, "REJECTED", "SESSION_BUSY")
            )
            with pytest.raises(ResponseStreamStateError, match="owns the request"):
                responses.chunk("r", "a", 0, 0, "x", None)
            await stream.send_chunk("x")
        responses.chunk("r", "a", 0, 0, "x", None)

    asyncio.run(conversation())


class Acceptor:
    """An outlet that takes everything."""

    is_connected = True

    def require_open(self):
        pass

    def write_event(self, event):
        return True

    write_event_now = write_event


def lines_of(call):
    """Count the lines that a call runs, those of every loop included.

    The collector stays out: what others have hung on it runs lines of its own.
    """
    count = 0

    def trace(_frame, event, _argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    gc.disable()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
        gc.enable()
    return count


def old_start(responses, name):
    responses.start(f"request-{name}", f"response-{name}", 1.0, 1.0, None, None)


def old_chunk(responses, name):
    responses.chunk(f"request-{name}", f"response-{name}", 0, 0, "x", None)


def old_cancel(responses, name):
    old_start(responses, name)
    responses.cancel(f"response-{name}")


def stream_start(responses, name):
    start = MessageBuilder.response_start(f"request-{name}", f"response-{name}")
    return responses.open_response(object(), f"request-{name}", f"response-{name}", start)


def prompt_start(responses, name):
    start = MessageBuilder.system_prompt_start(f"request-{name}", f"response-{name}")
    return responses.open_prompt(f"request-{name}", f"response-{name}", start)


@pytest.mark.parametrize("call", [old_start, old_chunk, old_cancel, stream_start, prompt_start])
@pytest.mark.parametrize("left", [old_start, old_chunk, stream_start])
def test_what_was_never_completed_makes_no_call_dearer(left, call):
    responses = Responses(Acceptor())
    # What a class is a subclass of, for one, is looked up in the first calls alone.
    kept = [left(responses, 0), *(call(responses, f"first {n}") for n in range(5))]
    few = lines_of(lambda: kept.append(call(responses, "few")))
    kept += [left(responses, n) for n in range(1, 800)]
    assert lines_of(lambda: kept.append(call(responses, "many"))) == few


@pytest.mark.parametrize("left", [old_start, old_chunk, stream_start])
def test_the_oldest_of_too_many_that_were_never_completed_is_forgotten(left, caplog):
    responses = Responses(Acceptor())
    kept = [left(responses, n) for n in range(MOST_ACTIVE)]
    assert caplog.text == ""
    with pytest.raises(ResponseStreamStateError, match="is active"):
        old_start(responses, 0)
    kept += [left(responses, n) for n in range(MOST_ACTIVE, MOST_ACTIVE + 50)]
    (told,) = caplog.records
    assert "neither complete nor cancelled" in told.getMessage()
    assert "'response-0' of request 'request-0'" in told.getMessage()
    assert len(responses._active) == len(responses._named) == MOST_ACTIVE
    with pytest.raises(ResponseStreamStateError, match="that request has no active one"):
        responses.done("request-49", "response-49", None)
    with pytest.raises(ResponseStreamStateError, match="is active"):
        responses.start("request-50", "another", 1.0, 1.0, None, None)


def test_nothing_is_left_of_what_has_ended():
    responses = Responses(Acceptor())
    old_start(responses, 1)
    responses.done("request-1", "response-1", None)
    old_cancel(responses, 2)
    old_chunk(responses, 3)
    responses.notice(ResponseStateEvent("session", "request-3", "response-3", 1, 1, "FINISHED", ""))
    old_start(responses, 3)  # in the place of the one that the platform has ended
    responses.cancel("response-3")
    owner = object()
    responses.open_response(owner, "request-4", "response-4", None)
    responses.close_response(owner, "request-4")
    assert responses._active == responses._named == {}
    old_start(responses, 5)
    responses.ended(SessionLostError(1006))
    assert responses._active == responses._named == {}


def test_an_agent_that_answers_nothing_keeps_next_to_nothing():
    outlet = Acceptor()
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        kept = [Responses(outlet) for _ in range(100)]
        assert (len(gc.get_objects()) - before) / len(kept) < 4
    finally:
        gc.enable()
