"""The user's audio over a real socket."""

import asyncio
import random
import time

import pytest
from agents import Recorder, config_for

from avatarwire import AudioFrame, AvatarAgent, NotConnectedError, SessionLost
from avatarwire.codec import PcmFramer
from avatarwire.emulator import LiveAvatarEmulator
from avatarwire.liveavatar.messages import MessageBuilder

SPOKEN = random.Random(1).randbytes(16000)  # noqa: S311 - half a second at 16 kHz


async def test_what_the_user_says_arrives_whole():
    async with (
        LiveAvatarEmulator(greeting=None, user_audio=SPOKEN) as emulator,
        AvatarAgent(config_for(emulator), Recorder()) as agent,
    ):
        audio = agent.user_audio()
        heard = b""
        async with asyncio.timeout(5):
            while len(heard) < len(SPOKEN):
                heard += await anext(audio)
        stopping = asyncio.create_task(agent.stop())
        silence = b"".join([pcm async for pcm in audio])  # the microphone stays open until then
        await stopping
    assert heard == SPOKEN
    assert not any(silence)


async def test_stop_flushes_what_is_held_back(agent, session, listener):
    audio = agent.user_audio()
    frames = PcmFramer().frames(SPOKEN)
    for index in (0, 1, 3):  # the third is missing, and is waited for
        await session.send_binary(frames[index])
    await listener.wait_for("on_audio_frame", 3)
    assert len(await anext(audio)) + len(await anext(audio)) == 2 * 1280
    await agent.stop()
    assert [len(pcm) async for pcm in audio] == [1280]
    assert audio.lost_frames == 1


async def test_raw_frames_stay_raw(agent, session, listener):
    audio = agent.user_audio()
    frames = PcmFramer().frames(SPOKEN)
    for index in (1, 0, 0):
        await session.send_binary(frames[index])
    await listener.wait_for("on_audio_frame", 3)
    assert [frame.seq for (frame,) in listener.named("on_audio_frame")] == [1, 0, 0]
    await agent.stop()
    assert b"".join([pcm async for pcm in audio]) == SPOKEN[: 2 * 1280]


async def test_several_can_listen(agent, session):
    both = agent.user_audio(), agent.user_audio(16000, conceal=True)
    await session.send_binary(PcmFramer().frames(SPOKEN)[0])
    assert [await anext(audio) for audio in both] == [SPOKEN[:1280]] * 2


async def test_there_has_to_be_a_session(emulator, agent, session, listener):
    with pytest.raises(NotConnectedError):
        AvatarAgent(config_for(emulator), Recorder()).user_audio()
    with pytest.raises(ValueError, match="100"):
        agent.user_audio(100)
    session.cut()
    await listener.wait_for("on_closed")
    with pytest.raises(SessionLost):
        agent.user_audio()


async def test_slow_audio_delays_no_control_event(emulator):
    """While ``on_audio_frame`` sleeps, 250 frames are held and one is with it; the rest counts."""

    class Slow(Recorder):
        async def on_audio_frame(self, frame: AudioFrame) -> None:
            self.note("on_audio_frame", frame)
            await asyncio.sleep(1)

        async def on_text_input(self, text: str, request_id: str) -> None:
            self.note("on_text_input", time.perf_counter())

    listener = Slow()
    async with AvatarAgent(config_for(emulator), listener) as agent:
        (session,) = emulator.sessions
        for message in PcmFramer().frames(SPOKEN[:1280] * 500):
            await session.send_binary(message)
        sent_at = time.perf_counter()
        await session.send_event(MessageBuilder.input_text("r", "hello"))
        (arrived_at,) = await listener.wait_for("on_text_input")
        late_ms = (arrived_at - sent_at) * 1000
        assert agent.dropped_audio_frames == 500 - 250 - 1
        assert len(listener.named("on_audio_frame")) == 1
    # Far below the second that the audio callback takes; how far is the benchmark's business.
    assert late_ms < 900
