"""A transport in a whole pipeline, at both ends of it."""

import asyncio

import pytest
from conftest import config_for
from lines import Line, pieces, sound, turn
from pipecat.frames.frames import (
    BotConnectedFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    ClientConnectedFrame,
    ErrorFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMMessagesAppendFrame,
    OutputAudioRawFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.worker import PipelineParams
from pipecat.tests.utils import SleepFrame, run_test

from avatarwire import AgentListener, AvatarAgent, MessageBuilder
from avatarwire.akool import StreamingAvatarClient
from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator, StartFault
from avatarwire.pipecat import AvatarParams, AvatarTransport


@pytest.fixture
def transport(agent):
    return AvatarTransport(agent)


@pytest.fixture
async def whole(transport, agent, emulator):
    """Give a pipeline with both ends of the transport."""
    line = Line(transport.output(), agent, emulator, before=[transport.input()])
    async with line:
        await line.until(lambda: line.times(ClientConnectedFrame))
        yield line


def told(line):
    """Return what the platform was told of the user and of interrupts."""
    return [
        event
        for event in line.session.events
        if event["event"].startswith("input.") or event["event"] == "control.interrupt"
    ]


def kinds(line, *of):
    return [type(frame) for _, frame in line.behind.frames if isinstance(frame, of)]


async def test_what_the_user_types(whole):
    await whole.put(*turn(sound(3000)))
    await whole.until(lambda: whole.started)
    await whole.session.send_text("Hi", "r1")
    await whole.until(lambda: whole.times(LLMMessagesAppendFrame))
    assert kinds(whole, InterruptionFrame, LLMMessagesAppendFrame) == [
        InterruptionFrame,
        LLMMessagesAppendFrame,
    ]
    frame = next(f for _, f in whole.behind.frames if isinstance(f, LLMMessagesAppendFrame))
    assert (frame.messages, frame.run_llm) == ([{"role": "user", "content": "Hi"}], True)
    assert whole.session.turns[0].outcome == "interrupted"
    await whole.put(*turn(sound(100)))
    await whole.until(lambda: len(whole.stopped) == 2)
    assert whole.session.turns[1].request_id == "r1"


async def test_what_the_platform_recognises(whole):
    for event in (
        MessageBuilder.input_voice_start("r1"),
        MessageBuilder.input_asr_partial("r1", "good", 1),
        MessageBuilder.input_asr_final("r1", "Good morning."),
        MessageBuilder.input_voice_finish("r1"),
    ):
        await whole.session.send_event(event)
    await whole.session.send_text("Good morning.", "r1")
    await whole.until(lambda: whole.times(UserStoppedSpeakingFrame))
    await whole.until(lambda: whole.times(TranscriptionFrame))
    await asyncio.sleep(0.1)
    assert kinds(whole, UserStartedSpeakingFrame, InterruptionFrame, UserStoppedSpeakingFrame) == [
        UserStartedSpeakingFrame,
        InterruptionFrame,
        UserStoppedSpeakingFrame,
    ]
    # Pipecat has what is said behind one another, and what happens ahead of it.
    texts = (InterimTranscriptionFrame, TranscriptionFrame, LLMMessagesAppendFrame)
    assert [frame.text for _, frame in whole.behind.frames if isinstance(frame, texts)] == [
        "good",
        "Good morning.",
    ]
    assert told(whole) == []  # what it knows is not told to it again


async def test_what_the_pipeline_hears_is_told_to_the_platform(whole):
    await whole.put(UserStartedSpeakingFrame())
    await whole.session.wait_for("input.voice.start")
    await whole.put(UserStoppedSpeakingFrame())
    await whole.session.wait_for("input.voice.finish")
    start, finish = told(whole)
    assert start["requestId"] == finish["requestId"]
    await whole.put(*turn(sound(100)))
    await whole.until(lambda: whole.stopped)
    assert whole.session.turns[0].request_id == start["requestId"]


async def test_a_cough_that_interrupts_nothing_is_not_told(whole):
    await whole.put(*turn(sound(500)))
    await whole.until(lambda: whole.started)
    await whole.put(UserStartedSpeakingFrame(), UserStoppedSpeakingFrame())
    await whole.until(lambda: whole.stopped)
    assert told(whole) == []
    assert whole.session.turns[0].outcome == "finished"


async def test_speech_that_interrupts_is_told_once_it_does(whole):
    await whole.put(*turn(sound(2000)))
    await whole.until(lambda: whole.started)
    await whole.put(UserStartedSpeakingFrame(), InterruptionFrame(), UserStoppedSpeakingFrame())
    await whole.session.wait_for("input.voice.finish")
    assert [event["event"] for event in told(whole)] == [
        "control.interrupt",
        "input.voice.start",
        "input.voice.finish",
    ]


async def test_the_platform_interrupts(whole):
    await whole.put(*turn(sound(2000)))
    await whole.until(lambda: whole.started)
    await whole.session.send_event(MessageBuilder.control_interrupt())
    await whole.until(lambda: whole.stopped)
    assert kinds(whole, InterruptionFrame) == [InterruptionFrame]


async def test_the_user_is_heard():
    pcm = sound(800, rate=16000)
    async with LiveAvatarEmulator(greeting=None, user_audio=pcm) as platform:
        agent = AvatarAgent(config_for(platform), AgentListener())
        transport = AvatarTransport(agent, AvatarParams(audio_in_sample_rate=16000))
        line = Line(transport.output(), agent, platform, before=[transport.input()])
        async with line:
            await line.until(lambda: len(line.heard) >= 1200 * 32)
            assert await line.end() < 2
    assert len(line.heard.strip(b"\0")) >= 500 * 32  # it speaks before anyone listens
    assert line.heard.strip(b"\0") in pcm
    assert line.errors == []


async def test_events_as_other_transports_have_them(agent, emulator, transport):
    events = []
    for name in ("connected", "client_connected", "client_disconnected", "disconnected"):

        @transport.event_handler(f"on_{name}")
        async def note(_, *client, name=name):
            events.append((name, *client))

    line = Line(transport.output(), agent, emulator, before=[transport.input()])
    async with line:
        await line.until(lambda: len(events) == 2)
        session_id = agent.session_id
        await line.end()
    assert events == [
        ("connected",),
        ("client_connected", session_id),
        ("client_disconnected", session_id),
        ("disconnected",),
    ]
    assert kinds(line, BotConnectedFrame, ClientConnectedFrame) == [
        BotConnectedFrame,
        ClientConnectedFrame,
    ]
    assert not agent.is_running


async def test_a_session_that_runs_already_goes_on(agent, emulator, transport):
    async with agent:
        async with Line(transport.output(), agent, emulator) as line:
            await line.put(*turn(sound(100)))
            await line.until(lambda: line.stopped)
            await line.end()
        assert agent.is_running


async def test_a_session_that_is_lost_is_told_once(whole):
    await whole.put(*turn(sound(3000)))
    await whole.until(lambda: whole.started)
    await asyncio.sleep(0.3)
    await whole.session.close(1008, "go away")
    await whole.until(lambda: whole.stopped)
    heard_ms = (whole.stopped[0] - whole.started[0]) * 1000
    assert 240 < len(whole.recorded) / 48 <= heard_ms + 60
    assert whole.recorded == sound(3000)[: len(whole.recorded)]
    await whole.put(*turn(sound(200)), *turn(sound(200)))
    assert await whole.end() < 2
    (error,) = whole.errors
    assert "1008" in error.error
    assert "go away" in error.error
    assert len(whole.started) == len(whole.stopped) == 1
    assert len(whole.times(TTSStoppedFrame)) == 3


async def test_a_session_that_does_not_start(emulator):
    agent = AvatarAgent(config_for(emulator, start_retries=0), AgentListener())
    emulator.faults.starts.append(StartFault(status=403))
    transport = AvatarTransport(agent)
    line = Line(transport.output(), agent, emulator, before=[transport.input()])
    line.needs_session = False
    async with line:
        await line.until(lambda: line.errors)
        await line.put(*turn(sound(200)))
        assert await line.end() < 2
    (error,) = line.errors
    assert error.error.startswith("no session with the avatar: ")


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (22050, 1), (48000, 2), (16000, 2)])
async def test_sound_of_any_rate_is_converted(line, rate, channels):
    pcm = sound(600, rate=rate, channels=channels)
    await line.put(*turn(pcm, rate=rate, channels=channels))
    await line.until(lambda: line.stopped)
    (spoken,) = line.session.turns
    assert spoken.format.ms(len(spoken.pcm)) == pytest.approx(600, abs=41)
    assert line.errors == []


@pytest.mark.parametrize(("rate", "channels"), [(24000, 6), (0, 1), (24000, 0)])
async def test_sound_that_cannot_be_spoken_is_refused_in_words(line, rate, channels):
    pcm = bytes(2 * 6 * 240)
    bad = [TTSAudioRawFrame(pcm, rate or 1, channels or 1) for _ in range(3)]
    for frame in bad:
        frame.sample_rate, frame.num_channels = rate, channels
    await line.put(TTSStartedFrame(), *bad, TTSStoppedFrame())
    await line.put(*turn(sound(200)))
    await line.until(lambda: line.stopped)
    (error,) = line.errors
    assert error.error.startswith("sound that cannot be spoken: ")
    (spoken,) = line.session.turns
    assert bytes(spoken.pcm) == sound(200)


async def test_a_rate_of_the_pipeline_that_cannot_be_converted_is_refused(emulator, agent):
    async with Line(AvatarTransport(agent).output(), agent, emulator, rate=1000) as line:
        await line.put(*turn(sound(200)))
        await line.until(lambda: line.errors)
        assert await line.end() < 3
    (error,) = line.errors
    assert error.error == (
        "the pipeline's sound cannot be spoken: rate_in must be a whole number of Hz from 4000 to"
        " 192000, not 1000; set audio_out_sample_rate"
    )
    assert line.session.pcm == b""


async def test_sound_that_must_be_heard_is_not_interrupted(line):
    frames = turn(sound(600))
    for frame in frames:
        frame.interruptible = False
    await line.put(*frames)
    await line.until(lambda: line.started)
    await asyncio.sleep(0.2)
    await line.put(InterruptionFrame())
    await line.until(lambda: line.stopped)
    assert line.session.turns[0].outcome == "finished"
    assert line.recorded == sound(600)


async def test_what_is_dropped_is_counted(agent, emulator):
    transport = AvatarTransport(agent)
    assert transport.dropped_ms == 0
    async with Line(transport.output(), agent, emulator) as line:
        await line.put(*turn(sound(1000)))
        await line.until(lambda: line.started)
        await line.put(InterruptionFrame(), *pieces(sound(400)))
        await line.until(lambda: transport.dropped_ms >= 400)
        await line.put(*turn(sound(120, begin=5)))
        await line.until(lambda: len(line.stopped) == 2)
    assert bytes(line.session.turns[-1].pcm) == sound(120, begin=5)


def test_settings_that_an_avatar_cannot_have():
    with pytest.raises(ValueError, match="leave out audio_out_mixer"):
        AvatarParams(audio_out_mixer={})
    with pytest.raises(ValueError, match="mono, not 2 channels"):
        AvatarParams(audio_out_channels=2)


async def test_sound_that_is_no_speech(line):
    """A jingle, say: it has no TTSStoppedFrame."""
    pcm = sound(400)
    await line.put(*pieces(pcm, kind=OutputAudioRawFrame))
    await line.until(lambda: line.recorded == pcm)
    assert line.session.turns[0].outcome == "finished"
    await line.put(*turn(sound(100)))
    await line.until(lambda: line.stopped)
    assert len(line.session.turns) == 2
    assert line.strays == []


async def test_by_pipecats_own_harness(agent, emulator):
    down, up = await run_test(
        AvatarTransport(agent).output(),
        frames_to_send=[
            SleepFrame(0.2),
            *turn(sound(400)),
            SleepFrame(1.0),
            *turn(sound(2000)),
            SleepFrame(0.8),
            InterruptionFrame(),
            SleepFrame(0.2),
        ],
        pipeline_params=PipelineParams(audio_out_sample_rate=24000),
        start_timeout=5,
    )
    of = (TTSStartedFrame, BotStartedSpeakingFrame, TTSStoppedFrame, BotStoppedSpeakingFrame)
    assert [type(frame) for frame in down if isinstance(frame, of)] == [
        TTSStartedFrame,
        BotStartedSpeakingFrame,
        BotStoppedSpeakingFrame,
        TTSStoppedFrame,
        TTSStartedFrame,
        BotStartedSpeakingFrame,
        BotStoppedSpeakingFrame,
    ]
    assert [type(f) for f in up if isinstance(f, (*of, ErrorFrame))] == [
        BotStartedSpeakingFrame,
        BotStoppedSpeakingFrame,
    ] * 2
    assert [turn.outcome for turn in emulator.sessions[0].turns] == ["finished", "interrupted"]
    assert not agent.is_running


async def test_akool_speaks_too():
    async with AkoolEmulator() as platform:
        client = StreamingAvatarClient("key", "avatar", discovery_url=platform.discovery_url)
        async with Line(AvatarTransport(client).output(), client, platform) as line:
            await line.put(*turn(sound(1000)))
            await line.until(lambda: line.stopped)
            assert line.stopped[0] - line.started[0] == pytest.approx(1.0, abs=0.1)
            await line.end()
        assert len(platform.sessions[0].pcm) / 32 == pytest.approx(1000, abs=45)
    assert not client.is_running
