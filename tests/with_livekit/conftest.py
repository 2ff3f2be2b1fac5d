"""An agent connected to the emulator, and outputs to put on it."""

import asyncio

import pytest
from bench import Bench
from beside import config_for, emulated_platform, short_grace  # noqa: F401 - fixtures
from naive import NaiveAudioOutput

from avatarwire import AgentListener, AvatarAgent
from avatarwire.livekit import AvatarAudioOutput


@pytest.fixture
async def agent(emulator):
    async with AvatarAgent(config_for(emulator, reconnect=True), AgentListener()) as agent:
        yield agent


@pytest.fixture
async def bench(agent, emulator):
    bench = Bench(AvatarAudioOutput(agent), agent, emulator.sessions[-1], emulator)
    yield bench
    bench.warnings.close()


@pytest.fixture
async def naive(emulator):
    async with AvatarAgent(config_for(emulator), AgentListener()) as agent:
        output = NaiveAudioOutput(agent)
        bench = Bench(output, agent, emulator.sessions[-1], emulator, patience_s=1.9)
        yield bench
        bench.warnings.close()
        output.sender.cancel()
        await asyncio.wait([output.sender])
