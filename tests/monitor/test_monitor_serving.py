"""Sessions of a running program, shown over real sockets to whoever has the token."""

import asyncio
import gc
import json
import logging
import weakref

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig, monitor
from avatarwire.akool import AsyncStreamingAvatarClient
from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator
from avatarwire.monitor.serving import MESSAGE_LIMIT_BYTES, MOST_LISTED, MOST_VIEWERS
from avatarwire.session.observing import tell_begun, watchers

TOKEN = "a-long-token-of-mine"


@pytest.fixture
async def shown():
    async with await monitor.serve(token=TOKEN) as serving:
        yield serving
    assert watchers == []


@pytest.fixture
async def emulator():
    async with LiveAvatarEmulator(greeting=None) as emulator:
        yield emulator


class NoSession:
    ending = None

    def __init__(self, session_id):
        self.session_id = session_id


def agent(emulator):
    config = AvatarAgentConfig("sk-very-secret", "a", base_url=emulator.base_url)
    return AvatarAgent(config, AgentListener())


def look(serving, token=TOKEN, path="/monitor", **headers):
    headers |= {"Authorization": f"Bearer {token}"}
    url = serving.url.replace("http", "ws") + path
    return connect(url, additional_headers=headers, proxy=None)


async def until(viewer, holds):
    async with asyncio.timeout(10):
        while True:
            message = json.loads(await viewer.recv())
            if holds(message):
                return message


async def listed(viewer, count):
    def holds(message):
        return message["type"] == "sessions" and len(message["sessions"]) == count

    return (await until(viewer, holds))["sessions"]


async def test_a_session_that_begins_is_listed_and_told_without_its_words(shown, emulator):
    async with look(shown) as viewer, agent(emulator) as speaker:
        (line,) = await listed(viewer, 1)
        assert (line["id"], line["is_connected"]) == (speaker.session_id, True)
        await viewer.send(json.dumps({"type": "watch", "sessions": [line["id"]]}))
        snapshot = await until(viewer, lambda message: message["type"] == "record")
        assert snapshot["record"]["kind"] == "snapshot"
        assert snapshot["record"]["content"] is False
        async with speaker.response_stream("r") as answer:
            await answer.send_chunk("a secret of the user's")
        async with speaker.audio_stream(sample_rate=24000) as stream:
            await stream.write(b"\x00\x20" * 4800)
        told = []

        def is_end(message):
            told.append(message)
            return message.get("record", {}).get("change") == "ended"

        ended = await until(viewer, is_end)
        assert ended["record"]["written_ms"] == 200
        sound = [each["record"] for each in told if each.get("record", {}).get("kind") == "audio"]
        assert sum(record["n"] for record in sound) == 4800
        assert sound[0]["level"] == pytest.approx(0.25)
        said = json.dumps(told)
        assert "a secret of the user's" not in said
        assert "sk-very-secret" not in said
        line = (await until(viewer, lambda it: it["type"] == "sessions"))["sessions"][0]
        assert (line["sent_ms"], line["queued_ms"], line["underruns"]) == (200, 0, 0)
    async with asyncio.timeout(5):
        while speaker._observers.each:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0.01)


async def test_akool_is_shown_too(shown):
    async with AkoolEmulator() as emulator, look(shown) as viewer:
        client = AsyncStreamingAvatarClient("k", "a", discovery_url=emulator.discovery_url)
        async with client:
            (line,) = await listed(viewer, 1)
            assert line["id"] == client.session_id


async def test_what_began_before_is_handed_over_and_what_has_ended_is_gone(emulator):
    async with (
        agent(emulator) as first,
        await monitor.serve(token=TOKEN, sessions=[first]) as serving,
        look(serving) as viewer,
    ):
        (line,) = await listed(viewer, 1)
        assert line["id"] == first.session_id
        async with agent(emulator):
            await listed(viewer, 2)
        assert await listed(viewer, 1) == [line]


async def test_a_session_that_starts_again_is_listed_once(shown, emulator):
    again = agent(emulator)
    for _ in range(2):
        await again.start()
        async with look(shown) as viewer:
            (line,) = await listed(viewer, 1)
            assert line["id"] == again.session_id
        await again.stop()


@pytest.mark.parametrize(
    ("headers", "path", "status", "words"),
    [
        ({"Origin": "http://evil.example"}, "/monitor", 403, "no page may look on"),
        ({"Origin": "http://127.0.0.1"}, "/monitor", 403, "no page may look on"),
        ({"Origin": "null"}, "/monitor", 403, "no page may look on"),
        ({"Host": "evil.example"}, "/monitor", 403, "no name of the monitor"),
        ({"Host": "127.0.0.1.evil.example:80"}, "/monitor", 403, "no name of the monitor"),
        ({"Authorization": ""}, "/monitor", 401, "set AVATARWIRE_MONITOR_TOKEN"),
        ({"Authorization": TOKEN}, "/monitor", 401, "set AVATARWIRE_MONITOR_TOKEN"),
        ({"Authorization": f"Bearer {TOKEN}x"}, "/monitor", 401, "set AVATARWIRE_MONITOR_TOKEN"),
        ({}, "/other", 404, "the sessions are at /monitor"),
        ({}, f"/monitor?token={TOKEN}", 404, "the sessions are at /monitor"),
        ({}, "/monitor", 426, ""),
    ],
)
async def test_whoever_may_not_look_on_is_told_why(shown, headers, path, status, words):
    given = {"Authorization": f"Bearer {TOKEN}", **headers}
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(shown.url + path, headers=given)
    assert answer.status_code == status
    assert words in answer.text
    assert TOKEN not in answer.text


async def test_no_more_look_on_than_it_has_room_for(shown):
    viewers = [await look(shown) for _ in range(MOST_VIEWERS)]
    with pytest.raises(InvalidStatus, match="503"):
        await look(shown)
    await viewers[0].close()
    async with asyncio.timeout(5):
        while True:
            try:
                viewers[0] = await look(shown)
                break
            except InvalidStatus:
                await asyncio.sleep(0.01)
    for viewer in viewers:
        await viewer.close()


async def test_a_viewer_that_sends_nonsense_or_too_much_harms_nobody(shown, emulator):
    async with agent(emulator), look(shown) as viewer:
        for nonsense in ("{", "[]", '{"type": "watch"}', b"\x00", '{"type": "type", "text": "x"}'):
            await viewer.send(nonsense)
        await viewer.send(json.dumps({"type": "watch", "sessions": ["absent", 3]}))
        await listed(viewer, 1)
        await viewer.send("x" * (MESSAGE_LIMIT_BYTES + 1))
        with pytest.raises(ConnectionClosed):
            await until(viewer, lambda _: False)
        async with look(shown) as other:
            await listed(other, 1)


async def test_nothing_is_kept_of_a_session_and_no_more_than_can_be_read_is_listed(shown):
    kept = [NoSession(str(number)) for number in range(MOST_LISTED + 5)]
    dropped = NoSession("dropped")
    for each in (dropped, *kept):
        tell_begun(each)
    gone = weakref.ref(dropped)
    del dropped, each
    gc.collect()
    assert gone() is None
    ids = [line.session_id for line in shown._listed()]
    assert ids == [line.session_id for line in kept[-MOST_LISTED:]]


async def test_off_costs_nothing(emulator):
    serving = await monitor.serve(token=TOKEN)
    await serving.close()
    await serving.close()
    assert watchers == []
    async with agent(emulator) as unseen:
        assert not unseen._observers.each
    with pytest.raises(OSError, match="Connect call failed"):
        await look(serving)


async def test_the_token_is_shown_nowhere(emulator, caplog):
    caplog.set_level(logging.DEBUG)
    async with await monitor.serve(token=TOKEN) as serving:
        async with look(serving), agent(emulator):
            pass
        with pytest.raises(InvalidStatus):
            await look(serving, token=TOKEN[:-1] + "x")
        assert TOKEN not in repr(serving)
        assert TOKEN not in repr(vars(serving))
        mine = [record for record in caplog.records if "client" not in record.name]
        assert not any(TOKEN in record.getMessage() for record in mine)


async def test_where_the_token_comes_from(monkeypatch):
    monkeypatch.setenv("AVATARWIRE_MONITOR_TOKEN", "one-of-the-environment")
    async with await monitor.serve() as serving:
        assert serving.token == "one-of-the-environment"
    monkeypatch.delenv("AVATARWIRE_MONITOR_TOKEN")
    async with await monitor.serve() as one, await monitor.serve() as other:
        assert len(one.token) >= 32
        assert one.token != other.token
    for bad in ("short", "with a space in it all", "\N{SNOWMAN}" * 20):
        with pytest.raises(ValueError, match="16 or more characters of ASCII"):
            await monitor.serve(token=bad)


async def test_it_is_on_loopback_unless_told():
    async with await monitor.serve() as serving:
        assert serving.url.startswith("http://127.0.0.1:")
    async with await monitor.serve(host="::1") as serving:
        assert serving.url.startswith("http://[::1]:")
        async with look(serving, token=serving.token):
            pass


async def test_a_port_that_is_taken_leaves_nothing_behind(shown):
    with pytest.raises(OSError, match="in use"):
        await monitor.serve(int(shown.url.rpartition(":")[2]))
    assert len(watchers) == 1
