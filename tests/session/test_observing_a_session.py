"""What an observer is told is the same whatever the platform."""

import pytest

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.akool import StreamingAvatarClient


@pytest.fixture(params=["liveavatar", "akool"])
def session(request, liveavatar_emulator, akool_emulator):
    if request.param == "liveavatar":
        config = AvatarAgentConfig("key", "avatar", base_url=liveavatar_emulator.base_url)
        return AvatarAgent(config, AgentListener())
    return StreamingAvatarClient("key", "avatar", akool_emulator.discovery_url, message_timeout=1)


class Noting:
    def __init__(self):
        self.messages, self.changes, self.pcm, self.silences = [], [], b"", 0

    def message(self, direction, kind, data):
        self.messages.append((direction, kind))

    def life(self, change, facts):
        self.changes.append(change)

    def turn(self, turn_id, change, facts):
        self.changes.append(change)

    def sound(self, turn_id, pcm, format_, at_s, now_s):
        assert at_s >= now_s - 0.001
        self.pcm += pcm

    def silence(self, turn_id, now_s):
        self.silences += 1


async def test_messages_turns_and_connections(session):
    noting = Noting()
    stop = session.observe(noting)
    await session.start()
    pcm = bytes(range(128)) * 50
    async with session.audio_stream(sample_rate=16000) as stream:
        await stream.write(pcm)
    await stream.wait_playout(10)
    async with session.audio_stream(sample_rate=16000) as stream:
        await stream.write(pcm)
        await stream.interrupt()
    assert noting.pcm.startswith(pcm)
    assert noting.silences == 1
    stop()
    count = len(noting.messages)
    await session.stop()
    assert noting.changes[:2] == ["connected", "opened"]
    assert noting.changes.count("ended") == 2
    assert {"started", "finishing"} <= set(noting.changes)
    assert len(noting.messages) == count > 0


async def test_a_pause_is_silence_and_what_was_not_heard_comes_anew(session):
    noting = Noting()
    await session.start()
    session.observe(noting)
    pcm = bytes(range(128)) * 100
    async with session.audio_stream(sample_rate=16000) as stream:
        await stream.write(pcm)
        stream.pause()
        assert noting.silences == 1
        stream.resume()
    await stream.wait_playout(10)
    await session.stop()
    turn = [change for change in noting.changes if change != "started"]
    assert turn[:4] == ["opened", "taken_back", "paused", "resumed"]
    assert len(noting.pcm) > len(pcm)
    assert noting.pcm.endswith(pcm[-6400:])


async def test_a_mark_is_told_whether_the_program_asks_for_it_or_not(session):
    noting = Noting()
    await session.start()
    session.observe(noting)
    async with session.audio_stream(sample_rate=16000) as stream:
        await stream.write(bytes(3200))
        stream.mark("said")
    assert (await stream.wait_playout(10)).heard == ("said",)
    await session.stop()
    assert "mark" in noting.changes


async def test_the_end_is_told(session):
    noting = Noting()
    session.observe(noting)
    await session.start()
    await session.stop()
    assert noting.changes == ["connected", "ended"]


async def test_the_wording_holds_no_key(session):
    wording = session.wording()
    assert "api_key" not in wording.configuration
    assert "key" not in wording.configuration.values()
    assert wording.side == "client"
