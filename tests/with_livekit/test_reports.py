"""What users of avatar plugins report in public: each as a test that the naive control fails."""

import asyncio
import gc
import itertools
import random
import time
import tracemalloc

import pytest
from bench import frames, sound
from livekit.agents import Agent, AgentSession
from livekit.agents.metrics.base import AvatarMetrics

from avatarwire import MessageBuilder
from avatarwire.livekit import AvatarAudioOutput, attach

REPORTS = {}


def report(*threads):
    """Enter a test under the threads that it is about."""

    def enter(test):
        REPORTS[" ".join(threads)] = test
        return test

    return enter


@report("livekit/agents#4668", "#4605")
async def the_end_is_never_reported(bench):
    bench.emulator.faults.withhold = {"session.state"}
    bench.emulator.faults.withhold_response_states = True
    begun_s = time.monotonic()
    end = await bench.say(sound(400))
    assert time.monotonic() - begun_s < 0.4 + 0.5 + 0.3
    assert end.playback_position == pytest.approx(0.4, abs=0.04)
    assert len(bench.finished) == 1


@report("livekit/agents#3917", "#3237", "#3434")
async def deaf_after_several_interrupts(bench):
    bench.emulator.faults.withhold = {"session.state"}
    bench.emulator.faults.withhold_response_states = True
    for _ in range(50):
        capturing = asyncio.create_task(bench.capture(sound(3000)))
        await asyncio.sleep(0.01)
        async with asyncio.timeout(1):
            assert (await bench.interrupt(capturing)).interrupted
    assert len(bench.finished) == 50


@report("agents-js#1662", "#2114")
async def interrupted_while_a_frame_is_parked(bench):
    capturing = asyncio.create_task(bench.capture(sound(6000)))
    await asyncio.sleep(0.3)
    assert not capturing.done()
    bench.output.clear_buffer()
    async with asyncio.timeout(0.5):
        await capturing
    bench.output.flush()
    assert (await bench.played(1)).interrupted
    assert len(bench.finished) == 1


@report("livekit/agents#7313", "#2397")
async def an_end_is_reported_twice(bench):
    bench.emulator.faults.duplicate_every = 1
    for count in range(1, 4):
        await bench.say(sound(160))
        assert len(bench.finished) == count
    await asyncio.sleep(0.1)
    assert len(bench.finished) == 3
    assert bench.warnings.told == []


@report("livekit/agents#3576", "#4022", "#4023")
async def finished_while_still_speaking(bench):
    begun_s = time.monotonic()
    saying = asyncio.create_task(bench.say(sound(1200)))
    for _ in range(3):
        await asyncio.sleep(0.1)
        await bench.tell_state("SPEAKING")
        await bench.tell_state("IDLE")
    end = await saying
    assert time.monotonic() - begun_s >= 1.15
    assert end.playback_position == 1.2


@report("livekit/agents#4406", "#5511", "#5515")
async def the_transcript_runs_ahead(bench):
    bench.emulator.faults.delay_s = 0.3
    begun_s = time.time()
    await bench.say(sound(600))
    ((event, told_s),) = bench.started
    assert event.created_at - begun_s >= 0.29
    assert told_s - begun_s >= 0.29


@report("livekit/agents#7232", "#7245")
async def the_platform_has_renamed_its_events(bench):
    bench.emulator.faults.withhold = {"session.state", "response.state"}
    saying = asyncio.create_task(bench.say(sound(200)))
    await asyncio.sleep(0.05)
    for state in ("SPEAKING", "IDLE"):
        event = MessageBuilder.session_state(state, 1, 1)
        await bench.session.send_event(event | {"event": "session.status"})
    async with asyncio.timeout(2):
        assert (await saying).playback_position == pytest.approx(0.2, abs=0.04)
    await bench.capture(sound(200))
    bench.output.flush()
    await asyncio.sleep(0.1)
    await bench.interrupt()
    await bench.session.wait_for("control.interrupt", 1)


@report("livekit/agents#4707", "#4725")
async def no_interrupt_since_all_was_sent(bench):
    await bench.capture(sound(300))
    bench.output.flush()
    await bench.until(lambda: bench.session.pcm and bench.turns[-1].complete)
    await asyncio.sleep(0.05)
    end = await bench.interrupt()
    assert end.interrupted
    assert end.playback_position < 0.3
    await bench.session.wait_for("control.interrupt", 1)
    assert bench.turns[-1].outcome == "interrupted"


@report("agents-js#1324")
async def only_the_first_stale_frame_is_dropped(bench):
    capturing = asyncio.create_task(bench.capture(sound(2000)))
    await asyncio.sleep(0.2)
    await bench.interrupt(capturing)
    after = sound(300, begin=30000)
    await bench.say(after)
    assert bytes(bench.turns[-1].pcm) == after
    assert [turn.stale_frames for turn in bench.turns] == [0, 0]


@report("livekit/agents#5453", "pipecat#4312")
async def sound_before_the_scene_is_lost(bench):
    # Another session, whose browser is late.
    await bench.agent.stop()
    bench.emulator.faults.withhold = {"scene.ready"}
    await bench.agent.start()
    bench.session = bench.emulator.sessions[-1]
    saying = asyncio.create_task(bench.say(sound(200)))
    await asyncio.sleep(0.2)
    bench.emulator.faults.withhold = set()
    await bench.session.send_event(MessageBuilder.scene_ready())
    shown_s = time.monotonic()
    await saying
    assert bench.arrived("binary")[0][0] >= shown_s - 0.01
    assert bench.session.pcm == sound(200)


@report("livekit/agents#4204", "#4212")
async def dropped_while_idle(bench):
    await bench.say(sound(100))
    bench.session.cut()
    await bench.session.wait_closed()
    end = await bench.say(sound(200))
    assert (end.interrupted, end.playback_position) == (False, 0.2)
    await bench.agent.stop()
    assert bench.agent.ending.code == 1000


@report("agents-js#2045")
async def the_avatar_is_gone_during_clean_up(bench):
    capturing = asyncio.create_task(bench.capture(sound(3000)))
    await asyncio.sleep(0.1)
    bench.session.cut()
    await bench.session.wait_closed()
    await bench.agent.stop()
    await bench.interrupt(capturing)
    await asyncio.sleep(0.05)
    gc.collect()
    assert bench.strays == []


@report("livekit/agents#6164", "#5340")
async def a_random_sequence(bench):
    chance = random.Random(6164)  # noqa: S311
    steps = segments = 0
    while steps < 1000:
        segments += 1
        length_ms = chance.choice((40, 600, 600, 600))
        capturing = asyncio.create_task(bench.capture(sound(length_ms)))
        await asyncio.sleep(0)
        for _ in range(chance.randrange(6)):
            steps += 1
            if chance.random() < 0.3:
                bench.output.clear_buffer()
            else:
                await asyncio.sleep(chance.choice((0, 0.005)))
        steps += 2
        if length_ms > 40 or chance.random() < 0.3:
            end = await bench.interrupt(capturing)
        else:
            await capturing
            bench.output.flush()
            end = await bench.played(2)
        assert len(bench.finished) == segments
        assert 0 <= end.playback_position <= length_ms / 1000
    assert all(turn.stale_frames == 0 for turn in bench.turns)


@report("livekit/agents#4200")
async def no_way_to_measure_its_latency(bench):
    metrics = []
    agent_session = AgentSession()
    agent_session.on("metrics_collected", lambda event: metrics.append(event.metrics))
    if isinstance(bench.output, AvatarAudioOutput):
        attach(agent_session, bench.agent)
    else:
        agent_session.output.audio = bench.output
    await agent_session.start(Agent(instructions=""))

    async def voice():
        for frame in frames(sound(200)):
            yield frame

    handle = agent_session.say("Good morning.", audio=voice())
    async with asyncio.timeout(3):
        await handle
    await agent_session.aclose()
    latencies = [each.playback_latency for each in metrics if isinstance(each, AvatarMetrics)]
    assert any(0 < latency < 0.5 for latency in latencies)


@report("livekit/agents#4039", "#3269")
async def a_false_interruption_cannot_be_resumed(bench):
    pcm = sound(1200)
    assert bench.output.can_pause
    begun_s = time.monotonic()
    saying = asyncio.create_task(bench.say(pcm))
    await asyncio.sleep(0.4)
    bench.output.pause()
    await asyncio.sleep(0.05)
    paused_bytes = len(bench.session.pcm)
    await asyncio.sleep(0.45)
    assert len(bench.session.pcm) == paused_bytes
    bench.output.resume()
    end = await saying
    assert (end.interrupted, end.playback_position) == (False, 1.2)
    assert time.monotonic() - begun_s == pytest.approx(1.7, abs=0.1)
    _, second = bench.turns
    heard_bytes = len(pcm) - len(second.pcm)
    assert bytes(second.pcm) == pcm[heard_bytes:]
    assert heard_bytes / 48 == pytest.approx(400, abs=60)


@report("livekit/agents#6921", "#6967", "#7046")
async def a_recording_places_sound_where_it_never_played(bench):
    written_s = 0.0
    for count in range(10):
        end = await bench.say(sound(60 + count))
        written_s += (60 + count) / 1000
        assert end.playback_position == pytest.approx((60 + count) / 1000, abs=0.001)
    assert len(bench.session.pcm) / 48000 == pytest.approx(written_s, abs=0.001)
    await bench.capture(sound(400))
    bench.output.flush()
    await bench.until(lambda: bench.session.turns[-1].frames >= 10)
    await asyncio.sleep(0.1)
    end = await bench.interrupt()
    assert end.interrupted
    assert 0.08 < end.playback_position < 0.3


@report("livekit/agents#979", "#1166", "#4483")
async def memory_grows_with_what_was_said(bench):
    pcm = sound(1000)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20):
            capturing = asyncio.create_task(bench.capture(pcm))
            await asyncio.sleep(0.02)
            bench.output.flush()
            bench.output.clear_buffer()
            await capturing
        bench.session.transcript.clear()
        for turn in bench.turns:
            turn.pcm.clear()
        bench.session._player.runs.clear()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 300_000


@pytest.mark.parametrize("threads", REPORTS)
async def test_a_report(bench, threads):
    await REPORTS[threads](bench)


@pytest.mark.parametrize("threads", REPORTS)
async def test_the_naive_output_fails_it(naive, threads):
    with pytest.raises((AssertionError, TimeoutError)):
        async with asyncio.timeout(4):
            await REPORTS[threads](naive)


def test_each_is_about_a_thread():
    assert len(REPORTS) == 17
    assert all("#" in thread for thread in itertools.chain(*map(str.split, REPORTS)))
