"""Hundreds of turns, and all that can happen to one, on platforms that say little or much."""

import asyncio
import random
import time
from dataclasses import dataclass, field

import pytest
from conftest import config_for
from lines import Line, pieces, sound, turn
from pipecat.frames.frames import (
    InterruptionFrame,
    OutputAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.worker import PipelineParams
from pipecat.tests.utils import SleepFrame, run_test
from unreliable import PLATFORMS, Lateness, heard_s

from avatarwire import AgentListener, AvatarAgent
from avatarwire.emulator import Faults, LiveAvatarEmulator
from avatarwire.pipecat import AvatarTransport

TURNS = 25
ONE_FRAME_MS = 40


@dataclass
class Said:
    """One turn of the conversation.

    Attributes:
        pcm: what was given to the pipeline.
        recorded: what a recorder behind it has.
        streams: the turns of speech that it took.
        times: when it began and ended.
    """

    pcm: bytes
    recorded: bytes = b""
    streams: list = field(default_factory=list)
    times: tuple = (0.0, 0.0)


class Conversation:
    """Says turns in one pipeline, and interrupts, stops and stalls at random."""

    def __init__(self, line, seed):
        self.line = line
        self.chance = random.Random(seed)  # noqa: S311
        self.said = []
        make = line.agent.audio_stream

        def noted(*args, **options):
            stream = make(*args, **options)
            self.said[-1].streams.append(stream)
            return stream

        line.agent.audio_stream = noted

    async def run(self):
        for number in range(TURNS):
            pcm = sound(self.chance.randrange(60, 400, 20), begin=number * 2000)
            said = Said(pcm)
            self.said.append(said)
            before, begin_s = len(self.line.recorded), time.monotonic()
            await self.turn(pcm)
            await self.line.until(self.is_over)
            said.recorded = self.line.recorded[before:]
            said.times = begin_s, time.monotonic()

    def is_over(self):
        return len(self.line.started) == len(self.line.stopped) and self.line.output._speech is None

    async def turn(self, pcm):
        line, chance = self.line, self.chance
        ends = len(line.times(TTSStoppedFrame))
        match chance.randrange(6):
            case 0:  # while it is synthesised
                await line.put(TTSStartedFrame(), *pieces(pcm))
                await self.interrupt(0.3)
            case 1:  # when all of it is there
                await line.put(*turn(pcm))
                await self.interrupt(0.4)
            case 2:  # and the synthesiser goes on
                half = len(pcm) // 4 * 2
                await line.put(TTSStartedFrame(), *pieces(pcm[:half]))
                await self.interrupt(0.2)
                await line.put(*pieces(pcm[half:]), TTSStoppedFrame())
                ends += 1
            case 3:  # in holes
                await line.put(TTSStartedFrame())
                for piece in pieces(pcm, piece_ms=100):
                    await line.put(piece)
                    await asyncio.sleep(chance.uniform(0, 0.15))
                await line.put(TTSStoppedFrame())
                ends += 1
            case 4:  # one end after another
                for piece in pieces(pcm):
                    await line.put(TTSStartedFrame(), piece, TTSStoppedFrame())
                    ends += 1
            case 5:
                await line.put(*turn(pcm))
                ends += 1
        await line.until(lambda: len(line.times(TTSStoppedFrame)) >= ends)

    async def interrupt(self, within_s):
        count = len(self.line.times(InterruptionFrame))
        await asyncio.sleep(self.chance.uniform(0, within_s))
        await self.line.put(InterruptionFrame())
        await self.line.until(lambda: len(self.line.times(InterruptionFrame)) > count)
        await asyncio.sleep(0.05)

    def check(self, platform, lateness):
        line = self.line
        heard = heard_s(line.session)
        assert len(line.started) == len(line.stopped)
        assert sum(bool(said.recorded) for said in self.said) <= len(line.started)
        assert line.strays == []
        assert line.errors == []
        spoken = {turn.response_id: turn for turn in line.session.turns}
        for said in self.said:
            late_ms = 1000 * lateness.worst_s(*said.times)
            # A chunk is filled up, and is heard to its end.
            assert said.pcm.startswith(said.recorded.rstrip(b"\0")[:-1])
            ids = [stream.response_id for stream in said.streams]
            assert len(said.recorded) / 48 == pytest.approx(
                1000 * sum(heard.get(each, 0.0) for each in ids),
                abs=len(ids) * ONE_FRAME_MS + late_ms,
            ), (platform, said.streams)
            for each in ids:
                if each in spoken:
                    assert spoken[each].pcm.rstrip(b"\0")[:-1] in said.pcm
                    assert spoken[each].stale_frames == 0


async def talk(platform, faults, seed):
    emulator = LiveAvatarEmulator(greeting=None, faults=Faults())
    async with emulator, AvatarAgent(config_for(emulator), AgentListener()) as agent:
        await agent.scene_ready(5)
        for name, value in faults.items():
            setattr(emulator.faults, name, value)
        async with Line(AvatarTransport(agent).output(), agent, emulator) as line:
            conversation = Conversation(line, seed)
            await conversation.run()
    return platform, conversation


async def test_two_hundred_turns():
    lateness = Lateness()
    watching = asyncio.create_task(lateness.watch())
    conversations = await asyncio.gather(
        *(talk(platform, faults, seed) for seed, (platform, faults) in enumerate(PLATFORMS.items()))
    )
    watching.cancel()
    for platform, conversation in conversations:
        conversation.check(platform, lateness)
    assert TURNS * len(PLATFORMS) == 200


@pytest.mark.parametrize("seed", range(4))
async def test_by_pipecats_own_harness(agent, emulator, seed):
    """The same: all is sent that is not interrupted, and what was heard comes out."""
    chance = random.Random(seed)  # noqa: S311
    frames, whole = [SleepFrame(0.3)], []
    for number in range(10):
        pcm = sound(chance.randrange(80, 400, 40), begin=number * 2000)
        frames += turn(pcm)
        if chance.random() < 0.5:
            frames += [SleepFrame(chance.uniform(0, len(pcm) / 48000)), InterruptionFrame()]
            frames.append(SleepFrame(0.1))  # what is behind it in the queues is dropped
        else:
            whole.append(pcm)
            frames.append(SleepFrame(len(pcm) / 48000 + 0.3))
    down, _ = await run_test(
        AvatarTransport(agent).output(),
        frames_to_send=frames,
        pipeline_params=PipelineParams(audio_out_sample_rate=24000),
        start_timeout=5,
    )
    recorded = b"".join(frame.audio for frame in down if isinstance(frame, OutputAudioRawFrame))
    spoken = [bytes(each.pcm) for each in emulator.sessions[0].turns]
    for pcm in whole:
        assert any(each.startswith(pcm) for each in spoken)
        assert pcm in recorded
    heard_ms = 1000 * sum(heard_s(emulator.sessions[0]).values())
    assert len(recorded) / 48 == pytest.approx(heard_ms, abs=len(spoken) * ONE_FRAME_MS)
    assert sum(each.stale_frames for each in emulator.sessions[0].turns) == 0
