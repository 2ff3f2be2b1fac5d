"""A lost connection, and the next one of the same session."""

import asyncio
import dataclasses
import json
import random
import time

import pytest
from agents import Recorder, config_for

from avatarwire import (
    AvatarAgent,
    BacklogFullError,
    ResponseStreamStateError,
    SessionLost,
    SessionStartError,
)
from avatarwire.emulator import LiveAvatarEmulator
from avatarwire.liveavatar import rest
from avatarwire.liveavatar.messages import MessageBuilder

QUICK = {"reconnect": True, "reconnect_base_delay": 0.01, "reconnect_max_delay": 0.05}


def sound(seconds, seed=1):
    return random.Random(seed).randbytes(int(seconds * 24000) * 2)  # noqa: S311


@pytest.fixture
async def agent(emulator, listener, dials):
    async with AvatarAgent(config_for(emulator, **QUICK), listener, connect=dials) as agent:
        yield agent


def events(session, name="my.event"):
    return [event["data"]["n"] for event in session.events if event["event"] == name]


async def test_a_cut_is_followed_by_another_connection(emulator, agent, session, listener):
    session_id, first = agent.session_id, agent._dialect.result
    await agent.scene_ready(5)
    session.cut()
    (attempt, delay_s) = await listener.wait_for("on_reconnecting")
    assert attempt == 1
    assert 0 <= delay_s <= 0.01
    (result,) = await listener.wait_for("on_reconnected")
    assert agent.is_running
    assert agent.session_id == session_id == result.session_id
    assert result.user_token != first.user_token
    assert result.agent_ws_url != first.agent_ws_url
    assert session.start_requests == [
        {"avatarId": "avatar-1"},
        {"avatarId": "avatar-1", "sessionId": session_id},
    ] or [body.get("sessionId") for body in session.start_requests] == [None, session_id]
    await agent.scene_ready(5)
    await agent.send_prompt("still here")
    await session.wait_for("system.prompt")
    names = [json.loads(entry.data)["event"] for entry in session.transcript
             if entry.direction == "received"]  # fmt: skip
    assert names.count("session.ready") == 2
    assert len(listener.named("on_session_init")) == 1
    assert listener.named("on_closed") == []
    await agent.stop()
    assert listener.named("on_closed") == [(1000, "")]
    assert session.stop_requests == 1


@pytest.mark.parametrize("code", [1001, 1006, 1009, 1011, 4000])
async def test_codes_after_which_it_reconnects(agent, session, listener, code):
    if code == 1006:
        session.cut()
    else:
        await session.close(code)
    await listener.wait_for("on_reconnected")
    assert agent.is_running
    assert listener.named("on_closed") == []


@pytest.mark.parametrize("code", [1000, 1002, 1008])
async def test_codes_after_which_it_does_not(agent, session, listener, code):
    await session.close(code, "enough")
    assert await listener.wait_for("on_closed") == (code, "enough")
    await asyncio.sleep(0.1)
    assert listener.named("on_reconnecting") == []
    assert not agent.is_running
    assert len(session.start_requests) == 1


async def test_not_after_closing(agent, session, listener):
    await session.send_event(MessageBuilder.session_closing("idle"))
    await listener.wait_for("on_closed")
    assert listener.named("on_reconnecting") == []


async def test_not_without_being_asked_to(emulator, listener):
    async with AvatarAgent(config_for(emulator), listener):
        emulator.sessions[0].cut()
        assert await listener.wait_for("on_closed") == (1006, "")
    assert listener.named("on_reconnecting") == []


async def test_a_session_that_is_closed_ends_it_at_once(agent, session, listener):
    session.ended = True  # the platform answers the next start with 403
    session.cut()
    code, reason = await listener.wait_for("on_closed")
    assert code == 1006
    assert "refused to reconnect: [40007]" in reason
    assert len(listener.named("on_reconnecting")) == 1


async def test_attempts_are_capped_and_delays_double(emulator, listener):
    config = config_for(
        emulator, reconnect=True, reconnect_base_delay=0.01, reconnect_max_delay=0.03,
        reconnect_max_attempts=4,
    )  # fmt: skip
    async with AvatarAgent(config, listener) as agent:
        emulator.fail_next_start(status=503, times=9)
        emulator.sessions[0].cut()
        code, reason = await listener.wait_for("on_closed")
        with pytest.raises(SessionLost, match="not reconnected in 4 attempts"):
            await agent.send_prompt("too late")
    assert (code, reason) == (1006, "not reconnected in 4 attempts")
    attempts = listener.named("on_reconnecting")
    assert [attempt for attempt, _ in attempts] == [1, 2, 3, 4]
    assert all(
        delay <= limit + 1e-9
        for (_, delay), limit in zip(attempts, [0.01, 0.02, 0.03, 0.03], strict=True)
    )
    assert len(listener.named("on_closed")) == 1


async def test_attempts_begin_anew_after_an_init_only(emulator, agent, session, listener):
    emulator.faults.withhold_init = True
    agent._config.timeout = 0.2
    session.cut()
    await listener.wait_for("on_reconnecting", 2)
    emulator.faults.withhold_init = False
    await listener.wait_for("on_reconnected")
    first_series = [attempt for attempt, _ in listener.named("on_reconnecting")]
    assert first_series == list(range(1, len(first_series) + 1))
    assert len(first_series) >= 2
    # Something comes of it: a connection that is dropped before is one more failed attempt.
    await session.send_event({"event": "my.event"})
    await listener.wait_for("on_event")
    session.cut()
    await listener.wait_for("on_reconnected", 2)
    assert listener.named("on_reconnecting")[len(first_series)][0] == 1


async def test_a_refusal_during_the_handshake_is_final(emulator, agent, session, listener):
    emulator.faults.withhold_init = True
    session.cut()
    async with asyncio.timeout(5):
        while len(session.start_requests) < 2 or not session.is_connected:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    await session.close(1008, "go away")
    assert await listener.wait_for("on_closed") == (1008, "go away")


async def test_closing_during_the_handshake_is_final(emulator, agent, session, listener):
    emulator.faults.withhold_init = True
    session.cut()
    async with asyncio.timeout(5):
        while len(session.start_requests) < 2 or not session.is_connected:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    await session.send_event(MessageBuilder.session_closing("idle"))
    await session.close(1001)
    await listener.wait_for("on_closed")
    assert len(listener.named("on_reconnecting")) == 1
    assert len(session.start_requests) == 2


async def test_an_init_that_is_read_in_the_moment_of_the_timeout(
    emulator, agent, session, listener, dials
):
    emulator.faults.withhold_init = True
    agent._config.timeout = 0.2
    session.cut()
    async with asyncio.timeout(5):
        while len(session.start_requests) < 2 or not session.is_connected:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        while len(dials.connections) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    emulator.faults.withhold_init = False
    await session.send_event(MessageBuilder.session_init(session.session_id, "user"))
    time.sleep(0.25)  # noqa: ASYNC251 - the loop stalls: it finds both the init and the timer due
    await listener.wait_for("on_reconnected")
    await asyncio.sleep(0.3)
    attempts = [attempt for attempt, _ in listener.named("on_reconnecting")]
    assert attempts == list(range(1, len(attempts) + 1))
    assert len(listener.named("on_reconnected")) == 1
    assert len(session.start_requests) == 1 + len(attempts)


async def test_stop_while_it_reconnects(emulator, agent, session, listener):
    emulator.fail_next_start(no_answer=True)
    session.cut()
    await listener.wait_for("on_reconnecting")
    await asyncio.sleep(0.05)
    await asyncio.wait_for(agent.stop(), 3)
    assert listener.named("on_closed") == [(1000, "")]
    assert not agent.is_running


async def test_events_of_the_gap_wait_and_keep_their_order(agent, session, listener):
    await agent.send_custom_event(None, "my.event", {"n": 0})
    await session.wait_for("my.event")
    session.cut()
    await listener.wait_for("on_reconnecting")
    sending = [
        asyncio.create_task(agent.send_custom_event(None, "my.event", {"n": n}))
        for n in range(1, 50)
    ]
    await asyncio.gather(*sending)
    await listener.wait_for("on_reconnected")
    async with asyncio.timeout(5):
        while len(events(session)) < 50:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert events(session) == list(range(50))


async def test_the_backlog_is_bounded(emulator, listener):
    config = config_for(emulator, **QUICK, reconnect_buffer_bytes=200)
    async with AvatarAgent(config, listener) as agent:
        emulator.fail_next_start(no_answer=True)
        emulator.sessions[0].cut()
        await listener.wait_for("on_reconnecting")
        waiting = asyncio.create_task(agent.send_prompt("x" * 100))
        await asyncio.sleep(0)
        with pytest.raises(BacklogFullError):
            await agent.send_prompt("y" * 100)
        await agent.stop()
        with pytest.raises(SessionLost):
            await waiting


async def test_every_sender_learns_of_the_loss(emulator, listener, caplog):
    config = config_for(emulator, **QUICK, reconnect_max_attempts=1)
    emulator.faults.withhold.add("scene.ready")  # one that has come is waited for no more
    async with AvatarAgent(config, listener) as agent:
        emulator.fail_next_start(status=503)
        emulator.sessions[0].cut()
        await listener.wait_for("on_reconnecting")
        sending = asyncio.gather(
            *(agent.send_prompt("hello") for _ in range(3)),
            agent.audio_stream().__aenter__(),
            agent.scene_ready(),
            return_exceptions=True,
        )
        assert [type(failure) for failure in await sending] == [SessionLost] * 5
    assert "bytes waited for a connection in vain" in caplog.text


async def test_a_scene_that_was_ready_stays_so(emulator, agent, session, listener):
    await agent.scene_ready(5)
    emulator.faults.withhold.add("scene.ready")
    session.cut()
    await listener.wait_for("on_reconnecting")
    await agent.scene_ready(0)
    await listener.wait_for("on_reconnected")
    await agent.scene_ready(0)


async def test_a_scene_that_becomes_ready_after_a_gap(emulator, listener):
    emulator.faults.withhold.add("scene.ready")
    async with AvatarAgent(config_for(emulator, **QUICK), listener) as agent:
        waiting = asyncio.create_task(agent.scene_ready(5))
        emulator.sessions[0].cut()
        await listener.wait_for("on_reconnecting")
        emulator.faults.withhold.clear()
        await waiting
        assert len(listener.named("on_scene_ready")) == 1


# Turns of speech


def turns_of(session):
    return [(turn.response_id, turn.outcome) for turn in session.turns]


async def test_a_turn_is_resumed(agent, session, listener):
    pcm = sound(2)
    async with agent.audio_stream("r", response_id="p") as stream:
        await stream.write(pcm)
        await asyncio.sleep(0.5)
        session.cut()
    playout = await stream.wait_playout(10)
    assert (playout.reason, playout.written_ms, playout.sent_ms) == ("completed", 2000, 2000)
    assert playout.dropped_ms == 0
    first, second = session.turns
    assert (first.outcome, second.outcome) == ("replaced", "finished")
    assert pcm.startswith(bytes(first.pcm))
    assert pcm.endswith(bytes(second.pcm))
    # Nothing is missing; what is told twice is what the platform had not played, and a frame.
    overlap_ms = (len(first.pcm) + len(second.pcm) - len(pcm)) / 48
    assert 0 <= overlap_ms <= 400 + 40


async def test_a_turn_whose_tail_was_lost_is_resumed(agent, session, listener):
    pcm = sound(0.4)
    async with agent.audio_stream("r", response_id="p") as stream:
        await stream.write(pcm)
    await session.wait_for("response.audio.finish")
    session.cut()
    playout = await stream.wait_playout(10)
    assert playout.reason == "completed"
    assert turns_of(session) == [("p", "replaced"), ("p", "finished")]
    assert pcm.endswith(bytes(session.turns[1].pcm))


async def test_the_next_turn_waits_for_the_connection(agent, session, listener):
    session.cut()
    await listener.wait_for("on_reconnecting")
    async with agent.audio_stream(response_id="p") as stream:
        await stream.write(sound(0.1))
    assert (await stream.wait_playout(10)).reason == "completed"
    assert turns_of(session) == [("p", "finished")]


async def test_what_the_gap_swallows_is_dropped_on_request(emulator, listener):
    async with AvatarAgent(config_for(emulator, **QUICK, on_gap="drop"), listener) as agent:
        (session,) = emulator.sessions
        emulator.fail_next_start(status=503, times=2)
        async with agent.audio_stream(response_id="p") as stream:
            await stream.write(sound(1.0))
            session.cut()
            await listener.wait_for("on_reconnecting")
            assert await stream.write(sound(1.0, seed=2))
            await listener.wait_for("on_reconnected")
            assert await stream.write(sound(0.4, seed=3))
        playout = await stream.wait_playout(10)
    assert playout.reason == "completed"
    assert playout.written_ms == 2400
    assert playout.written_ms == playout.sent_ms + playout.dropped_ms
    assert playout.dropped_ms >= 1000
    assert bytes(session.turns[-1].pcm) == sound(0.4, seed=3)


async def test_a_turn_fails_on_request(emulator, listener):
    async with AvatarAgent(config_for(emulator, **QUICK, on_gap="fail"), listener) as agent:
        (session,) = emulator.sessions
        async with agent.audio_stream() as stream:
            await stream.write(sound(1.0))
            session.cut()
            playout = await stream.wait_playout(10)
            assert not await stream.write(sound(1.0))
        assert playout.reason == "lost"
        await listener.wait_for("on_reconnected")
        async with agent.audio_stream() as stream:
            await stream.write(sound(0.1))
        assert (await stream.wait_playout(10)).reason == "completed"


async def test_an_interrupt_in_the_gap_goes_out_after_it(agent, session, listener):
    async with agent.audio_stream("r") as stream:
        await stream.write(sound(1.0))
        await session.wait_for("response.audio.start")
        session.cut()
        await listener.wait_for("on_reconnecting")
        playout = await stream.interrupt()
    assert playout.reason == "interrupted"
    assert playout.written_ms == playout.sent_ms + playout.dropped_ms
    assert (await session.wait_for("control.interrupt"))["requestId"] == "r"
    await session.wait_for("response.audio.finish")
    assert len(session.turns) == 1


async def test_a_turn_that_is_lost_for_good(emulator, listener):
    config = config_for(emulator, **QUICK, reconnect_max_attempts=1)
    async with AvatarAgent(config, listener) as agent:
        emulator.fail_next_start(status=503)
        async with agent.audio_stream() as stream:
            await stream.write(sound(1.0))
            emulator.sessions[0].cut()
        playout = await stream.wait_playout(10)
    assert playout.reason == "lost"
    assert playout.written_ms == playout.sent_ms + playout.dropped_ms == 1000


# Text


def texts(session, response_id):
    """Give what arrived of a response: the text of its chunks, and what its other events are."""
    names = {"response.start": "start", "response.done": "done", "response.cancel": "cancel"}
    return [
        names.get(event["event"]) or event["data"]["text"]
        for event in session.events
        if event.get("responseId") == response_id and event["event"].startswith("response.")
    ]


async def arrived(session, name):
    async with asyncio.timeout(5):
        while not any(event["event"] == name for event in session.events):  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_a_text_response_is_sent_again_from_its_start(agent, session, listener):
    async with agent.response_stream("r") as stream:
        await stream.send_chunk("one ")
        await arrived(session, "response.chunk")
        session.cut()
        await listener.wait_for("on_reconnecting")
        await stream.send_chunk("two ")  # returns when it has been sent
        await stream.send_chunk("three")
    await arrived(session, "response.done")
    assert texts(session, stream.response_id) == [
        "start", "one ", "start", "one ", "two ", "three", "done",
    ]  # fmt: skip


async def test_text_that_is_completed_in_the_gap(agent, session, listener):
    session.cut()
    await listener.wait_for("on_reconnecting")
    async with agent.response_stream("r") as stream:
        await stream.send_chunk("one")
        response_id = stream.response_id
    del stream
    await arrived(session, "response.done")
    assert texts(session, response_id) == ["start", "one", "done"]


async def test_text_that_is_cancelled_in_the_gap(agent, session, listener):
    async with agent.response_stream("r") as stream:
        await stream.send_chunk("one")
        await arrived(session, "response.chunk")
        session.cut()
        await listener.wait_for("on_reconnecting")
        await stream.cancel()
    await arrived(session, "response.cancel")
    assert texts(session, stream.response_id) == ["start", "one", "cancel"]


async def test_a_prompt_is_sent_again_from_its_start(agent, session, listener):
    async with agent.prompt_stream("r", response_id="p") as stream:
        await stream.send("one")
        await arrived(session, "system.prompt.chunk")
        session.cut()
        await listener.wait_for("on_reconnecting")
        await stream.send("two")
    await arrived(session, "system.prompt.done")
    names = [event["event"] for event in session.events if event.get("responseId") == "p"]
    assert names == [
        "system.prompt.start", "system.prompt.chunk", "system.prompt.start",
        "system.prompt.chunk", "system.prompt.chunk", "system.prompt.done",
    ]  # fmt: skip


async def test_text_that_was_complete_is_not_sent_again(agent, session, listener):
    async with agent.response_stream("r") as stream:
        await stream.send_chunk("one")
    await arrived(session, "response.done")
    session.cut()
    await listener.wait_for("on_reconnected")
    await agent.send_prompt("after")
    await arrived(session, "system.prompt")
    assert texts(session, stream.response_id) == ["start", "one", "done"]


@pytest.mark.parametrize("on_gap", ["drop", "fail"])
async def test_text_fails_on_request(emulator, listener, on_gap):
    async with AvatarAgent(config_for(emulator, **QUICK, on_gap=on_gap), listener) as agent:
        (session,) = emulator.sessions
        stream = agent.response_stream("r")
        await stream.__aenter__()
        session.cut()
        await listener.wait_for("on_reconnected")
        with pytest.raises(ResponseStreamStateError, match="was cut off"):
            await stream.send_chunk("two")
        with pytest.raises(ResponseStreamStateError):
            await stream.wait_finished(5)
        async with agent.response_stream("another request") as other:
            await other.send_chunk("fine")


# Starts


@pytest.fixture
def no_delay(monkeypatch):
    monkeypatch.setattr(rest, "RETRY_DELAY_S", (0.0, 0.01))


@pytest.mark.parametrize(
    ("code", "times", "retries", "starts"),
    [(40001, 3, 3, True), (40002, 3, 3, True), (40003, 1, 3, True), (40001, 4, 3, False),
     (40003, 2, 3, False), (40001, 1, 0, False), (40001, 2, 1, False), (40005, 1, 3, False)],
)  # fmt: skip
async def test_starts_are_repeated_where_it_helps(
    emulator, listener, no_delay, code, times, retries, starts
):
    emulator.fail_next_start(code=code, times=times)
    agent = AvatarAgent(config_for(emulator, start_retries=retries), listener)
    if starts:
        async with agent:
            assert agent.is_running
    else:
        with pytest.raises(SessionStartError) as refused:
            await agent.start()
        assert refused.value.code == code
    assert len(emulator.sessions) == int(starts)


async def test_a_start_that_is_given_up_is_not_repeated(emulator, listener, monkeypatch):
    monkeypatch.setattr(rest, "RETRY_DELAY_S", (0.2, 0.2))
    emulator.fail_next_start(code=40001)
    agent = AvatarAgent(config_for(emulator), listener)
    starting = asyncio.create_task(agent.start())
    async with asyncio.timeout(5):
        while emulator.faults.starts or agent._dialect._rest_start is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    await agent.stop()
    with pytest.raises(SessionLost):
        await starting
    await asyncio.sleep(0.4)
    assert emulator.sessions == []


def test_the_delay_between_starts_is_the_documented_one():
    assert rest.RETRY_DELAY_S == (2.0, 3.0)


async def test_concurrent_starts_and_stops(emulator, listener):
    agent = AvatarAgent(config_for(emulator), listener)
    for _ in range(5):
        await asyncio.gather(
            agent.start(), agent.start(), agent.stop(), agent.start(), agent.stop(),
            return_exceptions=True,
        )  # fmt: skip
        await agent.stop()
    assert not agent.is_running
    async with agent:
        assert agent.is_running
    for session in emulator.sessions:
        assert session.stop_requests == 1


async def test_a_listener_that_raises_changes_nothing():
    class Raising(Recorder):
        async def on_reconnecting(self, attempt, delay_s):
            raise ValueError

        async def on_reconnected(self, result):
            await super().on_reconnected(result)
            raise ValueError

    async with LiveAvatarEmulator(greeting=None) as emulator:
        listener = Raising()
        async with AvatarAgent(config_for(emulator, **QUICK), listener) as agent:
            emulator.sessions[0].cut()
            await listener.wait_for("on_reconnected")
            assert agent.is_running
    assert listener.named("on_closed") == [(1000, "")]


async def test_text_that_waits_for_a_connection_is_bounded(agent, session, monkeypatch):
    asked, answer = asyncio.Event(), asyncio.Event()
    start = rest.SessionApi.start

    async def slow_start(self, session_id=None, *, asking=None):
        asked.set()
        await answer.wait()
        return await start(self, session_id, asking=asking)

    monkeypatch.setattr(rest.SessionApi, "start", slow_start)
    agent._responses.limit_bytes = 2000
    async with asyncio.timeout(10), agent.response_stream("r") as stream:
        await arrived(session, "response.start")
        session.cut()
        await asked.wait()
        writing = asyncio.create_task(stream.send_chunk("a" * 1000))
        await asyncio.sleep(0)
        with pytest.raises(BacklogFullError):
            await stream.send_chunk("b" * 1000)
        answer.set()
        await writing
        await stream.send_chunk("c")
    await arrived(session, "response.done")
    assert texts(session, stream.response_id) == [
        "start", "start", "a" * 1000, "c", "done",
    ]  # fmt: skip


async def test_a_start_in_the_gap_that_a_stop_overtakes_is_waited_for(
    emulator, agent, session, listener, monkeypatch
):
    # The platform may give another id, and that one is to be stopped as well.
    session_id = agent.session_id
    asked, answer = asyncio.Event(), asyncio.Event()
    stopped = []

    async def start(self, session_id=None, *, asking=None):
        asking()
        asked.set()
        await answer.wait()
        return dataclasses.replace(agent._dialect.result, session_id="another")

    async def stop(self, session_id):
        stopped.append(session_id)

    monkeypatch.setattr(rest.SessionApi, "start", start)
    monkeypatch.setattr(rest.SessionApi, "stop", stop)
    session.cut()
    await asyncio.wait_for(asked.wait(), 5)
    stopping = asyncio.create_task(agent.stop())
    await asyncio.sleep(0.05)
    assert stopped == [session_id]
    answer.set()
    await stopping
    assert stopped == [session_id, "another"]


async def test_the_session_of_after_a_gap_is_the_one_that_is_stopped(
    agent, session, listener, monkeypatch
):
    stopped = []
    start = rest.SessionApi.start

    async def renamed(self, session_id=None, *, asking=None):
        result = await start(self, session_id, asking=asking)
        return dataclasses.replace(result, session_id="another")

    async def stop(self, session_id):
        stopped.append(session_id)

    monkeypatch.setattr(rest.SessionApi, "start", renamed)
    monkeypatch.setattr(rest.SessionApi, "stop", stop)
    session.cut()
    await listener.wait_for("on_reconnected")
    assert agent.session_id == "another"
    await agent.stop()
    assert stopped == ["another"]
