"""Hundreds of segments, and all that can happen to one, on platforms that say little or much."""

import asyncio
import random
import time

import pytest
from bench import Bench, sound
from conftest import config_for
from unreliable import PLATFORMS, Lateness, heard_s

from avatarwire import AgentListener, AvatarAgent
from avatarwire.emulator import Faults, LiveAvatarEmulator
from avatarwire.livekit import AvatarAudioOutput

SEGMENTS = 25
ONE_FRAME_S = 0.04


class Conversation:
    """Says segments on one session, and interrupts, pauses and clears at random."""

    def __init__(self, bench, seed):
        self.bench = bench
        self.chance = random.Random(seed)  # noqa: S311
        self.streams = []
        self.said = []
        self.times = []
        make = bench.agent.audio_stream

        def noted(*args, **options):
            self.streams.append(make(*args, **options))
            return self.streams[-1]

        bench.agent.audio_stream = noted

    async def run(self):
        for number in range(SEGMENTS):
            pcm = sound(self.chance.randrange(60, 400, 20), begin=number * 2000)
            self.said.append(pcm)
            begin_s = time.monotonic()
            await self.segment(pcm)
            self.times.append((begin_s, time.monotonic()))
            assert len(self.bench.finished) == number + 1

    async def segment(self, pcm):
        output, chance = self.bench.output, self.chance
        capturing = asyncio.create_task(self.bench.capture(pcm))
        await asyncio.sleep(0)
        match chance.randrange(6):
            case 0:
                await asyncio.sleep(chance.uniform(0, 0.3))
                await self.bench.interrupt(capturing)
                return
            case 1:
                await capturing
                output.flush()
                await asyncio.sleep(chance.uniform(0, 0.3))
                await self.bench.interrupt()
                return
            case 2:
                await asyncio.sleep(chance.uniform(0, 0.2))
                output.clear_buffer()
            case 3:
                await asyncio.sleep(chance.uniform(0, 0.2))
                output.pause()
                output.pause()
                await asyncio.sleep(chance.uniform(0, 0.2))
                output.resume()
            case 4:
                await asyncio.sleep(chance.uniform(0, 0.2))
                output.pause()
                await asyncio.sleep(chance.uniform(0, 0.1))
                await self.bench.interrupt(capturing)
                output.resume()
                return
        await capturing
        output.flush()
        await self.bench.played(5)

    def check(self, platform, lateness):
        bench = self.bench
        heard = heard_s(bench.session)
        assert len(bench.finished) == len(self.streams) == SEGMENTS
        assert len(bench.started) <= SEGMENTS
        for end, stream, pcm, times in zip(
            bench.finished, self.streams, self.said, self.times, strict=True
        ):
            late_s = lateness.worst_s(*times)
            ours_s, theirs_s = end.playback_position, heard.get(stream.response_id, 0.0)
            assert ours_s == pytest.approx(theirs_s, abs=ONE_FRAME_S + late_s), (
                platform,
                stream,
                end,
            )
            assert end.interrupted == (ours_s < len(pcm) / 48000 - 0.0005) or end.interrupted
        by_id = dict(zip((stream.response_id for stream in self.streams), self.said, strict=True))
        for turn in bench.turns:
            assert bytes(turn.pcm) in by_id[turn.response_id]
            assert turn.stale_frames == 0
        assert bench.strays == []


async def talk(platform, faults, seed):
    emulator = LiveAvatarEmulator(greeting=None, faults=Faults())
    async with emulator, AvatarAgent(config_for(emulator), AgentListener()) as agent:
        await agent.scene_ready(5)
        for name, value in faults.items():
            setattr(emulator.faults, name, value)
        bench = Bench(AvatarAudioOutput(agent), agent, emulator.sessions[0], emulator)
        conversation = Conversation(bench, seed)
        await conversation.run()
    bench.warnings.close()
    return platform, conversation


async def test_two_hundred_segments():
    lateness = Lateness()
    watching = asyncio.create_task(lateness.watch())
    conversations = await asyncio.gather(
        *(talk(platform, faults, seed) for seed, (platform, faults) in enumerate(PLATFORMS.items()))
    )
    watching.cancel()
    for platform, conversation in conversations:
        conversation.check(platform, lateness)
    assert SEGMENTS * len(PLATFORMS) == 200
