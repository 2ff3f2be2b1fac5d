"""A transport on the emulator, and a naive one beside it."""

import pytest
from beside import config_for, emulated_platform, short_grace  # noqa: F401 - fixtures
from lines import Line

from avatarwire import AgentListener, AvatarAgent
from avatarwire.pipecat import AvatarTransport


@pytest.fixture
def agent(emulator):
    return AvatarAgent(config_for(emulator), AgentListener())


@pytest.fixture
async def line(emulator, agent):
    async with Line(AvatarTransport(agent).output(), agent, emulator) as line:
        yield line
