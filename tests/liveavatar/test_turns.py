"""Turns of speech over a real socket: what arrives, in which order, and what is told."""

import array
import asyncio
import itertools
import math
import random
import struct
import sys
import time

import pauses
import pytest
from agents import config_for

from avatarwire import (
    AgentListener,
    AudioFrame,
    AvatarAgent,
    MissingExtraError,
    NotConnectedError,
    SessionLost,
    frame_type,
)
from avatarwire.audio import PcmFormat
from avatarwire.codec import FrameType
from avatarwire.emulator import LiveAvatarEmulator
from avatarwire.liveavatar.messages import MessageBuilder, decode
from avatarwire.streaming import Playout

FAST = {"paced": False}


def sound(seconds, rate=24000, seed=1):
    return random.Random(seed).randbytes(round(seconds * rate) * 2)  # noqa: S311


def names(session):
    """Give what arrived, in order: event names, and "audio" for a run of frames."""
    kinds = (
        decode(entry.data)["event"] if entry.kind == "text" else "audio"
        for entry in session.transcript
        if entry.direction == "received"
    )
    return [
        name for name, _ in itertools.groupby(kinds) if name not in {"session.ready", "settled"}
    ]


def frames(session):
    messages = [e.data for e in session.transcript if e.kind == "binary"]
    assert all(frame_type(message) is FrameType.AUDIO for message in messages)
    return [AudioFrame.unpack(message) for message in messages]


async def settled(session, agent):
    """Wait until everything sent so far has arrived."""
    await agent.send_custom_event(None, "settled")
    await session.wait_for("settled")
    session.events.pop()


async def test_a_turn(agent, session):
    pcm = sound(1.003)
    async with agent.audio_stream("request", response_id="response", metadata={"mood": 1}) as turn:
        assert await turn.write(pcm)
    playout = await turn.wait_playout(10)
    assert playout == Playout("completed", 1003, 1003, 0, 1003)
    assert names(session) == ["response.audio.start", "audio", "response.audio.finish"]
    start, finish = session.events[-2:]
    assert start == {
        "event": "response.audio.start",
        "requestId": "request",
        "responseId": "response",
        "data": {"mood": 1},
    }
    assert (finish["requestId"], finish["responseId"]) == ("request", "response")
    (heard,) = session.turns
    assert bytes(heard.pcm) == pcm
    assert (heard.outcome, heard.stale_frames) == ("finished", 0)


async def test_it_has_begun_when_the_avatar_speaks(emulator):
    emulator.faults.delay_s = 0.4
    begun = asyncio.Event()
    async with AvatarAgent(config_for(emulator), AgentListener()) as agent:
        await agent.scene_ready(timeout=10)
        await asyncio.sleep(0.5)  # its states have been told
        begun_s = time.monotonic()
        async with agent.audio_stream(on_started=begun.set) as turn:
            await turn.write(sound(1))
            assert not begun.is_set()
            assert await turn.wait_started(5)
            assert time.monotonic() - begun_s >= 0.4
            await asyncio.wait_for(begun.wait(), 5)
        playout = await turn.wait_playout(10)
        assert playout.reason == "completed"
        assert 400 <= playout.started_ms <= 2000


async def test_where_the_platform_is_silent_it_has_begun_when_it_is_sent(emulator):
    emulator.faults.withhold.add("session.state")
    async with (
        AvatarAgent(config_for(emulator), AgentListener()) as agent,
        agent.audio_stream() as turn,
    ):
        await turn.write(sound(1))
        assert await turn.wait_started(0)
        assert (await turn.interrupt()).started_ms < 100


async def test_what_was_heard_of_an_interrupted_turn(agent):
    marks, runs = [], []
    async with agent.audio_stream(on_mark=marks.append, on_progress=runs.append) as turn:
        await turn.write(sound(0.4), text="Hello there, ")
        turn.mark("first")
        await turn.write(sound(2), words=[("how", 0), ("are", 1000), ("you?", 1500)])
        turn.mark("second")
        await asyncio.sleep(0.7)
        playout = await turn.interrupt()
    assert (playout.heard, playout.heard_text) == (("first",), "Hello there, how")
    await asyncio.sleep(0)
    assert marks == ["first"]
    assert runs[0].from_ms == 0
    assert runs[-1].to_ms == pytest.approx(playout.played_ms, abs=0.1)
    assert all(run.to_ms == after.from_ms for run, after in itertools.pairwise(runs))


async def test_pauses_at_twenty_places(emulator):
    async def turn(chance):
        async with AvatarAgent(config_for(emulator), AgentListener()) as agent:
            session = next(s for s in emulator.sessions if s.session_id == agent.session_id)
            pcm = chance.randbytes(round(pauses.SOUND_S * 48_000))
            stream = agent.audio_stream(buffer_ms=9000)
            paused_s, playout = await pauses.pause_once(stream, pcm, chance, ready)
            assert playout == Playout("completed", 2000, 2000, 0, 2000)
            assert stream.underruns == 0
        said = [
            (entry.time_s, AudioFrame.unpack(entry.data).payload)
            for entry in session.transcript
            if entry.kind == "binary"
        ]
        (stopped_s,) = [
            entry.time_s for entry in session.transcript if "control.interrupt" in str(entry.data)
        ]
        pauses.check_what_was_heard(pcm, 48_000, said, stopped_s, paused_s)
        assert [heard.outcome for heard in session.turns] == ["interrupted", "finished"]
        assert {heard.stale_frames for heard in session.turns} == {0}
        assert len({heard.response_id for heard in session.turns}) == 1

    ready = asyncio.Barrier(20)
    async with asyncio.TaskGroup() as turns:
        for chance in pauses.places(20):
            turns.create_task(turn(chance))


@pytest.mark.parametrize("how", ["interrupt", "cut", "stop"])
async def test_what_ends_a_pause(emulator, how):
    config = config_for(emulator, reconnect=True, on_gap="resume")
    pcm = sound(1.5)
    async with AvatarAgent(config, AgentListener()) as agent:
        (session,) = emulator.sessions
        async with agent.audio_stream() as turn:
            await turn.write(pcm)
            await asyncio.sleep(0.5)
            turn.pause()
            position_ms = turn.position_ms
            await asyncio.sleep(0.3)
            assert not turn.is_resolved  # the platform has told that it stopped
            if how == "interrupt":
                await turn.interrupt()
            elif how == "stop":
                await agent.stop()
            else:
                session.cut()
                while not agent.stats().reconnects:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                assert turn.is_paused
                turn.resume()
        playout = await turn.wait_playout(10)
        if how == "cut":
            assert playout == Playout("completed", 1500, 1500, 0, 1500)
            assert bytes(session.turns[-1].pcm) == pcm[round(position_ms * 24) * 2 :]
        else:
            assert playout.reason == {"interrupt": "interrupted", "stop": "lost"}[how]
            assert playout.played_ms == pytest.approx(position_ms)
            assert playout.sent_ms == pytest.approx(position_ms)
            assert len(session.turns) == 1


async def test_a_tail_is_not_paused_while_another_turn_is_open(agent):
    async with agent.audio_stream() as first:
        await first.write(sound(0.4))
    async with agent.audio_stream() as second:
        if not first.is_resolved:
            with pytest.raises(RuntimeError, match=f"audio stream '{second.response_id}' is open"):
                first.pause()
        second.pause()
        with pytest.raises(RuntimeError, match="is open"):
            async with agent.audio_stream():
                pass
        second.resume()


async def test_music_is_paused_by_itself(agent, session):
    async with agent.external_audio_stream() as music:
        await music.write(sound(1))
        await asyncio.sleep(0.2)
        music.pause()
        position_ms = music.position_ms
        await asyncio.sleep(0.2)
        music.resume()
    await settled(session, agent)
    (interrupt,) = [e for e in session.events if e["event"] == "control.interrupt"]
    assert interrupt["data"] == {"interruptScope": "BGM_ONLY"}
    received = b"".join(frame.payload for frame in session.external_frames)
    assert received.endswith(sound(1)[round(position_ms * 24) * 2 :])
    assert (await music.wait_playout(5)).reason == "completed"


async def test_three_turns_in_any_pieces_over_the_wraps(agent, session):
    chance = random.Random(2)  # noqa: S311
    turns = [sound(60.3, seed=3), sound(70.001, seed=4), sound(40, seed=5)]
    for pcm in turns:
        async with agent.audio_stream(frame_ms=40, **FAST) as turn:
            at = 0
            while at < len(pcm):
                size = chance.randint(1, 200_000 if chance.random() < 0.3 else 5000)
                assert await turn.write(pcm[at : at + size])
                at += size
        await turn.interrupt(notify=False)
    await settled(session, agent)
    assert [bytes(turn.pcm) for turn in session.turns] == turns
    received = frames(session)
    assert len(received) > 4096
    keys = [index for index, frame in enumerate(received) if frame.key]
    per_turn = [-(-len(pcm) // 1920) for pcm in turns]
    assert keys == [0, per_turn[0], sum(per_turn[:2])]
    samples = 0
    for index, frame in enumerate(received):
        assert frame.seq == index % 4096
        assert frame.timestamp == samples * 1000 // 24000 % 2**20
        samples += len(frame.payload) // 2
    assert names(session) == ["response.audio.start", "audio", "response.audio.finish"] * 3


async def test_ids_are_made_where_none_are_given(agent, session):
    async with agent.audio_stream() as turn:
        pass
    await settled(session, agent)
    start = session.events[-2]
    assert start["requestId"] == turn.request_id
    assert start["responseId"] == turn.response_id
    assert len({turn.request_id, turn.response_id}) == 2


async def test_interrupt(agent, session):
    async with agent.audio_stream("request", buffer_ms=3_600_000) as turn:
        await turn.write(bytes(10_000_000))
        begin = time.perf_counter()
        playout = await turn.interrupt()
        took_s = time.perf_counter() - begin
    await settled(session, agent)
    assert names(session) == [
        "response.audio.start",
        "audio",
        "control.interrupt",
        "response.audio.finish",
    ]
    assert session.events[-2] == {"event": "control.interrupt", "requestId": "request"}
    assert playout.written_ms == playout.sent_ms + playout.dropped_ms
    assert session.turns[0].stale_frames == 0
    assert session.turns[0].outcome == "interrupted"
    assert took_s < 5  # for ten megabytes; how promptly is a benchmark's business


async def test_the_agents_interrupt_ends_the_open_turn(agent, session):
    async with agent.audio_stream("request") as turn:
        await turn.write(sound(2))
        await agent.send_interrupt("another request")
        await agent.send_interrupt(interrupt_scope="BGM_ONLY")
        assert turn.is_open
        await agent.send_interrupt(metadata={"why": "barge-in"})
        assert not turn.is_open
    await settled(session, agent)
    assert names(session)[-2:] == ["control.interrupt", "response.audio.finish"]
    assert session.events[-2]["data"] == {"why": "barge-in"}
    assert (await turn.wait_playout()).reason == "interrupted"


async def test_a_scope_goes_with_the_interrupt(agent, session):
    async with agent.audio_stream("request") as turn:
        with pytest.raises(ValueError, match="LOUDLY"):
            await turn.interrupt(scope="LOUDLY")
        with pytest.raises(ValueError, match="leaves the voice alone"):
            await turn.interrupt(scope=" BGM_ONLY ")
        assert turn.is_open
        await turn.interrupt(scope="VOICE_AND_ACCOMPANIMENT")
    await settled(session, agent)
    assert session.events[-2]["data"] == {"interruptScope": "VOICE_AND_ACCOMPANIMENT"}


async def test_one_open_turn_at_a_time(agent):
    async with agent.audio_stream("first", response_id="one") as turn:
        for call in (
            agent.audio_stream("second").__aenter__(),
            agent.send_audio(sound(0.1)),
            agent.send_audio_frame(AudioFrame(0, 0, 0, 0, 1, 960, 0, bytes(1920))),
            agent.send_response_audio_start("r", "p"),
            agent.send_response_audio_finish("r", "p"),
            agent.send_prompt_audio_start(),
            agent.send_prompt_audio_finish(),
        ):
            with pytest.raises(RuntimeError, match="the audio stream 'one' is open"):
                await call
        assert turn.is_open
    await agent.send_audio(sound(0.1))


async def test_a_prompt(agent, session):
    async with agent.audio_stream(prompt=True) as turn:
        await turn.write(sound(0.1))
        await turn.interrupt()
    await settled(session, agent)
    assert (
        names(session)
        == [
            "response.audio.promptStart",
            "audio",
            "control.interrupt",
            "response.audio.promptFinish",
        ][:1]
        + names(session)[1:]
    )
    assert "requestId" not in session.events[-2]
    async with agent.audio_stream(prompt=True) as turn:
        await turn.write(sound(0.1))
    assert (await turn.wait_playout(10)).reason == "completed"
    with pytest.raises(ValueError, match="carries no metadata"):
        agent.audio_stream(prompt=True, metadata={"a": 1})


@pytest.mark.parametrize("first", [{"prompt": True}, {"request_id": "same"}])
async def test_an_interrupt_ends_every_turn_that_it_stops(agent, session, first):
    """A prompt's names no request, and so stops what speaks after it; so do equal requests."""
    async with agent.audio_stream(**first) as done:
        await done.write(sound(0.4))
    async with agent.audio_stream("same") as following:
        await following.write(sound(2))
        assert (await done.interrupt()).reason == "interrupted"
        assert not following.is_open
    async with agent.audio_stream("other") as other:
        await following.interrupt()
        assert other.is_open
    await settled(session, agent)
    assert [turn.stale_frames for turn in session.turns] == [0, 0, 0]
    assert names(session).count("control.interrupt") == 1


@pytest.mark.parametrize(
    "event", [MessageBuilder.input_text("r", "wait"), MessageBuilder.input_voice_start("r")]
)
async def test_the_users_input_ends_the_turn_on_request(agent, session, listener, event):
    async with agent.audio_stream(interrupt_on_input=True) as turn:
        await turn.write(sound(3))
        await session.send_event(event)
        while turn.is_open:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert not await turn.write(sound(1))
    await settled(session, agent)
    assert "control.interrupt" not in names(session)
    assert names(session)[-1] == "response.audio.finish"
    assert (await turn.wait_playout()).reason == "interrupted"

    async with agent.audio_stream() as other:
        await other.write(sound(0.1))
        await session.send_event(event)
        await listener.wait_for(
            "on_text_input" if event["event"] == "input.text" else "on_voice_start", 2
        )
        assert other.is_open


@pytest.mark.parametrize(
    ("state", "reason", "outcome"),
    [
        ("FINISHED", "COMPLETED", "completed"),
        ("FINISHED", "USER_COMMAND_INTERRUPT", "interrupted"),
        ("FINISHED", "DEVELOPER_COMMAND_INTERRUPT", "interrupted"),
        ("FINISHED", "RENDERER_FAILED", "failed"),
        ("FINISHED", None, "failed"),
        ("REJECTED", "SESSION_BUSY", "failed"),
    ],
)
async def test_response_state_resolves(emulator, agent, session, listener, state, reason, outcome):
    emulator.faults.withhold_response_states = True
    async with agent.audio_stream("r", response_id="mine") as turn:
        await turn.write(sound(0.04))
        tell = session.send_response_state
        await tell("mine", "ACCEPTED", request_id="r", seq=1)
        await tell("another", "FINISHED", "FAILED", request_id="r", seq=2)
        await tell("mine", "FINISHED", "FAILED", request_id="r", seq=2)  # a seq that was used
        await listener.wait_for("on_response_state", 2)
        assert turn.is_open
        await tell("mine", state, reason, request_id="r", seq=9)
        await listener.wait_for("on_response_state", 3)
        assert not turn.is_open
    assert (await turn.wait_playout()).reason == outcome
    assert agent.ignored_messages == {"a response.state that it had sent before": 1}


async def test_a_turn_is_heard_to_its_end_on_a_platform_without_response_states(
    emulator, agent, listener
):
    emulator.faults.withhold_response_states = True
    async with agent.audio_stream() as turn:
        await turn.write(sound(0.2))
    assert (await turn.wait_playout(10)).reason == "completed"
    assert listener.named("on_response_state") == []


async def test_turns_back_to_back_each_end_in_their_time(agent, session):
    """The next turn begins while the one before still plays, which the emulator then replaces."""
    async with agent.audio_stream(**FAST) as first:
        await first.write(sound(10))
    await session.wait_for("response.audio.finish")
    async with agent.audio_stream() as second:
        await second.write(sound(0.2))
    assert (await second.wait_playout(10)).reason == "completed"
    playout = await first.wait_playout(0)
    assert (playout.reason, playout.sent_ms) == ("interrupted", 10_000)
    assert playout.played_ms < 9000


async def test_a_lost_connection_ends_the_turn(agent, session):
    async with agent.audio_stream() as turn:
        await turn.write(sound(1))
        waiting = asyncio.create_task(turn.wait_playout())
        await settled(session, agent)
        session.cut()
        playout = await asyncio.wait_for(waiting, 5)
        assert not await turn.write(sound(1))
    assert playout.reason == "lost"
    assert playout.written_ms == playout.sent_ms + playout.dropped_ms == 1000
    with pytest.raises(SessionLost):
        async with agent.audio_stream():
            pass


async def test_a_turn_that_could_not_be_sent_stands_in_nobodys_way(agent, dials, monkeypatch):
    """The write may fail before the session has learnt of its connection's end."""

    def dead(wire):
        raise SessionLost(1006)

    async with agent.audio_stream() as turn:
        monkeypatch.setattr(type(dials.last), "write_batch", lambda _, wire: dead(wire))
        assert not await turn.write(sound(1))
        monkeypatch.undo()
        assert (await turn.wait_playout()).reason == "lost"
        async with agent.audio_stream(**FAST) as other:
            assert await other.write(sound(0.1))
    assert (await other.wait_playout(10)).reason == "completed"


async def test_stop_ends_the_turn(emulator, agent, session, caplog):
    async with agent.audio_stream() as turn:
        await turn.write(sound(1))
        await agent.stop()
        assert not turn.is_open
    assert (await turn.wait_playout()).reason == "lost"
    assert "session.stop" in names(session)
    with pytest.raises(NotConnectedError):
        async with agent.audio_stream():
            pass
    assert caplog.records == []


async def test_closing_ends_the_turn(agent, session, listener):
    async with agent.audio_stream() as turn:
        await turn.write(sound(1))
        await session.send_event(MessageBuilder.session_closing("idle"))
        await listener.wait_for("on_session_closing")
        assert not await turn.write(sound(1))
    assert (await turn.wait_playout()).reason == "lost"


def tone(rate, channels=1, seconds=1.0, hz=440.0):
    """Give a tone, in stereo with nothing on the right."""
    frames = (
        (int(12000 * math.sin(2 * math.pi * hz * n / rate)), 0)[:channels]
        for n in range(round(seconds * rate))
    )
    return b"".join(struct.pack(f"<{channels}h", *frame) for frame in frames)


@pytest.mark.parametrize(
    ("rate", "channels", "wanted", "sent"),
    [
        (22050, 1, None, 24000),
        (8000, 1, None, 24000),
        (44100, 2, 48000, 48000),
        (24000, 1, 16000, 16000),
        (24000, 2, None, 24000),
        (48000, 1, None, 48000),
    ],
)
async def test_any_rate_in(emulator, listener, rate, channels, wanted, sent):
    config = config_for(emulator, tts_sample_rate=wanted)
    async with AvatarAgent(config, listener) as agent:
        (session,) = emulator.sessions
        pcm = tone(rate, channels)
        async with agent.audio_stream(sample_rate=rate, channels=channels, **FAST) as turn:
            for at in range(0, len(pcm), 1001):
                assert await turn.write(pcm[at : at + 1001])
        assert await turn.wait_playout(10) == Playout("completed", 1000, 1000, 0, 1000)
    (heard,) = session.turns
    assert heard.format == PcmFormat(sent, 1)
    samples = array.array("h", bytes(heard.pcm))
    assert len(samples) == sent
    crossings = sum(a < 0 <= b for a, b in itertools.pairwise(samples))
    assert crossings == pytest.approx(440, abs=2)
    assert max(samples) == pytest.approx(12000 / channels, rel=0.02)


async def test_without_the_extra_one_error_names_it(agent, monkeypatch):
    monkeypatch.setitem(sys.modules, "avatarwire.audio._conversion", None)
    with pytest.raises(MissingExtraError, match=r'pip install "avatarwire\[audio\]"'):
        agent.audio_stream(sample_rate=22050)
    agent.audio_stream(sample_rate=48000)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"request_id": 7}, TypeError, "request_id"),
        ({"response_id": 7}, TypeError, "response_id"),
        ({"sample_rate": 0}, ValueError, "positive rate"),
        ({"frame_ms": 171}, ValueError, "frame_ms"),
        ({"lead_ms": -1}, ValueError, "lead_ms"),
        ({"metadata": {"mood": float("nan")}}, ValueError, "mood"),
        ({"metadata": 5}, TypeError, "metadata"),
    ],
)
async def test_bad_arguments_are_refused_at_once(agent, session, arguments, error, words):
    with pytest.raises(error, match=words):
        agent.audio_stream(**arguments)
    await settled(session, agent)
    assert names(session) == []


async def test_scene_ready_however_late_one_asks(emulator, listener):
    agent = AvatarAgent(config_for(emulator), listener)
    with pytest.raises(NotConnectedError):
        await agent.scene_ready()
    async with agent:
        await agent.scene_ready(5)
        assert await listener.wait_for("on_scene_ready") == ()
        await agent.scene_ready(0)
    async with agent:  # a new connection has a scene of its own
        waiting = asyncio.create_task(agent.scene_ready())
        await asyncio.wait_for(waiting, 5)


async def test_scene_ready_that_never_comes(listener):
    async with LiveAvatarEmulator(greeting=None) as emulator:
        agent = AvatarAgent(config_for(emulator), listener)
        await agent.start()
        agent._scene.begin()  # as if it had not come
        with pytest.raises(TimeoutError):
            await agent.scene_ready(0.01)
        waiting = asyncio.create_task(agent.scene_ready())
        await asyncio.sleep(0)
        await agent.stop()
        with pytest.raises(SessionLost):
            await waiting
