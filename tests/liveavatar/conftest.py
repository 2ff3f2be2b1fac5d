"""An agent connected to the emulator."""

import pytest
from agents import Recorder, config_for

from avatarwire import AvatarAgent


@pytest.fixture
def emulator(liveavatar_emulator):
    return liveavatar_emulator


@pytest.fixture
def listener():
    return Recorder()


@pytest.fixture
async def agent(emulator, listener, dials):
    async with AvatarAgent(config_for(emulator), listener, connect=dials) as agent:
        yield agent


@pytest.fixture
def session(emulator, agent):
    """The emulator's side of the agent's session."""
    return next(s for s in emulator.sessions if s.session_id == agent.session_id)
