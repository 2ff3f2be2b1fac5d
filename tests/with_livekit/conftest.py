"""An agent connected to the emulator, and outputs to put on it."""

import asyncio

import pytest
from bench import Bench
from naive import NaiveAudioOutput

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.emulator import LiveAvatarEmulator
from avatarwire.livekit import AvatarAudioOutput


@pytest.fixture(autouse=True)
def short_grace(monkeypatch):
    """Wait half a second for the platform's word, not five."""
    monkeypatch.setattr("avatarwire.liveavatar.turns.PLAYOUT_GRACE_S", 0.5)


@pytest.fixture
async def emulator():
    async with LiveAvatarEmulator(greeting=None) as emulator:
        yield emulator


def config_for(emulator, **changes):
    return AvatarAgentConfig(
        "sk-any", "avatar-1", base_url=emulator.base_url, timeout=5.0, **changes
    )


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
