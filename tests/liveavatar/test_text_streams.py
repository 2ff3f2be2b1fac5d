"""The life of text responses and prompts, by what arrives at the platform and what it says."""

import asyncio
import gc
import time
import warnings

import pytest
from agents import config_for

from avatarwire import (
    AvatarAgent,
    AvatarAgentConfig,
    NotConnectedError,
    PromptStream,
    PromptStreamStateError,
    ResponseStream,
    ResponseStreamStateError,
    SessionLost,
)


async def arrived(agent, session):
    """Give the events of text that have arrived, once all that was sent has."""
    await agent.send_custom_event(None, "test.marker")
    await session.wait_for("test.marker")
    return [
        event
        for event in session.events
        if event["event"].startswith(("response.", "system.prompt"))
    ]


def short(events):
    """Name, ids and seq of each event."""
    return [
        (event["event"], event.get("requestId"), event["responseId"], event.get("seq"))
        for event in events
    ]


async def tell(session, stream, state, reason=None, seq=None):
    """Have the platform say something of a stream, whether it has heard of it or not."""
    await session.send_response_state(
        stream.response_id, state, reason, request_id=stream.request_id, seq=seq
    )


# Rule: a response is start, chunks with seq 0, 1, 2…, then done or cancel; one id throughout


async def test_a_response_is_start_chunks_from_seq_0_and_done_under_one_id(agent, session):
    before_ms = time.time_ns() // 1_000_000
    async with agent.response_stream(
        "r", speed=1.2, volume=0.8, mood="happy", metadata={"a": 1}
    ) as stream:
        assert isinstance(stream, ResponseStream)
        await stream.send_chunk("one ")
        await stream.send_chunk("two", timestamp=7, metadata={"b": 2})
        await stream.done({"c": 3})
    start, first, second, done = await arrived(agent, session)
    ids = {"requestId": "r", "responseId": stream.response_id}
    audio = {"speed": 1.2, "volume": 0.8, "mood": "happy"}
    assert start == {"event": "response.start", **ids, "data": {"audioConfig": audio, "a": 1}}
    assert before_ms <= first.pop("timestamp") <= time.time_ns() // 1_000_000
    assert first == {"event": "response.chunk", **ids, "seq": 0, "data": {"text": "one "}}
    assert second == {
        "event": "response.chunk",
        **ids,
        "seq": 1,
        "timestamp": 7,
        "data": {"text": "two", "b": 2},
    }
    assert done == {"event": "response.done", **ids, "data": {"c": 3}}


async def test_start_is_optional(agent, session):
    async with agent.response_stream("r", send_start=False) as stream:
        await stream.send_chunk("hi")
    assert [event["event"] for event in await arrived(agent, session)] == [
        "response.chunk",
        "response.done",
    ]


async def test_every_stream_makes_an_id_of_its_own(agent):
    assert len({agent.response_stream("r").response_id for _ in range(9)}) == 9
    assert len({agent.prompt_stream("r").response_id for _ in range(9)}) == 9


async def test_leaving_normally_completes_once(agent, session):
    async with agent.response_stream("r"):
        pass
    async with agent.response_stream("r") as stream:
        await stream.done()
    names = [event["event"] for event in await arrived(agent, session)]
    assert names == ["response.start", "response.done"] * 2


async def test_leaving_by_an_exception_cancels(agent, session):
    stream = agent.response_stream("r")

    async def speak():
        async with stream:
            await stream.send_chunk("one")
            raise LookupError("in the program")

    with pytest.raises(LookupError) as caught:
        await speak()
    assert not hasattr(caught.value, "__notes__")
    events = await arrived(agent, session)
    assert events[-1] == {"event": "response.cancel", "responseId": stream.response_id}
    async with agent.response_stream("r"):
        pass  # its request is free again


async def test_leaving_by_a_cancellation_cancels(agent, session):
    async def speak():
        async with agent.response_stream("r"):
            await asyncio.sleep(60)

    task = asyncio.create_task(speak())
    await session.wait_for("response.start")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [event["event"] for event in await arrived(agent, session)][-1] == "response.cancel"


async def test_a_cancel_that_fails_is_noted_on_the_first_exception(agent, session):
    stream = agent.response_stream("r")

    async def speak():
        async with stream:
            await session.close(1011)
            await agent.wait_closed()
            raise LookupError("in the program")

    with pytest.raises(LookupError) as caught:
        await speak()
    (note,) = caught.value.__notes__
    assert stream.response_id in note
    assert "could not be cancelled: the session has ended" in note


async def test_a_cancelled_or_completed_stream_takes_no_more(agent, session):
    async with agent.response_stream("r") as stream:
        await stream.cancel()
        for call in (stream.send_chunk("x"), stream.done(), stream.cancel(), stream.write_all([])):
            with pytest.raises(ResponseStreamStateError, match="completed or cancelled") as caught:
                await call
            assert repr(stream.response_id) in str(caught.value)
            assert "'r'" in str(caught.value)
    assert [event["event"] for event in await arrived(agent, session)] == [
        "response.start",
        "response.cancel",
    ]


async def test_bad_arguments_are_refused_and_the_stream_goes_on(agent, session):
    with pytest.raises(ValueError, match="speed must be finite"):
        agent.response_stream("r", speed=float("nan"))
    with pytest.raises(TypeError, match="request_id must be str"):
        agent.response_stream(3, send_start=False)
    async with agent.response_stream("r") as stream:
        with pytest.raises(TypeError, match="text must be str"):
            await stream.send_chunk(b"x")
        with pytest.raises(ValueError, match="reserved data field"):
            await stream.send_chunk("x", metadata={"text": "y"})
        with pytest.raises(ValueError, match="must be finite"):
            await stream.done({"x": float("inf")})
        await stream.send_chunk("x")
    events = await arrived(agent, session)
    assert [event.get("seq") for event in events] == [None, 0, None]


# Rule: at most one response of a request is active


async def test_a_request_has_one_active_response(agent, session):
    async with agent.response_stream("r") as stream:
        second = agent.response_stream("r")
        with pytest.raises(ResponseStreamStateError) as caught:
            await second.__aenter__()
        for words in ("'r'", repr(stream.response_id), repr(second.response_id), "is active"):
            assert words in str(caught.value)
        async with agent.response_stream("another"):
            pass
    async with second:  # nothing was sent for it, and now it is its turn
        pass
    names = [event["event"] for event in await arrived(agent, session)]
    assert names == ["response.start"] * 2 + ["response.done"] * 2 + [
        "response.start",
        "response.done",
    ]


async def test_sequential_responses_for_one_request_are_fine(agent, session):
    for text in ("one", "two", "three"):
        async with agent.response_stream("r") as stream:
            await stream.send_chunk(text)
    events = await arrived(agent, session)
    assert len({event["responseId"] for event in events}) == 3
    assert [event.get("seq") for event in events] == [None, 0, None] * 3


async def test_a_stream_is_entered_once(agent):
    stream = agent.response_stream("r")
    for call in (stream.send_chunk("x"), stream.done(), stream.cancel(), stream.wait_finished()):
        with pytest.raises(ResponseStreamStateError, match="not been entered"):
            await call
    async with stream:
        with pytest.raises(ResponseStreamStateError, match="entered before"):
            await stream.__aenter__()


async def test_nothing_is_claimed_without_a_session(emulator):
    agent = AvatarAgent(config_for(emulator), object())
    for stream in (agent.response_stream("r", send_start=False), agent.prompt_stream("r")):
        with pytest.raises(NotConnectedError, match=r"call start\(\) first"):
            await stream.__aenter__()
    async with agent, agent.response_stream("r"):
        pass


# Rule: the first REJECTED or FINISHED is terminal; what it proves


async def test_the_platform_says_when_a_response_was_played(agent, session, listener):
    async with agent.response_stream("r") as stream:
        await stream.send_chunk("hi")
    assert not stream.is_finished
    event = await stream.wait_finished(5)
    assert (event.state, event.reason) == ("FINISHED", "COMPLETED")
    assert (event.request_id, event.response_id) == ("r", stream.response_id)
    assert event.session_id == agent.session_id
    assert stream.is_finished
    await listener.wait_for("on_response_state", 2)
    told = [event.state for (event,) in listener.named("on_response_state")]
    assert told == ["ACCEPTED", "FINISHED"]


async def test_the_first_terminal_state_stays(emulator, agent, session, listener):
    emulator.faults.withhold_response_states = True
    async with agent.response_stream("r") as stream:
        await tell(session, stream, "REJECTED", "SESSION_BUSY")
        await tell(session, stream, "FINISHED", "COMPLETED")
        await listener.wait_for("on_response_state", 2)
    for _ in range(2):
        event = await stream.wait_finished()
        assert (event.state, event.reason) == ("REJECTED", "SESSION_BUSY")


async def test_a_rejection_is_told(emulator, agent, session):
    emulator.reject_next_response("SESSION_BUSY", times=2)
    async with agent.response_stream("r") as stream:
        await stream.send_chunk("hi")
    async with agent.prompt_stream("p") as prompt:
        await prompt.send("hi")
    for waiter in (stream, prompt):
        event = await waiter.wait_finished(5)
        assert (event.state, event.reason) == ("REJECTED", "SESSION_BUSY")
    assert session.turns == []


async def test_unknown_states_and_reasons_are_delivered_and_end_nothing(
    emulator, agent, session, listener
):
    emulator.faults.withhold_response_states = True
    async with agent.response_stream("r") as stream:
        await tell(session, stream, "RENDERING", "NEXT_YEARS")
        (event,) = await listener.wait_for("on_response_state")
    assert (event.state, event.reason) == ("RENDERING", "NEXT_YEARS")
    assert not stream.is_finished
    with pytest.raises(TimeoutError):
        await stream.wait_finished(0.01)
    await tell(session, stream, "FINISHED", "NEXT_YEARS")
    assert (await stream.wait_finished(5)).reason == "NEXT_YEARS"


async def test_a_state_of_another_response_or_request_resolves_nothing(
    emulator, agent, session, listener
):
    emulator.faults.withhold_response_states = True
    async with agent.response_stream("r") as stream:
        await session.send_response_state("another", "FINISHED", "COMPLETED", request_id="r")
        await session.send_response_state(
            stream.response_id, "FINISHED", "COMPLETED", request_id="another"
        )
        await listener.wait_for("on_response_state", 2)
        assert not stream.is_finished


# Rule: deduplicate by session and seq; gaps are valid


async def test_a_seq_at_or_below_the_last_is_dropped_and_gaps_are_valid(
    emulator, agent, session, listener
):
    emulator.faults.withhold_response_states = True
    async with agent.response_stream("r") as stream:
        await tell(session, stream, "ACCEPTED", seq=5)
        await tell(session, stream, "FINISHED", "FAILED", seq=5)
        await tell(session, stream, "FINISHED", "FAILED", seq=4)
        await tell(session, stream, "FINISHED", "COMPLETED", seq=900)
        event = await stream.wait_finished(5)
    assert (event.seq, event.reason) == (900, "COMPLETED")
    await listener.wait_for("on_response_state", 2)
    assert [event.seq for (event,) in listener.named("on_response_state")] == [5, 900]
    assert agent.ignored_messages == {"a response.state that it had sent before": 2}


# Rule: who waits is told when the session ends for good


async def test_waiters_fail_when_the_session_ends_for_good(emulator, agent, session):
    emulator.faults.withhold_response_states = True
    async with agent.response_stream("r") as stream, agent.prompt_stream("p") as prompt:
        await stream.done()
        await prompt.done()
        waiters = [asyncio.create_task(waits.wait_finished()) for waits in (stream, prompt)]
        await asyncio.sleep(0)
        await session.close(1011, "gone")
        for waiter in waiters:
            with pytest.raises(SessionLost, match="gone") as caught:
                await waiter
            assert caught.value.code == 1011
    with pytest.raises(SessionLost):
        await stream.wait_finished()


async def test_waiters_fail_when_the_program_stops(emulator, agent):
    emulator.faults.withhold_response_states = True
    async with agent.response_stream("r") as stream:
        pass
    waiter = asyncio.create_task(stream.wait_finished())
    await asyncio.sleep(0)
    await agent.stop()
    with pytest.raises(SessionLost, match=r"stop\(\) was called"):
        await waiter


async def test_an_open_stream_speaks_into_no_later_session(agent, session):
    stream = await agent.response_stream("r").__aenter__()
    prompt = await agent.prompt_stream("p").__aenter__()
    await agent.stop()
    await agent.start()
    for call in (stream.send_chunk("x"), stream.done(), stream.cancel(), prompt.send("x")):
        with pytest.raises(SessionLost):
            await call
    async with agent.response_stream("r"):
        pass


async def test_a_stream_that_is_let_go_is_forgotten(emulator, agent):
    emulator.faults.withhold_response_states = True
    for _ in range(100):
        async with agent.response_stream("r"):
            pass
    gc.collect()
    assert len(agent._responses._awaited) <= 1


# Prompts


async def test_a_prompt_is_start_chunks_from_seq_1_and_done(agent, session):
    async with agent.prompt_stream("step", response_id="prompt") as prompt:
        assert isinstance(prompt, PromptStream)
        await prompt.send("one ", timestamp=7)
        await prompt.send("two")
    ids = ("step", "prompt")
    events = await arrived(agent, session)
    assert short(events) == [
        ("system.prompt.start", *ids, None),
        ("system.prompt.chunk", *ids, 1),
        ("system.prompt.chunk", *ids, 2),
        ("system.prompt.done", *ids, None),
    ]
    assert events[1]["timestamp"] == 7
    assert events[1]["data"] == {"text": "one "}
    assert abs(events[2]["timestamp"] - time.time() * 1000) < 60_000
    assert (await prompt.wait_finished(5)).reason == "COMPLETED"
    assert prompt.is_finished


async def test_a_prompt_that_is_left_by_an_exception_is_only_closed_here(agent, session):
    prompt = agent.prompt_stream("step")

    async def speak():
        async with prompt:
            await prompt.send("one")
            raise LookupError

    with pytest.raises(LookupError):
        await speak()
    with pytest.raises(PromptStreamStateError, match="completed or cancelled"):
        await prompt.send("two")
    assert [event["event"] for event in await arrived(agent, session)] == [
        "system.prompt.start",
        "system.prompt.chunk",
    ]


@pytest.mark.parametrize("ids", [("",), (" ",), (None,), ("r", ""), ("r", "\t"), ("r", 3)])
async def test_a_prompt_needs_ids(agent, ids):
    request_id, response_id = (*ids, None)[:2]
    with pytest.raises(ValueError, match="must be non-empty"):
        agent.prompt_stream(request_id, response_id=response_id)


async def test_a_prompt_has_its_states_too(agent, session):
    prompt = agent.prompt_stream("step", response_id="prompt")
    for call in (prompt.send("x"), prompt.done(), prompt.wait_finished()):
        with pytest.raises(PromptStreamStateError, match=r"'prompt' of request 'step'.*entered"):
            await call
    async with prompt:
        with pytest.raises(PromptStreamStateError, match="entered before"):
            await prompt.__aenter__()
        await prompt.done()
        with pytest.raises(PromptStreamStateError, match="completed or cancelled"):
            await prompt.done()


async def test_an_id_is_free_again_once_the_platform_has_said_its_last_word(agent, session):
    async with agent.prompt_stream("step", response_id="mine") as prompt:
        again = agent.prompt_stream("step", response_id="mine")
        with pytest.raises(PromptStreamStateError, match=r"'mine' of request 'step' is open"):
            await again.__aenter__()
        await prompt.done()
        with pytest.raises(PromptStreamStateError, match=r"last word.*'mine' of request 'step'"):
            await again.__aenter__()
        with pytest.raises(ResponseStreamStateError, match=r"last word.*'mine'"):
            await agent.send_response_start("r", "mine")
        with pytest.raises(ResponseStreamStateError, match=r"last word.*'mine'"):
            await agent.send_response_chunk("r", "mine", 0, 0, "x")
    await prompt.wait_finished(5)
    async with again:
        pass
    assert (await again.wait_finished(5)).seq > (await prompt.wait_finished()).seq


# The old-style calls


async def test_old_style_calls_keep_the_order(agent, session):
    await agent.send_response_start("r", "p")
    for wrong in (1, -1, 7):
        with pytest.raises(
            ResponseStreamStateError, match=rf"'p' of request 'r'.*is 0, not {wrong}"
        ):
            await agent.send_response_chunk("r", "p", wrong, 0, "x")
    await agent.send_response_chunk("r", "p", 0, 0, "x")
    with pytest.raises(ResponseStreamStateError, match="is 1, not 0"):
        await agent.send_response_chunk("r", "p", 0, 0, "x")
    await agent.send_response_chunk("r", "p", 1, 0, "x")
    with pytest.raises(ResponseStreamStateError, match="'p' of request 'r' is active"):
        await agent.send_response_start("r", "q")
    await agent.send_response_done("r", "p")
    assert short(await arrived(agent, session)) == [
        ("response.start", "r", "p", None),
        ("response.chunk", "r", "p", 0),
        ("response.chunk", "r", "p", 1),
        ("response.done", "r", "p", None),
    ]


async def test_a_wrong_request_raises_before_anything_is_sent(agent, session):
    await agent.send_response_start("r", "p")
    await agent.send_response_chunk("r", "p", 0, 0, "x")
    with pytest.raises(ResponseStreamStateError, match=r"of request 'wrong'.*is 0, not 1"):
        await agent.send_response_chunk("wrong", "p", 1, 0, "x")
    with pytest.raises(ResponseStreamStateError, match=r"of request 'wrong'.*no active"):
        await agent.send_response_done("wrong", "p")
    await agent.send_response_done("r", "p")
    assert {event["requestId"] for event in await arrived(agent, session)} == {"r"}


async def test_another_response_id_goes_out_under_the_active_one_with_a_warning(agent, session):
    await agent.send_response_start("r", "p")
    with pytest.warns(DeprecationWarning, match="'q' while response 'p' of request 'r'") as caught:
        await agent.send_response_chunk("r", "q", 0, 0, "x")
    assert caught[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="done names response 'q'") as caught:
        await agent.send_response_done("r", "q")
    assert caught[0].filename == __file__
    assert {event["responseId"] for event in await arrived(agent, session)} == {"p"}


async def test_a_warning_made_an_error_sends_nothing(agent, session):
    await agent.send_response_start("r", "p")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DeprecationWarning):
            await agent.send_response_chunk("r", "q", 0, 0, "x")
    await agent.send_response_chunk("r", "p", 0, 0, "x")
    assert len(await arrived(agent, session)) == 2


async def test_an_old_style_call_on_a_request_that_a_stream_owns_raises(agent, session):
    async with agent.response_stream("r") as stream:
        response = stream.response_id
        for call in (
            agent.send_response_start("r", "p"),
            agent.send_response_chunk("r", response, 0, 0, "x"),
            agent.send_response_done("r", response),
            agent.send_response_cancel(response),
        ):
            with pytest.raises(ResponseStreamStateError, match=response):
                await call
    assert [event["event"] for event in await arrived(agent, session)] == [
        "response.start",
        "response.done",
    ]


async def test_a_stream_waits_for_an_old_style_response(agent):
    await agent.send_response_chunk("r", "p", 0, 0, "x")
    with pytest.raises(ResponseStreamStateError, match="response 'p' of request 'r' is active"):
        await agent.response_stream("r").__aenter__()
    await agent.send_response_cancel("p")
    async with agent.response_stream("r"):
        pass


async def test_an_old_style_cancel_needs_exactly_one_active_match(agent, session):
    with pytest.raises(ResponseStreamStateError, match=r"'p'.*none is active"):
        await agent.send_response_cancel("p")
    await agent.send_response_chunk("r", "p", 0, 0, "x")
    await agent.send_response_chunk("s", "p", 0, 0, "x")
    with pytest.raises(ResponseStreamStateError, match=r"request 'r', .*request 's'"):
        await agent.send_response_cancel("p")
    await agent.send_response_done("s", "p")
    await agent.send_response_cancel("p")
    with pytest.raises(ResponseStreamStateError, match="none is active"):
        await agent.send_response_cancel("p")
    assert [event["event"] for event in await arrived(agent, session)].count("response.cancel") == 1


async def test_a_response_id_may_be_reused_once_its_response_has_ended(agent, session):
    for request in ("r1", "r2"):  # the published quick start
        await agent.send_response_start(request, "resp-1")
        await agent.send_response_chunk(request, "resp-1", 0, 0, "x")
        await agent.send_response_done(request, "resp-1")
    await agent.send_response_start("r3", "resp-1")
    with pytest.raises(ResponseStreamStateError, match="'resp-1' of request 'r3' is active"):
        await agent.send_response_start("r4", "resp-1")
    await agent.send_response_cancel("resp-1")
    await agent.send_response_start("r4", "resp-1")
    assert len(await arrived(agent, session)) == 9


async def test_a_response_that_the_platform_has_ended_makes_room_for_the_next(
    emulator, agent, session, listener
):
    emulator.reject_next_response(times=2)
    await agent.send_response_start("r", "resp-1")
    await agent.send_response_chunk("r", "resp-1", 0, 0, "x")
    await listener.wait_for("on_response_state")
    await agent.send_response_chunk("r", "resp-1", 1, 0, "x")  # its text may go on
    await agent.send_response_start("r", "resp-2")
    await listener.wait_for("on_response_state", 2)
    await agent.send_response_chunk("r", "resp-3", 0, 0, "x")
    await agent.send_response_start("s", "resp-1")
    await agent.send_response_done("r", "resp-3")
    assert short(await arrived(agent, session))[3:] == [
        ("response.start", "r", "resp-2", None),
        ("response.chunk", "r", "resp-3", 0),
        ("response.start", "s", "resp-1", None),
        ("response.done", "r", "resp-3", None),
    ]


async def test_a_cancel_means_the_response_that_the_platform_has_not_ended(
    emulator, agent, session, listener
):
    emulator.reject_next_response()
    await agent.send_response_chunk("r", "resp-1", 0, 0, "x")
    await listener.wait_for("on_response_state")
    await agent.send_response_start("s", "resp-1")
    await agent.send_response_cancel("resp-1")
    await agent.send_response_start("s", "resp-2")
    await agent.send_response_cancel("resp-1")  # the abandoned one


async def test_argument_faults_come_before_lifecycle_faults():
    agent = AvatarAgent(AvatarAgentConfig("sk-1", "a-1"), object())
    with pytest.raises(TypeError, match="seq must be an integer"):
        await agent.send_response_chunk("r", "p", True, 0, "x")


# A token stream in one line


async def tokens(*texts):
    for text in texts:
        await asyncio.sleep(0)
        yield text


async def test_a_token_stream_is_one_line(agent, session):
    async with agent.response_stream("r") as stream:
        assert await stream.write_all(tokens("Good ", "", "morning", "."))
        assert await stream.write_all(["And ", "bye"])
    async with agent.prompt_stream("p") as prompt:
        assert await prompt.write_all(tokens("a", "b"))
    chunks = [event for event in await arrived(agent, session) if "chunk" in event["event"]]
    assert [(event["seq"], event["data"]["text"]) for event in chunks] == [
        (0, "Good "),
        (1, "morning"),
        (2, "."),
        (3, "And "),
        (4, "bye"),
        (1, "a"),
        (2, "b"),
    ]


async def test_tokens_may_be_joined_to_spare_messages(agent, session):
    words = [f"{number} " for number in range(500)]
    async with agent.response_stream("r") as stream:
        assert await stream.write_all(tokens(*words), flush_ms=60_000)
    chunks = [event for event in await arrived(agent, session) if "chunk" in event["event"]]
    assert [event["data"]["text"] for event in chunks] == ["0 ", "".join(words[1:])]


async def test_what_waits_leaves_in_its_time_while_the_model_is_silent(agent, session):
    heard = asyncio.Event()

    async def model():
        yield "first "
        yield "second "
        yield "third "
        await heard.wait()
        yield "last"

    async with agent.response_stream("r") as stream:
        writing = asyncio.create_task(stream.write_all(model(), flush_ms=20))
        text = ""
        while text != "first second third ":
            text += (await session.wait_for("response.chunk"))["data"]["text"]
        heard.set()
        assert await writing
    assert (await session.wait_for("response.chunk"))["data"]["text"] == "last"


async def test_the_rest_is_not_asked_for_once_the_platform_has_said_its_last_word(
    emulator, agent, session, listener
):
    emulator.reject_next_response()
    asked = []

    async def model():
        yield "one"
        await listener.wait_for("on_response_state")
        for text in ("two", "three"):
            asked.append(text)
            yield text

    async with agent.response_stream("r") as stream:
        assert not await stream.write_all(model())
    assert asked == ["two"]
    assert [event["event"] for event in await arrived(agent, session)] == [
        "response.start",
        "response.chunk",
        "response.done",
    ]


async def test_a_model_that_fails_cancels_the_response(agent, session):
    async def model():
        yield "one"
        yield "never sent"
        raise LookupError

    with pytest.raises(LookupError):
        async with agent.response_stream("r") as stream:
            await stream.write_all(model(), flush_ms=60_000)
    names = [event["event"] for event in await arrived(agent, session)]
    assert names == ["response.start", "response.chunk", "response.cancel"]


async def test_write_all_takes_an_iterable_of_text(agent):
    async with agent.response_stream("r") as stream:
        for source in ("text", b"text"):
            with pytest.raises(TypeError, match="one piece goes to a send call"):
                await stream.write_all(source)
        with pytest.raises(TypeError, match="must give str, not int"):
            await stream.write_all([1])
        with pytest.raises(ValueError, match="flush_ms"):
            await stream.write_all([], flush_ms=-1)
        with pytest.raises(TypeError, match="flush_ms must be a number, not str"):
            await stream.write_all([], flush_ms="1")


async def test_a_token_stream_ends_with_its_session(agent, session):
    async def model():
        yield "one"
        await session.close(1011)
        await agent.wait_closed()
        yield "two"

    with pytest.raises(SessionLost):
        async with agent.response_stream("r") as stream:
            await stream.write_all(model())


async def test_names_in_a_repr(agent):
    stream = agent.prompt_stream("step", response_id="mine")
    assert repr(stream) == "<PromptStream 'mine' of request 'step' new>"


# Tokens that are not quite Unicode

HALVES = [
    (["ok ", "\ud83d", "\udc4d", "!"], "ok 👍!"),
    (["ok \ud83d", "\udc4d!"], "ok 👍!"),
    (["\ud83d", "x"], "\ufffdx"),
    (["\udc4d", "x"], "\ufffdx"),
    (["x", "\ud83d"], "x\ufffd"),
    (["\ud83d\ud83d", "\udc4d\udc4d"], "\ufffd👍\ufffd"),
    (["\ud83d", "", "\udc4d"], "👍"),
]


def spoken(events):
    """Give the text of the chunks, whose numbers go on without a gap."""
    chunks = [event for event in events if event["event"].endswith(".chunk")]
    first = 0 if chunks[0]["event"] == "response.chunk" else 1
    assert [chunk["seq"] for chunk in chunks] == [*range(first, first + len(chunks))]
    assert events[-1]["event"].endswith(".done")
    return "".join(chunk["data"]["text"] for chunk in chunks)


@pytest.mark.parametrize(("tokens", "text"), HALVES)
@pytest.mark.parametrize("flush_ms", [0, 60_000])
async def test_halves_of_a_character_in_two_tokens_are_joined(
    agent, session, tokens, text, flush_ms
):
    async with agent.response_stream("r") as stream:
        assert await stream.write_all(tokens, flush_ms=flush_ms)
    assert spoken(await arrived(agent, session)) == text


async def by_response_stream(agent, tokens):
    async with agent.response_stream("r") as stream:
        for token in tokens:
            await stream.send_chunk(token)


async def by_prompt_stream(agent, tokens):
    async with agent.prompt_stream("p") as prompt:
        for token in tokens:
            await prompt.send(token)


async def by_single_calls(agent, tokens):
    for seq, token in enumerate(tokens):
        await agent.send_response_chunk("r", "o", seq, 0, token)
    await agent.send_response_done("r", "o")


@pytest.mark.parametrize(("tokens", "text"), HALVES)
@pytest.mark.parametrize("send", [by_response_stream, by_prompt_stream, by_single_calls])
async def test_halves_are_joined_in_every_way_to_send_text(agent, session, send, tokens, text):
    await send(agent, tokens)
    assert spoken(await arrived(agent, session)) == text


async def test_a_half_of_a_cancelled_response_is_forgotten(agent, session):
    async with agent.response_stream("r") as stream:
        await stream.send_chunk("x\ud83d")
        await stream.cancel()
    events = await arrived(agent, session)
    assert [event["event"] for event in events][-2:] == ["response.chunk", "response.cancel"]


# What was heard of it


@pytest.mark.parametrize(
    ("state", "reason", "heard"),
    [
        ("FINISHED", "COMPLETED", "one two 😀"),
        ("REJECTED", "SESSION_BUSY", ""),
        ("FINISHED", "USER_COMMAND_INTERRUPT", None),
        ("FINISHED", None, None),
    ],
)
async def test_what_was_heard_is_what_the_platform_has_proved(
    emulator, agent, session, state, reason, heard
):
    emulator.faults.withhold_response_states = True
    async with agent.response_stream("r") as stream:
        await stream.write_all(["one ", "two ", "\ud83d", "\ude00"])
    assert (stream.heard_text, stream.heard_evidence) == (None, None)
    await tell(session, stream, state, reason)
    event = await stream.wait_finished(5)
    assert (stream.heard_text, stream.heard_evidence) == (heard, event)


async def test_more_text_than_is_kept_is_not_told(agent, session, monkeypatch):
    monkeypatch.setattr("avatarwire.liveavatar.text_streams.MOST_CHARACTERS", 8)
    for texts, heard in ((["one ", "two "], "one two "), (["one ", "two ", "three"], None)):
        async with agent.prompt_stream("p") as prompt:
            for text in texts:
                await prompt.send(text)
        assert (await prompt.wait_finished(5)).reason == "COMPLETED"
        assert prompt.heard_text == heard
