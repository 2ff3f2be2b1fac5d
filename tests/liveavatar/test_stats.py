"""What an agent says of itself."""

import asyncio
import json

import pytest
from agents import Recorder, config_for

from avatarwire import AgentStats, AudioFrame, AvatarAgent, ImageFrame
from avatarwire.codec import PcmFramer
from avatarwire.liveavatar.messages import MessageBuilder
from avatarwire.session.callbacks import MOST_WAITING

SECOND = bytes(range(256)) * 187 + bytes(128)


async def test_before_the_first_start(emulator):
    stats = AvatarAgent(config_for(emulator), Recorder()).stats()
    assert isinstance(stats, AgentStats)
    assert not stats.is_connected
    assert (stats.events_sent, stats.audio_frames_sent, stats.bytes_sent) == (0, 0, 0)
    assert dict(stats.dropped) == {}


async def test_what_is_sent_and_received_is_counted(agent, session, listener):
    before = agent.stats()
    await agent.send_prompt("hällo")
    await agent.send_audio(SECOND)
    await agent.send_audio_frame(AudioFrame(0, 0, 0, 0, 1, 960, 0, bytes(1920)))
    await agent.send_image_frame(ImageFrame(1, 85, 1, 2, 2, b"png"))
    await session.send_text("grüezi")
    await session.send_binary(PcmFramer().frames(bytes(1280))[0])
    await session.send_raw_text("no json")
    await listener.wait_for("on_audio_frame")
    await listener.wait_for("on_text_input")
    async with asyncio.timeout(5):
        while not agent.ignored_messages:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    stats = agent.stats()
    assert stats.is_connected
    assert stats.events_sent - before.events_sent == 1
    assert stats.audio_frames_sent == 25
    assert stats.binary_messages_sent == 2
    assert stats.bytes_sent > len(SECOND)
    assert stats.audio_frames_received == 1
    assert stats.events_received >= 4
    assert dict(stats.dropped) == {"text that is not a JSON event": 1}
    assert (stats.queued_ms, stats.backlog_bytes, stats.buffered_bytes) == (0, 0, 0)
    with pytest.raises(AttributeError):
        stats.reconnects = 3


async def test_turns_are_summed_up(agent):
    async with agent.audio_stream() as stream:
        await stream.write(SECOND)
        assert agent.stats().queued_ms == 600
        await stream.interrupt()
    async with agent.audio_stream(paced=False) as stream:
        await stream.write(SECOND)
    stats = agent.stats()
    assert stats.audio_written_ms == 2000
    assert stats.audio_sent_ms == 1400
    assert stats.audio_dropped_ms == 600
    assert stats.audio_frames_sent == 35
    assert len(stats.lateness_counts) == len(stats.lateness_bounds_ms) + 1


async def test_the_time_until_turns_are_heard_is_summed_up(agent):
    began_ms = 0.0
    for count in (1, 2):
        async with agent.audio_stream() as stream:
            await stream.write(SECOND[:9600])
            assert await stream.wait_started(5)
        began_ms += (await stream.wait_playout(5)).started_ms
        stats = agent.stats()
        assert (stats.turns_started, stats.turns_started_ms) == (count, pytest.approx(began_ms))
    async with agent.audio_stream():
        pass
    assert agent.stats().turns_started == 2


async def test_counts_stay_after_stop_and_begin_anew_with_the_next_session(emulator, listener):
    agent = AvatarAgent(config_for(emulator), listener)
    async with agent:
        async with agent.audio_stream() as stream:
            await stream.write(SECOND)
        during = agent.stats()
    after = agent.stats()
    assert not after.is_connected
    assert after.audio_sent_ms == 1000
    assert (after.events_sent, after.audio_frames_sent) == (during.events_sent, 25)
    assert sum(after.lateness_counts) > 0
    async with agent:
        anew = agent.stats()
    assert (anew.events_sent, anew.audio_frames_sent, anew.audio_written_ms) == (0, 0, 0)
    assert (sum(anew.lateness_counts), anew.lateness_max_ms) == (0, 0)


async def test_reconnects_and_the_round_trip(emulator, listener):
    config = config_for(emulator, reconnect=True, reconnect_base_delay=0.01, ping_interval=0.02)
    async with AvatarAgent(config, listener) as agent:
        async with asyncio.timeout(5):
            while agent.stats().round_trip_ms is None:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        emulator.sessions[0].cut()
        await listener.wait_for("on_reconnected")
        assert agent.stats().reconnects == 1
    assert not agent.stats().is_connected


async def test_the_wire_can_be_watched(emulator):
    class Watching(Recorder):
        def on_wire(self, direction, kind, data):
            self.note("on_wire", direction, kind, data)

    listener = Watching()
    async with AvatarAgent(config_for(emulator), listener) as agent:
        (session,) = emulator.sessions
        await agent.send_prompt("hello")
        await agent.send_audio(SECOND[:3840])
        await session.wait_for("system.prompt")
        await session.send_event(MessageBuilder.input_text("r", "hi"))
        await listener.wait_for("on_text_input")
    seen = listener.named("on_wire")
    sent = [(kind, data) for direction, kind, data in seen if direction == "sent"]
    names = [json.loads(data)["event"] for kind, data in sent if kind == "text"]
    assert names == ["session.ready", "system.prompt", "session.stop"]
    frames = [AudioFrame.unpack(data).payload for kind, data in sent if kind == "binary"]
    assert b"".join(frames) == SECOND[:3840]
    received = [json.loads(data)["event"] for direction, _, data in seen if direction == "received"]
    assert received[0] == "session.init"
    assert "input.text" in received


async def test_a_turn_that_is_over_still_counts_when_more_is_received(agent, session, listener):
    async with agent.audio_stream(paced=False) as turn:
        await turn.write(SECOND)
        await turn.interrupt()
    await session.send_event(MessageBuilder.input_text("request", "hello"))
    await listener.wait_for("on_text_input")
    assert agent.stats().audio_written_ms == turn.written_ms > 900


async def test_a_flood_of_events_starts_a_bounded_number_of_slow_callbacks(
    agent, session, listener, caplog
):
    gate = asyncio.Event()
    seen = []

    async def slow(text, request_id):
        await gate.wait()
        seen.append(text)

    listener.on_text_input = slow
    for number in range(MOST_WAITING + 50):
        await session.send_text(str(number))
    idle = {"reason": "idle", "idleTimeMs": 1}
    await session.send_event({"event": "system.idleTrigger", "data": idle})
    await listener.wait_for("on_idle_trigger")
    tasks = [task for task in asyncio.all_tasks() if task.get_name() == "avatarwire on_text_input"]
    assert len(tasks) == MOST_WAITING
    assert dict(agent.stats().dropped) == {"callback_slow": 50}
    assert "on_text_input is slower than what it is called for" in caplog.text
    gate.set()
    await asyncio.wait(tasks)
    assert seen == [str(number) for number in range(MOST_WAITING)]
