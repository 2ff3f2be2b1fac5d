import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiohttp import ClientSession, WSMsgType
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from avatarwire.codec import AudioFrame
from avatarwire.emulator import Faults, LiveAvatarEmulator, LiveSession
from avatarwire.emulator.liveavatar.message_faults import MessageFaults
from avatarwire.liveavatar.messages import MessageBuilder, encode

FRAME = AudioFrame(payload=b"ab").pack()
READY = encode(MessageBuilder.session_ready()).decode()


async def start(emulator: LiveAvatarEmulator, **body: object) -> dict[str, Any]:
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            f"{emulator.base_url}/v1/session/start", json={"avatarId": "a"} | body
        )
    data: dict[str, Any] = answer.json()["data"]
    return data


@asynccontextmanager
async def connected(
    faults: Faults, **options: Any
) -> AsyncIterator[tuple[ClientConnection, LiveSession]]:
    async with LiveAvatarEmulator(greeting=None, faults=faults, **options) as emulator:
        url = (await start(emulator))["agentWsUrl"]
        async with connect(url, proxy=None) as client:
            yield client, emulator.sessions[0]


async def names(client: ClientConnection) -> list[str]:
    """All events until the connection ends or falls silent."""
    seen = []
    with contextlib.suppress(TimeoutError, ConnectionClosed):
        while True:
            message = await asyncio.wait_for(client.recv(), 1)
            seen.append(json.loads(message)["event"])
    return seen


async def flood(client: ClientConnection) -> None:
    while True:
        await client.send(bytes(60_000))


# What is sent in place of a message


def sent(faults: Faults, count: int = 6) -> list[str | bytes]:
    message_faults = MessageFaults(faults)
    return [piece for n in range(count) for piece in message_faults.in_place_of(f"<{n}>")]


def test_without_faults_everything_is_as_it_was() -> None:
    assert sent(Faults()) == ["<0>", "<1>", "<2>", "<3>", "<4>", "<5>"]
    assert all(MessageFaults(Faults()).after_receiving(m) is None for m in ("text", FRAME))


def test_every_nth_message_goes_wrong() -> None:
    assert sent(Faults(garble_every=3)) == ["<0>", "<1>", "<", "<3>", "<4>", "<"]
    assert sent(Faults(duplicate_every=4), 4) == ["<0>", "<1>", "<2>", "<3>", "<3>"]
    assert sent(Faults(reorder_every=2)) == ["<0>", "<2>", "<1>", "<4>", "<3>"]
    assert sent(Faults(reorder_every=1), 4) == ["<1>", "<0>", "<3>", "<2>"]
    assert sent(Faults(garble_every=1, duplicate_every=1), 1) == ["<", "<"]


def test_events_are_withheld_by_name() -> None:
    message_faults = MessageFaults(Faults(withhold={"session.ready"}))
    assert message_faults.in_place_of(READY) == []
    assert message_faults.in_place_of("no event") == ["no event"]
    assert message_faults.in_place_of(FRAME) == [FRAME]


def test_faults_may_change_on_the_way() -> None:
    faults = Faults()
    message_faults = MessageFaults(faults)
    assert message_faults.after_receiving("one") is None
    faults.close_after_messages = 2
    assert message_faults.after_receiving("two") == "close"
    faults.stop_reading_after = 3
    assert message_faults.after_receiving("three") == "stop reading"
    faults.cut_after_frames = 1
    assert message_faults.after_receiving(FRAME) == "cut"


# On a connection


async def test_a_connection_is_cut_after_so_many_frames() -> None:
    async with connected(Faults(cut_after_frames=2)) as (client, session):
        for message in (READY, FRAME, READY, FRAME):
            await client.send(message)
        await asyncio.wait_for(client.wait_closed(), 5)
        assert client.close_code == 1006
        assert await session.wait_closed() == 1006
        assert not session.ended


async def test_events_never_come() -> None:
    async with connected(Faults(withhold={"session.init", "session.state"})) as (client, _):
        await client.send(READY)
        assert await names(client) == ["scene.ready"]


async def test_events_come_twice_and_out_of_order() -> None:
    async with connected(Faults(duplicate_every=1, reorder_every=2)) as (client, _):
        await client.send(READY)
        assert await names(client) == [
            "session.init", "session.init", "scene.ready",
            "session.state", "session.state", "scene.ready",
        ]  # fmt: skip


async def test_everything_comes_later() -> None:
    loop = asyncio.get_running_loop()
    async with LiveAvatarEmulator(greeting=None, faults=Faults(delay_s=0.5)) as emulator:
        begun_s = loop.time()
        url = (await start(emulator))["agentWsUrl"]
        started_s = loop.time()
        async with connect(url, proxy=None) as client:
            await client.send(READY)
            for _ in range(3):
                await client.recv()
            came_s = loop.time()
    assert started_s - begun_s >= 0.5
    # Each is late by so much, not all one after the other.
    assert 0.5 <= came_s - started_s < 1.4


async def test_reading_stops() -> None:
    async with connected(Faults(stop_reading_after=1)) as (client, session):
        await client.send(READY)
        await session.wait_for("session.ready")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flood(client), 0.5)
        assert all(entry.kind == "text" for entry in session.transcript)
        client.transport.abort()


async def test_pings_come_whether_anything_is_read_or_not() -> None:
    faults = Faults(pings_per_s=2000, stop_reading_after=1)
    async with LiveAvatarEmulator(greeting=None, faults=faults) as emulator:
        url = (await start(emulator))["agentWsUrl"]
        async with ClientSession() as http, http.ws_connect(url, autoping=False) as client:
            await client.send_str(READY)
            await emulator.sessions[0].wait_for("session.ready")
            pings = 0
            while pings < 100:
                message = await client.receive(timeout=5)
                pings += message.type is WSMsgType.PING
                assert message.type is not WSMsgType.PING or message.data == bytes(125)
            emulator.faults.stop_reading_after = None


async def test_a_session_that_stopped_reading_is_taken_over() -> None:
    async with LiveAvatarEmulator(faults=Faults(stop_reading_after=1)) as emulator:
        data = await start(emulator)
        client = await connect(data["agentWsUrl"], proxy=None)
        await client.send(READY)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flood(client), 0.5)
        client.transport.abort()
        emulator.faults = Faults()
        data = await start(emulator, sessionId=data["sessionId"])
        async with connect(data["agentWsUrl"], proxy=None) as client:
            assert json.loads(await client.recv())["event"] == "session.init"


async def test_handshakes_are_refused() -> None:
    faults = Faults()
    faults.handshakes.extend([503, 1013])
    async with LiveAvatarEmulator(faults=faults) as emulator:
        data = await start(emulator)
        with pytest.raises(InvalidStatus) as refused:
            await connect(data["agentWsUrl"], proxy=None)
        assert refused.value.response.status_code == 503
        client = await connect(data["agentWsUrl"], proxy=None)
        await asyncio.wait_for(client.wait_closed(), 5)
        assert client.close_code == 1013
        (session,) = emulator.sessions
        assert not session.ended
        faults.handshakes.append(1008)
        data = await start(emulator, sessionId=session.session_id)
        client = await connect(data["agentWsUrl"], proxy=None)
        await asyncio.wait_for(client.wait_closed(), 5)
        assert session.ended


async def test_tokens_expire() -> None:
    async with LiveAvatarEmulator(faults=Faults(token_life_s=0)) as emulator:
        url = (await start(emulator))["agentWsUrl"]
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, proxy=None)
        assert refused.value.response.status_code == 403


async def test_a_session_is_forgotten() -> None:
    async with LiveAvatarEmulator() as emulator:
        data = await start(emulator)
        (session,) = emulator.sessions
        async with connect(data["agentWsUrl"], proxy=None) as client:
            await client.recv()
            with pytest.raises(ValueError, match="is still connected"):
                emulator.forget(session)
        await session.wait_closed()
        emulator.forget(session)
        assert emulator.sessions == []
        with pytest.raises(ValueError, match="not in list"):
            emulator.forget(session)
