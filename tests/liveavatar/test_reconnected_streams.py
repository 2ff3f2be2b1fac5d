"""Streams of text and accompaniment across the connections of one session."""

import asyncio
import random

import pytest
from agents import config_for
from websockets.protocol import State

from avatarwire import (
    AvatarAgent,
    BacklogFullError,
    PromptStreamStateError,
    ResponseStreamStateError,
    SessionLost,
)

QUICK = {"reconnect": True, "reconnect_base_delay": 0.01, "reconnect_max_delay": 0.05}


def agent_for(emulator, listener, connect=None, **changes):
    return AvatarAgent(config_for(emulator, **QUICK, **changes), listener, connect=connect)


async def lose_the_connection(session, listener):
    told = len(listener.named("on_reconnecting"))
    session.cut()
    await listener.wait_for("on_reconnecting", told + 1)


async def test_text_begins_anew_and_its_waiter_waits_on(emulator, listener):
    emulator.faults.withhold_response_states = True
    async with agent_for(emulator, listener) as agent:
        (session,) = emulator.sessions
        async with agent.response_stream("r") as stream, agent.prompt_stream("p") as prompt:
            await stream.send_chunk("0 ")
            await prompt.send("a ")
            await session.wait_for("system.prompt.chunk")
            waiter = asyncio.create_task(stream.wait_finished())
            await lose_the_connection(session, listener)
            await stream.send_chunk("1 ")
            await stream.write_all(["2 ", "3"])
            await prompt.send("b")
            assert not waiter.done()
        await session.wait_for("response.done")
        chunks = [event for event in session.events if "chunk" in event["event"]]
        for request, before, text in (("r", ["0 "], "0 1 2 3"), ("p", ["a "], "a b")):
            said = [event["data"]["text"] for event in chunks if event["requestId"] == request]
            assert said[: len(before)] == before
            assert "".join(said[len(before) :]) == text
            seqs = [event["seq"] for event in chunks if event["requestId"] == request]
            first = seqs[0]
            assert seqs[len(before) :] == list(range(first, first + len(seqs) - len(before)))
        await session.send_response_state(
            stream.response_id, "FINISHED", "COMPLETED", request_id="r", seq=1000
        )
        assert (await asyncio.wait_for(waiter, 5)).response_id == stream.response_id


async def test_a_cancel_waits_for_the_connection_too(emulator, listener):
    async with agent_for(emulator, listener) as agent:
        (session,) = emulator.sessions
        stream = await agent.response_stream("r").__aenter__()
        await session.wait_for("response.start")
        await lose_the_connection(session, listener)
        await stream.cancel()
        assert (await session.wait_for("response.cancel"))["responseId"] == stream.response_id


@pytest.mark.parametrize(("on_gap", "reason"), [("resume", "completed"), ("fail", "lost")])
async def test_accompaniment_resumes_as_turns_do(emulator, listener, on_gap, reason):
    pcm = random.Random(1).randbytes(48_000)  # noqa: S311
    async with agent_for(emulator, listener, on_gap=on_gap) as agent:
        (session,) = emulator.sessions
        async with agent.external_audio_stream() as music:
            await music.write(pcm)
            await lose_the_connection(session, listener)
        playout = await music.wait_playout(10)
        await listener.wait_for("on_reconnected")
        await agent.send_custom_event(None, "test.marker")
        await session.wait_for("test.marker")
    assert playout.reason == reason
    received = session.external_frames
    assert [frame.sequence for frame in received] == sorted(frame.sequence for frame in received)
    if on_gap == "resume":
        assert (playout.written_ms, playout.dropped_ms) == (1000, 0)
        assert pcm.endswith(b"".join(frame.payload for frame in received[-2:]))
    else:
        assert playout.dropped_ms > 0


def said(session, response_id):
    return [
        event["data"]["text"] if event["event"] == "response.chunk" else event["event"][9:]
        for event in session.events
        if event.get("responseId") == response_id and event["event"].startswith("response.")
    ]


async def test_text_that_is_completed_on_a_connection_that_ends_is_sent_again(
    emulator, listener, dials
):
    async with agent_for(emulator, listener, dials) as agent:
        (session,) = emulator.sessions
        async with agent.response_stream("r") as stream:
            await stream.send_chunk("one")
            await session.wait_for("response.chunk")
            connection = dials.last
            closing = asyncio.create_task(session.close(1001))
            while connection._protocol.state is State.OPEN:  # noqa: ASYNC110
                await asyncio.sleep(0)
            assert listener.named("on_reconnecting") == []  # nobody has been told yet
        await session.wait_for("response.done")
        assert said(session, stream.response_id) == ["start", "one", "start", "one", "done"]
        await closing


@pytest.mark.parametrize("on_gap", ["resume", "drop", "fail"])
async def test_text_that_begins_in_the_gap_waits_for_its_end(emulator, listener, on_gap):
    async with agent_for(emulator, listener, on_gap=on_gap) as agent:
        (session,) = emulator.sessions
        await lose_the_connection(session, listener)
        async with agent.response_stream("r") as stream:
            await stream.send_chunk("one")
        await session.wait_for("response.done")
        assert said(session, stream.response_id) == ["start", "one", "done"]


@pytest.mark.parametrize("on_gap", ["drop", "fail"])
async def test_a_request_whose_text_was_cut_off_can_be_answered_anew(emulator, listener, on_gap):
    emulator.faults.withhold_response_states = True
    async with agent_for(emulator, listener, on_gap=on_gap) as agent:
        (session,) = emulator.sessions
        stream = await agent.response_stream("r").__aenter__()
        prompt = await agent.prompt_stream("p", response_id="p").__aenter__()
        await session.wait_for("system.prompt.start")
        await lose_the_connection(session, listener)
        for lost, error in ((stream, ResponseStreamStateError), (prompt, PromptStreamStateError)):
            with pytest.raises(error, match=r"was cut off: .* The session goes on: begin another"):
                await lost.wait_finished(5)
            with pytest.raises(error, match="was cut off"):
                await lost.__aexit__(None, None, None)
        await listener.wait_for("on_reconnected")
        async with agent.response_stream("r"), agent.prompt_stream("p", response_id="p") as again:
            await again.send("again")
        await session.wait_for("system.prompt.done")


@pytest.mark.parametrize("on_gap", ["drop", "fail"])
async def test_text_is_cut_off_also_before_the_gap_is_told(emulator, listener, dials, on_gap):
    async with agent_for(emulator, listener, dials, on_gap=on_gap) as agent:
        (session,) = emulator.sessions
        stream = await agent.response_stream("r").__aenter__()
        await session.wait_for("response.start")
        connection = dials.last
        closing = asyncio.create_task(session.close(1001))
        while connection._protocol.state is State.OPEN:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert listener.named("on_reconnecting") == []  # nobody has been told yet
        with pytest.raises(ResponseStreamStateError, match="was cut off"):
            await stream.send_chunk("one")
        await listener.wait_for("on_reconnected")
        with pytest.raises(ResponseStreamStateError, match="was cut off"):
            await stream.wait_finished(5)
        await closing


async def test_text_that_was_cut_off_tells_the_end_of_the_session_later(emulator, listener):
    async with agent_for(emulator, listener, on_gap="fail") as agent:
        (session,) = emulator.sessions
        stream = await agent.response_stream("r").__aenter__()
        await session.wait_for("response.start")
        await lose_the_connection(session, listener)
    with pytest.raises(SessionLost):
        await stream.wait_finished(5)


async def test_a_cancel_that_found_no_room_leaves_the_text_whole(emulator, listener):
    async with agent_for(emulator, listener, reconnect_buffer_bytes=400) as agent:
        (session,) = emulator.sessions
        async with agent.response_stream("r") as stream:
            await stream.send_chunk("one")
            await session.wait_for("response.chunk")
            await lose_the_connection(session, listener)
            filling = asyncio.create_task(agent.send_prompt("x" * 300))
            await asyncio.sleep(0)  # it is kept, and waits for the connection
            with pytest.raises(BacklogFullError):
                await stream.cancel()
            await stream.send_chunk("two")
            await filling
        await session.wait_for("response.done")
        assert said(session, stream.response_id)[2:] == ["start", "one", "two", "done"]


async def test_an_interrupt_that_cannot_wait_too_ends_the_turns_all_the_same(
    emulator, listener, caplog
):
    """The turn that is interrupted, and what an earlier one of its request had left."""
    pcm = random.Random(1).randbytes(48_000)  # noqa: S311
    config = {"on_gap": "resume", "reconnect_buffer_bytes": 0, "reconnect_base_delay": 0.2}
    async with AvatarAgent(config_for(emulator, **{**QUICK, **config}), listener) as agent:
        (session,) = emulator.sessions
        async with agent.audio_stream("r", paced=False) as earlier:
            await earlier.write(pcm * 10)
        async with agent.audio_stream("r") as stream:
            await stream.write(pcm)
            await agent.send_custom_event(None, "test.before")
            await session.wait_for("test.before")
            emulator.fail_next_start(status=503)
            await lose_the_connection(session, listener)
            assert (await stream.interrupt()).reason == "interrupted"
        assert (await earlier.wait_playout(0)).reason == "interrupted"
        assert earlier.is_resolved
        (told,) = [entry for entry in caplog.records if "could not be told" in entry.msg]
        assert stream.response_id in told.getMessage()
        await listener.wait_for("on_reconnected")
        await agent.send_custom_event(None, "test.marker")
        await session.wait_for("test.marker")
        starts = [event for event in session.events if event["event"] == "response.audio.start"]
        assert len(starts) == 2  # neither was begun anew


async def test_what_was_sent_from_the_backlog_was_not_dropped(emulator, listener):
    pcm = random.Random(1).randbytes(48_000)  # noqa: S311
    async with agent_for(emulator, listener) as agent:
        (session,) = emulator.sessions
        await lose_the_connection(session, listener)
        assert not agent.stats().is_connected
        waiting = [
            asyncio.create_task(call)
            for call in (
                agent.send_response_audio_start("r", "p"),
                agent.send_audio(pcm),
                agent.send_response_audio_finish("r", "p"),
                agent.send_external_audio(pcm[:9600]),
                agent.send_response_start("s", "q"),
                agent.send_response_chunk("s", "q", 0, 1, "hello"),
                agent.send_response_done("s", "q"),
            )
        ]
        await asyncio.sleep(0)
        waits = agent.stats()
        assert waits.backlog_bytes > len(pcm)
        assert waits.audio_frames_sent == 0
        await asyncio.gather(*waiting)
        async with agent.audio_stream(paced=False) as stream:
            await stream.write(pcm)
        await agent.send_custom_event(None, "test.marker")
        await session.wait_for("test.marker")
        stats = agent.stats()
        heard = {turn.response_id: bytes(turn.pcm) for turn in session.turns}
        assert (heard["p"], heard[stream.response_id]) == (pcm, pcm)
        assert [event["event"] for event in session.events if "response.c" in event["event"]] == [
            "response.chunk"
        ]
        assert dict(stats.dropped) == {}
        assert stats.backlog_bytes == 0
        assert (stats.audio_frames_sent, stats.binary_messages_sent) == (50, 1)
        assert (stats.audio_written_ms, stats.audio_sent_ms, stats.audio_dropped_ms) == (
            1000,
            1000,
            0,
        )


@pytest.mark.parametrize("on_gap", ["resume", "drop"])
async def test_the_sums_of_a_turn_add_up_across_a_gap(emulator, listener, on_gap):
    pcm = random.Random(1).randbytes(48_000)  # noqa: S311
    async with agent_for(emulator, listener, on_gap=on_gap) as agent:
        (session,) = emulator.sessions
        async with agent.audio_stream(buffer_ms=60_000) as stream:
            await stream.write(pcm * 3)
            await lose_the_connection(session, listener)
            stats = agent.stats()
            written_ms = stats.audio_sent_ms + stats.audio_dropped_ms + stats.queued_ms
            assert stats.audio_written_ms == pytest.approx(written_ms)
            await listener.wait_for("on_reconnected")
        playout = await stream.wait_playout()
        stats = agent.stats()
        assert playout.reason == ("lost" if on_gap == "drop" else "completed")
        assert stats.audio_written_ms == 3000
        assert stats.audio_sent_ms == playout.sent_ms
        assert stats.audio_dropped_ms == pytest.approx(playout.dropped_ms)
        assert dict(stats.dropped) == {}
        assert (playout.dropped_ms > 2000) == (on_gap == "drop")


async def test_a_turn_that_a_gap_found_in_the_playing_is_completed(emulator, listener):
    async with agent_for(emulator, listener, on_gap="drop") as agent:
        (session,) = emulator.sessions
        async with agent.audio_stream() as stream:
            await stream.write(bytes(19_201))  # 400 ms and half a sample
        await lose_the_connection(session, listener)
        async with asyncio.timeout(5):
            assert (await stream.wait_playout()).reason == "completed"
