"""What every emulated session is, whatever its platform."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator
from avatarwire.emulator.recorded_session import RecordedSession


class LivePlatform:
    def __init__(self) -> None:
        self.emulator = LiveAvatarEmulator(greeting=None)
        self.session_id: str | None = None

    async def urls(self, count: int) -> list[str]:
        """Give a URL for each connection; the platform ends the tokens before the last."""
        tokens = []
        async with httpx.AsyncClient() as http:
            for _ in range(count):
                body = {"avatarId": "a"} | ({"sessionId": self.session_id} if tokens else {})
                answer = await http.post(f"{self.emulator.base_url}/v1/session/start", json=body)
                data = answer.json()["data"]
                self.session_id = data["sessionId"]
                tokens.append(data["agentWsUrl"])
                for token in tokens:  # as if each had been dialled before the next was given
                    self.emulator._by_token[token.partition("=")[2]] = self.emulator.sessions[0]
        return tokens


class AkoolPlatform:
    def __init__(self) -> None:
        self.emulator = AkoolEmulator()

    async def urls(self, count: int) -> list[str]:
        url = self.emulator.server_url.replace("http", "ws")
        return [f"{url}/streamingAvatar/ws/v1?session_id=s&avatar_id=a"] * count


@pytest.fixture(params=[LivePlatform, AkoolPlatform])
async def platform(request: pytest.FixtureRequest) -> AsyncIterator[LivePlatform | AkoolPlatform]:
    platform = request.param()
    async with platform.emulator:
        yield platform


async def first_word(client: ClientConnection) -> str:
    message = json.loads(await asyncio.wait_for(client.recv(), 5))
    return str(message.get("event") or message["pld"]["status"])


async def test_many_connections_at_once_leave_one(platform: LivePlatform | AkoolPlatform) -> None:
    first, *others = await platform.urls(6)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(first, proxy=None))]
        word = await first_word(clients[0])
        dialled = [asyncio.ensure_future(connect(url, proxy=None).__aenter__()) for url in others]
        for client in await asyncio.gather(*dialled):
            stack.push_async_callback(client.close)
            clients.append(client)
        async with asyncio.timeout(5):
            while sum(client.close_code is None for client in clients) > 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        (left,) = (client for client in clients if client.close_code is None)
        assert await first_word(left) == word
        assert [client.close_code for client in clients if client is not left] == [1008] * 5
        (session,) = platform.emulator.sessions
        assert session.is_connected
        assert not getattr(session, "ended", False)
        await left.close(3000)
        assert await session.wait_closed() == 3000


async def test_a_replaced_connection_ends_no_session(
    platform: LivePlatform | AkoolPlatform,
) -> None:
    first, second = await platform.urls(2)
    async with connect(first, proxy=None) as older:
        await first_word(older)
        (session,) = platform.emulator.sessions
        async with connect(second, proxy=None) as newer:
            await first_word(newer)
            await asyncio.wait_for(older.wait_closed(), 5)
            assert (older.close_code, session.closed) == (1008, None)
            # The same code by the platform's own will is another matter.
            await session.close(1008, "enough")
            assert await session.wait_closed() == 1008
    assert getattr(session, "ended", True)


async def test_a_wait_names_what_came(platform: LivePlatform | AkoolPlatform) -> None:
    (url,) = await platform.urls(1)
    async with connect(url, proxy=None) as client:
        await first_word(client)
        (session,) = platform.emulator.sessions
        assert isinstance(session, RecordedSession)
        with pytest.raises(TimeoutError, match=r"no never in 0\.01 s; received: nothing"):
            await session.wait_for("never", timeout_s=0.01)
        with pytest.raises(TimeoutError):
            await session.wait_closed(timeout_s=0.01)
        assert [entry.direction for entry in session.transcript] == ["sent"]
