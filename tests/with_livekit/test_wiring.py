"""An agent session and an avatar's, made one."""

import asyncio
import contextlib

import pytest
from bench import frames, sound
from conftest import config_for
from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    Agent,
    AgentSession,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
    llm,
    tts,
)
from livekit.agents.metrics.base import AvatarMetrics
from livekit.agents.voice import TranscriptSynchronizer

from avatarwire import AgentListener, AvatarAgent, MessageBuilder
from avatarwire.akool import StreamingAvatarClient
from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator
from avatarwire.livekit import AvatarAudioInput, AvatarAudioOutput, attach


class Script(llm.LLM):
    def chat(self, *, chat_ctx, tools=None, conn_options=DEFAULT_API_CONNECT_OPTIONS, **_):
        return Line(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class Line(llm.LLMStream):
    async def _run(self):
        asked = [item.text_content for item in self._chat_ctx.items if item.type == "message"]
        for word in ("You", "said", asked[-1]):
            delta = llm.ChoiceDelta(role="assistant", content=f"{word} ")
            self._event_ch.send_nowait(llm.ChatChunk(id="line", delta=delta))


class Tone(tts.TTS):
    """A tenth of a second for each letter."""

    def __init__(self):
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False), sample_rate=24000, num_channels=1
        )

    def synthesize(self, text, *, conn_options=DEFAULT_API_CONNECT_OPTIONS):
        return Tones(tts=self, input_text=text, conn_options=conn_options)


class Tones(tts.ChunkedStream):
    async def _run(self, output_emitter):
        output_emitter.initialize(
            request_id="t", sample_rate=24000, num_channels=1, mime_type="audio/pcm"
        )
        output_emitter.push(sound(100 * len(self.input_text)))
        output_emitter.flush()


class Pair:
    """The two sessions, and what the framework's told."""

    def __init__(self, agent, emulator, **options):
        self.agent = agent
        self.emulator = emulator
        self.agent_session = AgentSession(llm=Script(), tts=Tone())
        self.items, self.metrics, self.errors, self.states = [], [], [], []
        on = self.agent_session.on
        on("conversation_item_added", lambda event: self.items.append(event.item))
        on("metrics_collected", lambda event: self.metrics.append(event.metrics))
        on("error", lambda event: self.errors.append(event.error))
        self.detach = attach(self.agent_session, agent, **options)

    @property
    def session(self):
        return self.emulator.sessions[-1]

    @property
    def said(self):
        return [item for item in self.items if item.type == "message" and item.role == "assistant"]

    async def until(self, condition, timeout_s=5.0):
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def paired(agent, emulator, **options):
    pair = Pair(agent, emulator, **options)
    await pair.agent_session.start(Agent(instructions=""))
    try:
        yield pair
    finally:
        await pair.agent_session.aclose()


@pytest.fixture
async def pair(agent, emulator):
    async with paired(agent, emulator) as pair:
        yield pair


async def test_what_the_user_types_is_answered_aloud(pair):
    await pair.session.send_text("Hi", "r1")
    await pair.until(lambda: pair.said)
    (turn,) = pair.session.turns
    assert (turn.request_id, turn.outcome) == ("r1", "finished")
    pcm = sound(100 * len("You said Hi"))
    assert bytes(turn.pcm[: len(pcm)]) == pcm  # and the framework's silence
    assert pair.said[0].text_content.strip() == "You said Hi"
    assert not pair.said[0].interrupted


async def test_what_the_user_types_stops_what_is_said(pair):
    await pair.session.send_text("a very long story indeed", "r1")
    await pair.until(lambda: pair.session.turns and pair.session.turns[0].frames > 20)
    await pair.session.send_text("Hi", "r2")
    await pair.until(lambda: len(pair.said) == 2)
    first, second = pair.said
    assert first.interrupted
    assert "story" not in first.text_content  # the transcript is what was heard
    assert not second.interrupted
    assert [turn.request_id for turn in pair.session.turns] == ["r1", "r2"]
    assert [turn.stale_frames for turn in pair.session.turns] == [0, 0]


async def test_the_platforms_interrupt_stops_the_agent(pair):
    await pair.session.send_text("a very long story indeed", "r1")
    await pair.until(lambda: pair.session.turns and pair.session.turns[0].frames > 10)
    await pair.session.send_event(MessageBuilder.control_interrupt("r1"))
    await pair.until(lambda: pair.agent_session.agent_state == "listening")
    await pair.until(lambda: pair.session.turns[0].complete)
    assert len(pair.session.pcm) < 48 * 1000


async def test_the_platforms_recogniser_stops_the_agent(pair):
    await pair.session.send_text("a very long story indeed", "r1")
    await pair.until(lambda: pair.session.turns and pair.session.turns[0].frames > 10)
    await pair.session.send_event(MessageBuilder.input_voice_start("r2"))
    await pair.until(lambda: pair.agent_session.agent_state == "listening")
    assert pair.session.turns[0].outcome == "interrupted"


async def test_latency_and_joining_are_measured(pair):
    await pair.session.send_text("Hi", "r1")
    await pair.until(lambda: pair.said)
    avatar = [each for each in pair.metrics if isinstance(each, AvatarMetrics)]
    joined = [each for each in avatar if each.avatar_joined_time is not None]
    assert len(joined) == 1
    assert joined[0].avatar_joined_time >= joined[0].session_started_time
    assert 0 < max(each.playback_latency for each in avatar) < 0.5


async def test_what_the_framework_hears_is_told_to_the_platform(pair):
    emit = pair.agent_session.emit
    emit("user_state_changed", UserStateChangedEvent(old_state="listening", new_state="speaking"))
    for text, is_final in (("good", False), ("good morning", False), ("Good morning.", True)):
        emit(
            "user_input_transcribed", UserInputTranscribedEvent(transcript=text, is_final=is_final)
        )
    emit("user_state_changed", UserStateChangedEvent(old_state="speaking", new_state="listening"))
    await pair.session.wait_for("input.voice.finish")
    told = [event for event in pair.session.events if event["event"].startswith("input.")]
    assert [event["event"] for event in told] == [
        "input.voice.start",
        "input.asr.partial",
        "input.asr.partial",
        "input.asr.final",
        "input.voice.finish",
    ]
    assert len({event["requestId"] for event in told}) == 1
    assert [event["data"]["text"] for event in told[1:4]] == [
        "good",
        "good morning",
        "Good morning.",
    ]
    await pair.agent_session.say("Yes.")
    assert pair.session.turns[-1].request_id == told[0]["requestId"]


async def test_a_cough_that_stops_nothing_is_not_told(pair):
    emit = pair.agent_session.emit
    handle = pair.agent_session.say("Ah, this goes on.")
    await pair.until(lambda: pair.agent_session.agent_state == "speaking")
    emit("user_state_changed", UserStateChangedEvent(old_state="listening", new_state="speaking"))
    emit("user_input_transcribed", UserInputTranscribedEvent(transcript="hm", is_final=False))
    emit("user_state_changed", UserStateChangedEvent(old_state="speaking", new_state="listening"))
    await handle
    assert not [event for event in pair.session.events if event["event"].startswith("input.")]
    assert pair.session.turns[-1].outcome == "finished"


async def test_one_that_stops_the_agent_is_told_then(pair):
    emit = pair.agent_session.emit
    pair.agent_session.say("Ah, this goes on.")
    await pair.until(lambda: pair.agent_session.agent_state == "speaking")
    emit("user_state_changed", UserStateChangedEvent(old_state="listening", new_state="speaking"))
    await asyncio.sleep(0.05)
    assert "input.voice.start" not in [event["event"] for event in pair.session.events]
    pair.agent_session.interrupt()
    await pair.session.wait_for("input.voice.start")
    assert pair.session.turns[-1].outcome == "interrupted"


async def test_the_user_is_heard():
    pcm = sound(800, rate=16000)
    async with (
        LiveAvatarEmulator(greeting=None, user_audio=pcm) as platform,
        AvatarAgent(config_for(platform), AgentListener()) as agent,
    ):
        agent_session = AgentSession(llm=Script(), tts=Tone())
        attach(agent_session, agent, sample_rate=24000)
        hearing = agent_session.input.audio
        assert isinstance(hearing, AvatarAudioInput)
        async with asyncio.timeout(5):
            heard = [await anext(hearing) for _ in range(5)]
            hearing.on_detached()
            passing = asyncio.create_task(anext(hearing))
            await asyncio.sleep(0.3)
            assert not passing.done()
            hearing.on_attached()
            heard.append(await passing)
        assert {(frame.sample_rate, frame.num_channels) for frame in heard} == {(24000, 1)}
        assert sum(frame.duration for frame in heard) == pytest.approx(0.24, abs=0.05)
        await agent.stop()
        assert [frame async for frame in hearing][3:] == []


async def test_the_platforms_voice(agent, emulator):
    async with paired(agent, emulator, platform_voice=True) as pair:
        await pair.session.send_text("Hi", "r1")
        await pair.session.wait_for("response.done")
        assert pair.session.turns[-1].text == "You said Hi "
        assert pair.session.turns[-1].request_id == "r1"
        assert pair.session.pcm == b""


async def test_an_interrupt_reaches_the_platforms_voice(agent, emulator):
    async with paired(agent, emulator, platform_voice=True) as pair:
        waits = asyncio.Event()

        async def story():
            yield "Once upon a time "
            await waits.wait()

        handle = pair.agent_session.say(story())
        await pair.session.wait_for("response.chunk")
        handle.interrupt()
        event = await pair.session.wait_for("control.interrupt")
        assert event["requestId"] == pair.session.turns[-1].request_id
        assert pair.session.turns[-1].outcome == "interrupted"
        waits.set()


async def test_a_platform_without_text_is_refused():
    with pytest.raises(ValueError, match="takes no text to speak"):
        attach(AgentSession(), StreamingAvatarClient("key", "avatar"), platform_voice=True)


async def test_a_session_that_is_lost_is_told_once(pair):
    handle = pair.agent_session.say("Ah, this goes on for long.")
    await pair.until(lambda: pair.agent_session.agent_state == "speaking")
    pair.agent._config.reconnect = False
    await pair.session.close(1008, "go away")
    async with asyncio.timeout(3):
        await handle
    await asyncio.sleep(0.05)
    (error,) = pair.errors
    assert (error.code, error.reason) == (1008, "go away")


async def test_after_it_is_detached_nothing_is_told(pair):
    pair.detach()
    pair.detach()
    await pair.session.send_text("Hi", "r1")
    await asyncio.sleep(0.1)
    assert pair.session.turns == []


async def test_an_output_that_is_there_is_replaced_below_what_wraps_it(agent):
    agent_session = AgentSession()
    before = AvatarAudioOutput(agent)
    synchronizer = TranscriptSynchronizer(next_in_chain_audio=before, next_in_chain_text=None)
    agent_session.output.audio = synchronizer.audio_output
    detach = attach(agent_session, agent)
    assert agent_session.output.audio is synchronizer.audio_output
    tail = agent_session.output.audio.next_in_chain.next_in_chain
    assert isinstance(tail, AvatarAudioOutput)
    assert tail is not before
    detach()
    await synchronizer.aclose()


async def test_a_frame_parked_below_what_wraps_the_output_is_no_deadlock(agent, emulator):
    output = AvatarAudioOutput(agent, buffer_ms=100)
    synchronizer = TranscriptSynchronizer(next_in_chain_audio=output, next_in_chain_text=None)
    wrapped = synchronizer.audio_output
    (frame,) = frames(sound(5000), frame_ms=5000)
    capturing = asyncio.create_task(wrapped.capture_frame(frame))
    await asyncio.sleep(0.1)
    assert not capturing.done()
    wrapped.clear_buffer()  # counted below, and not yet above
    async with asyncio.timeout(1):
        await capturing
        wrapped.flush()
        assert (await wrapped.wait_for_playout()).interrupted
    await synchronizer.aclose()


async def test_akool_speaks_too():
    async with AkoolEmulator() as platform:
        client = StreamingAvatarClient("key", "avatar", discovery_url=platform.discovery_url)
        await client.connect()
        agent_session = AgentSession(llm=Script(), tts=Tone())
        attach(agent_session, client)
        await agent_session.start(Agent(instructions=""))
        async with asyncio.timeout(5):
            await agent_session.say("Hello.")
        await agent_session.aclose()
        (session,) = platform.sessions
        assert 600 <= len(session.pcm) / 32 <= 640  # with the framework's silence
        await client.disconnect()
