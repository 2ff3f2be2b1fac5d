"""Nothing that is sent to it ends the emulator, or is told as its own error."""

import asyncio
import contextlib
import logging
import random
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator
from avatarwire.emulator.server import listen

JSON = (
    b"", b"{", b"[]", b"null", b"7", b'"text"', b"\xff\xfe", b"[" * 5000, b'{"avatarId": {}}',
    b'{"avatarId": "a", "sessionId": {"a": []}}', b'{"sessionId": null}',
    b'{"avatarId": "a", "x": 1e999}',
)  # fmt: skip
EVENTS = (
    "", "{", "[]", "7", '{"event": 7}', '{"event": ""}', '{"event": "response.audio.start"}',
    '{"event": "response.chunk", "data": 7}', '{"event": "response.chunk", "data": {"text": []}}',
    '{"event": "control.interrupt", "data": []}', '{"event": "session.ready", "data": null}',
    '{"event": "response.start", "requestId": {}, "responseId": []}', '{"event": "\\u0000"}',
)  # fmt: skip


def octets(chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice((0, 1, 8, 9, 25, 400, 65_536, 70_000)))


async def raw(url: str, data: bytes) -> None:
    """Send bytes, hang up in the middle of the answer."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    with contextlib.suppress(ConnectionError, TimeoutError):
        writer.write(data)
        await writer.drain()
        await asyncio.wait_for(reader.read(100), 0.02)
    writer.transport.abort()


def requests(chance: random.Random, path: str) -> bytes:
    host = chance.choice(("x", "localhost", "localhost", "localhost", "\xff", "localhost:99999999"))
    method, length = chance.choice(("GET", "POST", "PUT", "X")), chance.choice((0, 5, 10**9, -1))
    head = f"{method} {path}?token=x HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n"
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    whole = head + chance.choice(("", upgrade)) + "Authorization: Bearer x\r\n\r\n"
    return chance.choice((whole.encode(), whole.encode()[:40])) + chance.randbytes(20)


@pytest.fixture(autouse=True)
def no_error(caplog: pytest.LogCaptureFixture) -> contextlib.AbstractContextManager[None]:
    """Every record is looked at when the test is over."""

    @contextlib.contextmanager
    def checked():
        yield
        told = [record for record in caplog.records if record.levelno >= logging.WARNING]
        # aiohttp tells a malformed request as an error; it does so without quoting it.
        assert [r for r in told if "Error handling request" not in r.getMessage()] == []
        assert [r.getMessage() for r in told if r.exc_info] == []

    return checked()


@pytest.mark.parametrize("seed", range(3))
async def test_garbage_to_the_live_platform(no_error, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    with no_error:
        async with LiveAvatarEmulator() as emulator, httpx.AsyncClient() as http:
            for path in ("start", "stop", "agent", "nowhere"):
                url = f"{emulator.base_url}/v1/session/{path}"
                for body in (*JSON, octets(chance)):
                    assert (await http.post(url, content=body)).status_code < 500
                await asyncio.gather(
                    *(raw(url, requests(chance, urlsplit(url).path)) for _ in range(10)),
                    *(raw(url, octets(chance)) for _ in range(5)),
                )
            for _ in range(40):
                answer = await http.post(
                    f"{emulator.base_url}/v1/session/start", json={"avatarId": "a"}
                )
                url = answer.json()["data"]["agentWsUrl"]
                with contextlib.suppress(ConnectionClosed, ConnectionError):
                    async with connect(url, proxy=None, close_timeout=1) as client:
                        for _ in range(chance.randrange(6)):
                            kind = chance.randrange(3)
                            if kind == 2:
                                client.transport.write(octets(chance))
                                client.transport.abort()
                            else:
                                await client.send(
                                    octets(chance) if kind else chance.choice(EVENTS), text=not kind
                                )
            assert (
                await http.post(f"{emulator.base_url}/v1/session/start", json={"avatarId": "a"})
            ).json()["code"] == 0
            await asyncio.gather(
                *(
                    session.wait_closed(8)
                    for session in emulator.sessions[-41:-1]
                    if session.is_connected
                )
            )


async def test_garbage_to_akool(no_error) -> None:
    chance = random.Random(1)  # noqa: S311
    with no_error:
        async with AkoolEmulator() as emulator, httpx.AsyncClient() as http:
            await asyncio.gather(
                *(
                    raw(
                        emulator.discovery_url,
                        requests(chance, urlsplit(emulator.discovery_url).path),
                    )
                    for _ in range(30)
                ),
                *(raw(emulator.discovery_url, octets(chance)) for _ in range(10)),
            )
            assert (await http.get(emulator.discovery_url)).status_code < 500


@pytest.mark.parametrize("platform", [LiveAvatarEmulator, AkoolEmulator])
async def test_only_this_machine_reaches_it(platform, monkeypatch) -> None:
    seen = []

    async def listening(*arguments):
        runner, listener = await listen(*arguments)
        seen.extend(socket.getsockname()[0] for socket in listener.sockets)
        return runner, listener

    monkeypatch.setattr("avatarwire.emulator.server.listen", listening)
    async with platform():
        assert seen == ["127.0.0.1"]
