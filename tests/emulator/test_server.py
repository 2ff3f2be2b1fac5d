"""The ports of a platform, over real sockets."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator
from avatarwire.emulator.server import Server, is_same_key, origin


@pytest.mark.parametrize(
    ("given", "same"),
    [("key", True), ("", False), ("Key", False), ("key ", False), ("k\udce9y", False)],
)
def test_keys_are_compared_whatever_was_sent(given: str, same: bool) -> None:
    assert is_same_key(given, "key") is same


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("localhost", "http://localhost:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104
        ("::", "http://[::1]:80"),
        ("fe80::1", "http://[fe80::1]:80"),
    ],
)
def test_a_url_can_be_dialled(host: str, url: str) -> None:
    assert origin(host, 80) == url


async def test_what_was_open_is_closed_when_the_rest_fails(tmp_path: Path) -> None:
    server = Server("127.0.0.1", 0, tmp_path / "new" / "rec")
    ports = []

    async def fail_half_way() -> None:
        async with server.opening():
            await server.open(web.Application())
            ports.extend([server.port, await server.open_another(web.Application())])
            raise KeyError

    with pytest.raises(KeyError):
        await fail_half_way()
    assert (tmp_path / "new" / "rec").is_dir()
    assert len(set(ports)) == 2
    for port in ports:
        with pytest.raises(OSError):  # noqa: PT011 - the system's words
            await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize("platform", [LiveAvatarEmulator, AkoolEmulator])
async def test_a_key_that_is_no_text_is_refused(
    platform: type[LiveAvatarEmulator | AkoolEmulator], caplog: pytest.LogCaptureFixture
) -> None:
    async with platform(api_key="sk") as emulator:
        url = getattr(emulator, "discovery_url", None) or f"{emulator.base_url}/v1/session/start"
        host, _, path = url.removeprefix("http://").partition("/")
        method = "GET" if platform is AkoolEmulator else "POST"
        head = f"{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        keys = b"api_key: \xff\xfe\r\nAuthorization: Bearer \xff\xfe\r\n\r\n"
        reader, writer = await asyncio.open_connection(*host.split(":"))
        writer.write(head.encode() + keys)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        await writer.wait_closed()
    assert b"4001" in answer or b" 401 " in answer
    assert caplog.text == ""
