"""Pages of other sites do not reach a platform; programs do. Over real sockets, byte for byte."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from avatarwire.emulator import AkoolEmulator, AkoolInstance, LiveAvatarEmulator
from avatarwire.emulator.origins import only_own

EVERYWHERE = "0.0.0.0"  # noqa: S104
UPGRADE = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)  # fmt: skip
BODY = '{"avatarId": "a"}'
POST = (f"Content-Length: {len(BODY)}", "Content-Type: text/plain", "Connection: close")
# Where each is sent, and the headers that make it what it is.
REQUESTS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "start": ("POST /v1/session/start", POST, BODY),
    "stop": ("POST /v1/session/stop", POST, BODY),
    "live socket": ("GET /v1/session/agent?token=any", UPGRADE, ""),
    "discovery": ("GET /streamingAvatar/service_status", ("Connection: close",), ""),
    "akool socket": ("GET /streamingAvatar/ws/v1?session_id=s&avatar_id=a", UPGRADE, ""),
    "nowhere": ("GET /nowhere", ("Connection: close",), ""),
}
OF_LIVE, OF_AKOOL = ["start", "stop", "live socket", "nowhere"], ["discovery", "akool socket"]

FOREIGN_HOSTS = [
    "evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "xlocalhost:{port}",
    "localhost.evil.example", "2130706433:{port}", "127.1:{port}", "0x7f.0.0.1:{port}", "",
    "127.0.0.1:{port}@evil.example", "evil.example@127.0.0.1:{port}", "127.0.0.1:{port}/evil",
    "127.0.0.1:{port}, evil.example", "127.0.0.1:http", "127.0.0.1 evil.example", "[::1", "::1",
    "a" * 500, "\N{LATIN SMALL LETTER E WITH ACUTE}.example", ":{port}", "localhost\\.evil.example",
]  # fmt: skip
ADDRESSES = [EVERYWHERE + ":{port}", "192.168.1.5:{port}", "[fe80::1]:{port}", "[2001:db8::1]:80"]
OWN_HOSTS = [
    "127.0.0.1:{port}", "localhost:{port}", "LocalHost:{port}", "localhost.:{port}", "127.0.0.1",
    "[::1]:{port}", "127.0.1.1:{port}", "app.localhost:{port}", "localhost:9",
]  # fmt: skip
FOREIGN_ORIGINS = [
    "https://evil.example", "http://evil.example:{port}", "http://127.0.0.1", "http://127.0.0.1:9",
    "http://localhost:{port}", "null", "", "file://", "http://127.0.0.1:{port}.evil.example",
    "http://evil@127.0.0.1:{port}", "127.0.0.1:{port}", "chrome-extension://127.0.0.1:{port}",
    "http://[127.0.0.1:{port}", "http://127.0.0.1:{port} http://evil.example",
]  # fmt: skip


@pytest.fixture
async def live() -> AsyncIterator[LiveAvatarEmulator]:
    async with LiveAvatarEmulator() as emulator:
        yield emulator


@pytest.fixture
async def akool() -> AsyncIterator[AkoolEmulator]:
    async with AkoolEmulator() as emulator:
        yield emulator


def port_of(emulator: LiveAvatarEmulator | AkoolEmulator) -> int:
    url = emulator.base_url if isinstance(emulator, LiveAvatarEmulator) else emulator.server_url
    return int(url.rpartition(":")[2])


async def ask(port: int, which: str, *headers: str, target: str = "") -> tuple[int, str]:
    """Give the status and the text of the answer to exactly these headers."""
    line, own_headers, body = REQUESTS[which]
    method, path = line.split(" ", 1)
    head = [f"{method} {target or path} HTTP/1.1", *headers, *own_headers]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    whole = "\r\n".join([*head, "", ""]).format(port=port) + body
    writer.write(whole.encode())
    async with asyncio.timeout(5):
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            (
                int(line.split()[1])
                for line in answer.splitlines()
                if line.startswith("Content-Len")
            ),
            0,
        )
        text = (await reader.readexactly(length)).decode()
    writer.transport.abort()
    return int(answer.split()[1]), text


@pytest.mark.parametrize("host", FOREIGN_HOSTS + ADDRESSES)
async def test_a_name_of_another_site_is_refused(
    live: LiveAvatarEmulator, akool: AkoolEmulator, host: str
) -> None:
    for emulator, names in ((live, OF_LIVE), (akool, OF_AKOOL)):
        for which in names:
            status, text = await ask(port_of(emulator), which, f"Host: {host}")
            assert (which, status) == (which, 403)
            assert "is no name of this platform" in text
            assert "--host" in text
            assert len(text) < 400
    assert live.sessions == []
    assert (akool.sessions, akool.discovery_queries, akool.instances[0].dials) == ([], [], 0)


async def test_a_request_without_a_host_is_refused(
    live: LiveAvatarEmulator, akool: AkoolEmulator
) -> None:
    for emulator, names in ((live, OF_LIVE), (akool, OF_AKOOL)):
        for which in names:
            assert (await ask(port_of(emulator), which))[0] in {400, 403}
            two = ("Host: 127.0.0.1", "Host: evil.example")
            assert (await ask(port_of(emulator), which, *two))[0] in {400, 403}
            assert (await ask(port_of(emulator), which, *two[::-1]))[0] in {400, 403}
    assert (live.sessions, akool.sessions, akool.discovery_queries) == ([], [], [])


async def test_a_whole_url_does_not_hide_a_name(akool: AkoolEmulator) -> None:
    port = port_of(akool)
    for authority, status in (("evil.example", 403), (f"localhost:{port}", 200)):
        target = f"http://{authority}/streamingAvatar/service_status"
        got, text = await ask(port, "discovery", f"Host: 127.0.0.1:{port}", target=target)
        assert got == status
        assert "evil" not in text or status == 403


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
async def test_a_page_of_another_site_is_refused(
    live: LiveAvatarEmulator, akool: AkoolEmulator, origin: str
) -> None:
    for emulator, names in ((live, OF_LIVE), (akool, OF_AKOOL)):
        for which in names:
            status, text = await ask(
                port_of(emulator), which, "Host: 127.0.0.1:{port}", f"Origin: {origin}"
            )
            assert (which, status) == (which, 403)
            assert "is another site" in text
            assert f"http://127.0.0.1:{port_of(emulator)}" in text
            both = (f"Origin: http://127.0.0.1:{port_of(emulator)}", f"Origin: {origin}")
            answer = await ask(port_of(emulator), which, "Host: 127.0.0.1:{port}", *both)
            assert answer[0] in {400, 403}
    assert live.sessions == []
    assert (akool.sessions, akool.discovery_queries, akool.instances[0].dials) == ([], [], 0)


@pytest.mark.parametrize("with_origin", [False, True])
@pytest.mark.parametrize("host", OWN_HOSTS)
async def test_programs_and_own_pages_are_answered(
    live: LiveAvatarEmulator, akool: AkoolEmulator, host: str, with_origin: bool
) -> None:
    headers = [f"Host: {host}"] + [f"Origin: http://{host}"] * with_origin
    answer = await ask(port_of(live), "start", *headers)
    assert answer[0] == 200
    url: str = json.loads(answer[1])["data"]["agentWsUrl"]
    assert url.startswith(f"ws://{host.format(port=port_of(live))}/v1/")
    assert (await ask(port_of(live), "nowhere", *headers))[0] == 404
    assert (await ask(port_of(akool), "discovery", *headers))[0] == 200
    assert (await ask(port_of(akool), "akool socket", *headers))[0] == 101
    await akool.wait_for_session()


async def start(emulator: LiveAvatarEmulator) -> dict[str, Any]:
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{emulator.base_url}/v1/session/start", json={"avatarId": "a"})
    data: dict[str, Any] = answer.json()["data"]
    return data


async def test_a_refused_page_spends_nothing(
    live: LiveAvatarEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "avatarwire.emulator")
    url = (await start(live))["agentWsUrl"]
    live.faults.handshakes.append(503)
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, proxy=None, origin="https://evil.example")  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403
    assert b"is another site" in bytes(refused.value.response.body or b"")
    assert "request refused: Origin https://evil.example is another site" in caplog.text
    assert list(live.faults.handshakes) == [503]
    live.faults.handshakes.clear()
    async with connect(url, proxy=None, origin=url.rpartition("/v1")[0].replace("ws", "http")):
        await asyncio.sleep(0)
    assert await live.sessions[0].wait_closed() == 1000


async def test_each_instance_is_guarded() -> None:
    instances = [AkoolInstance(), AkoolInstance()]
    async with AkoolEmulator(instances=instances):
        for instance in instances:
            headers = ("Host: localhost", "Origin: https://evil.example")
            assert (await ask(instance.port, "akool socket", *headers))[0] == 403
            assert (await ask(instance.port, "akool socket", headers[0]))[0] == 101


@pytest.mark.parametrize("platform", [LiveAvatarEmulator, AkoolEmulator])
async def test_whoever_listens_everywhere_is_reached_by_addresses_and_by_its_name(
    platform: type[LiveAvatarEmulator | AkoolEmulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Box.lan.example")
    which, found = ("start", 200) if platform is LiveAvatarEmulator else ("discovery", 200)
    async with platform(host=EVERYWHERE) as emulator:
        port = port_of(emulator)
        for host in [*OWN_HOSTS, *ADDRESSES, "box.lan.example:{port}", "box:{port}", "BOX:9"]:
            assert (host, (await ask(port, which, f"Host: {host}"))[0]) == (host, found)
            for origin, status in ((host, found), ("evil.example", 403)):
                headers = (f"Host: {host}", f"Origin: http://{origin}")
                assert (host, (await ask(port, which, *headers))[0]) == (host, status)
        for host in [*FOREIGN_HOSTS, "box.evil.example:{port}", "lan.example"]:
            assert (host, (await ask(port, which, f"Host: {host}"))[0]) == (host, 403)


async def test_the_name_that_is_listened_on_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    # The name service is asked for it; here it is this machine.
    resolve = asyncio.get_running_loop().getaddrinfo

    async def getaddrinfo(host: str, *args: Any, **options: Any) -> Any:
        return await resolve("127.0.0.1" if host == "Avatar.test" else host, *args, **options)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    async with AkoolEmulator(host="Avatar.test") as emulator:
        port = port_of(emulator)
        for host, status in (("avatar.test:{port}", 200), ("other.test:{port}", 403)):
            assert (await ask(port, "discovery", f"Host: {host}"))[0] == status


@pytest.mark.parametrize("platform", [LiveAvatarEmulator, AkoolEmulator])
@pytest.mark.parametrize("listening", ["127.0.0.1", EVERYWHERE, ""])
async def test_further_names_are_its_own_when_allowed(
    platform: type[LiveAvatarEmulator] | type[AkoolEmulator], listening: str
) -> None:
    which = "start" if platform is LiveAvatarEmulator else "discovery"
    names = ["Avatar.lan", "emulator", "proxy.example."]
    async with platform(host=listening, allowed_hosts=names) as emulator:
        port = port_of(emulator)
        hosts = ["avatar.lan:{port}", "AVATAR.LAN:443", "emulator", "emulator.:80", "proxy.example"]
        for host in [*hosts, *OWN_HOSTS]:
            assert (host, (await ask(port, which, f"Host: {host}"))[0]) == (host, 200)
        for host in [*FOREIGN_HOSTS, "x.avatar.lan", "lan", "emulator.evil.example"]:
            assert (host, (await ask(port, which, f"Host: {host}"))[0]) == (host, 403)
        foreign = ("Host: emulator", "Origin: http://evil.example")
        assert (await ask(port, which, *foreign))[0] == 403


@pytest.mark.parametrize(
    ("names", "error", "words"),
    [
        ("avatar.lan", TypeError, "a list of names, such as .*, not str"),
        (5, TypeError, "not int"),
        ([5], TypeError, "a list of str, not of int"),
        (["avatar.lan:8080"], ValueError, "'avatar.lan:8080': each is the name of one host"),
        (["http://avatar.lan"], ValueError, "without http:// and port"),
        (["*"], ValueError, "each is the name of one host"),
        ([""], ValueError, "each is the name of one host"),
    ],
)
def test_what_is_no_name_cannot_be_allowed(names: Any, error: type[Exception], words: str) -> None:
    for platform in (LiveAvatarEmulator, AkoolEmulator):
        with pytest.raises(error, match=words):
            platform(allowed_hosts=names)


def test_nobody_is_asked_for_the_name_of_a_loopback_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(socket, "gethostname")
    for host in ("127.0.0.1", "::1", "localhost", "LOCALHOST"):
        only_own(host)
