"""A transport on the emulator, and a naive one beside it."""

import pytest
from lines import Line

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.emulator import LiveAvatarEmulator
from avatarwire.pipecat import AvatarTransport


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
def agent(emulator):
    return AvatarAgent(config_for(emulator), AgentListener())


@pytest.fixture
async def line(emulator, agent):
    async with Line(AvatarTransport(agent).output(), agent, emulator) as line:
        yield line
