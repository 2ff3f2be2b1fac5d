"""What is written against the neutral session works with both platforms."""

from typing import TYPE_CHECKING

import pytest

import avatarwire
from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.akool import StreamingAvatarClient

if TYPE_CHECKING:

    def both_are_sessions(agent: AvatarAgent, client: StreamingAvatarClient) -> None:
        _: list[avatarwire.Session] = [agent, client]


@pytest.fixture(params=["liveavatar", "akool"])
def session(request, liveavatar_emulator, akool_emulator):
    if request.param == "liveavatar":
        config = AvatarAgentConfig("key", "avatar", base_url=liveavatar_emulator.base_url)
        return AvatarAgent(config, AgentListener())
    return StreamingAvatarClient("key", "avatar", akool_emulator.discovery_url, message_timeout=1)


async def test_a_turn_and_an_end(session):
    seen = []
    stop_looking = session.tap(lambda direction, kind, data: seen.append((direction, kind)))
    assert not session.is_running
    await session.wait_closed()
    await session.start()
    assert session.is_running
    assert session.session_id
    assert session.ending is None
    async with session.audio_stream(sample_rate=16000) as stream:
        await stream.write(bytes(3200))
    assert (await stream.wait_playout(10)).reason == "completed"
    assert session.stats().audio_sent_ms == 100
    assert {direction for direction, _ in seen} == {"sent", "received"}
    stop_looking()
    count = len(seen)
    await session.stop()
    await session.wait_closed()
    assert len(seen) == count
    assert not session.is_running
    assert (session.ending.code, session.ending.reason) == (1000, "")
    assert not session.stats().is_connected
