"""A client connected to the emulator."""

import pytest
from recording import Recorder, client_for


@pytest.fixture
def emulator(akool_emulator):
    return akool_emulator


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
async def client(emulator, recorder, dials):
    client = recorder.listen_to(client_for(emulator, connect=dials))
    await client.connect()
    yield client
    emulator.faults.withhold.clear()
    await client.disconnect()


@pytest.fixture
def session(emulator, client):
    """The emulator's side of the client's session."""
    return next(s for s in emulator.sessions if s.session_id == client.session_id)
