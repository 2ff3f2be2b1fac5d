"""The emulated Akool platform, seen by plain HTTP and WebSocket clients."""

import asyncio
import base64
import contextlib
import json
from urllib.parse import urlencode

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from avatarwire.audio import PcmFormat, read
from avatarwire.emulator import AkoolEmulator, AkoolFaults, AkoolInstance, Entry

PCM = bytes(range(256)) * 4


async def discover(emulator, headers=None, **query):
    async with httpx.AsyncClient() as client:
        return await client.get(emulator.discovery_url, params=query, headers=headers)


@contextlib.asynccontextmanager
async def connected(emulator, *, session_id="s-1", port=None, headers=None):
    url = f"ws://127.0.0.1:{port or emulator.instances[0].port}/streamingAvatar/ws/v1"
    query = urlencode({"session_id": session_id, "avatar_id": "a-1"})
    async with connect(f"{url}?{query}", proxy=None, additional_headers=headers) as socket:
        yield socket


async def say(socket, kind, mid=None, **payload):
    await socket.send(json.dumps({"v": 2, "type": kind, "mid": mid, "pld": payload}))


async def hear(socket):
    async with asyncio.timeout(5):
        message = json.loads(await socket.recv())
    assert message["v"] == 2
    return message["type"], message["pld"]


async def end_of(socket):
    """Read to the end and give the close code."""
    async with asyncio.timeout(5):
        await socket.wait_closed()
    return socket.close_code


@pytest.fixture
def emulator(akool_emulator):
    return akool_emulator


@pytest.fixture
async def socket(emulator):
    async with connected(emulator) as socket:
        assert await hear(socket) == ("system", {"status": "websocket_connected"})
        yield socket


async def test_discovery_gives_every_key(emulator):
    answer = await discover(emulator, avatar_id="a-1", group_name="G")
    port = emulator.instances[0].port
    assert emulator.discovery_url == f"http://127.0.0.1:{port}/streamingAvatar/service_status"
    assert answer.json() == {
        "code": 1000,
        "msg": "OK",
        "data": {
            "instances": [
                {
                    "ip": "127.0.0.1",
                    "port": port,
                    "avatar_id": "a-1",
                    "status": "available",
                    "healthy": True,
                    "index": 0,
                }
            ]
        },
    }
    assert emulator.discovery_queries == [{"avatar_id": "a-1", "group_name": "G"}]


async def test_discovery_as_the_readme_shows_it():
    instances = [AkoolInstance(), AkoolInstance(status="busy"), AkoolInstance(healthy=False)]
    async with AkoolEmulator(instances=instances, discovery="services") as emulator:
        answer = (await discover(emulator)).json()
    assert answer == {
        "success": True,
        "data": {
            "services": [
                {"host": "127.0.0.1", "port": instances[0].port, "status": "active"},
                {"host": "127.0.0.1", "port": instances[1].port, "status": "busy"},
            ]
        },
    }


async def test_instances_have_ports_of_their_own_and_change_on_demand():
    instances = [AkoolInstance(dead=True), AkoolInstance(avatar_id="mine"), AkoolInstance()]
    async with AkoolEmulator(instances=instances) as emulator:
        assert len({instance.port for instance in instances}) == 3
        assert emulator.server_url.endswith(f":{instances[1].port}")
        instances[2].status = "occupied"
        instances[1].healthy = False
        said = (await discover(emulator)).json()["data"]["instances"]
        assert [one["status"] for one in said] == ["available", "available", "occupied"]
        assert [one["healthy"] for one in said] == [True, False, True]
        assert [one["avatar_id"] for one in said] == ["", "mine", ""]
        with pytest.raises((OSError, InvalidMessage)):
            async with connected(emulator, port=instances[0].port):
                pass
        instances[2].occupied = True
        async with connected(emulator, port=instances[2].port) as socket:
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd.code == 4003
        assert [instance.dials for instance in instances] == [1, 0, 1]


async def test_faults_of_discovery(emulator):
    emulator.fail_next_discovery(status=503, times=2)
    emulator.fail_next_discovery(body={"code": 5000, "msg": "busy"})
    emulator.fail_next_discovery(body="<h1>hello</h1>")
    answers = [await discover(emulator) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [503, 503, 200, 200, 200]
    assert answers[2].json() == {"code": 5000, "msg": "busy"}
    assert answers[3].text == "<h1>hello</h1>"
    assert answers[4].json()["code"] == 1000


async def test_an_answer_can_be_withheld():
    async with AkoolEmulator() as emulator:
        emulator.fail_next_discovery(no_answer=True)
        asking = asyncio.create_task(discover(emulator))
        async with asyncio.timeout(5):
            while not emulator.discovery_queries:  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0.01)
        assert not asking.done()
    assert (await asking).status_code == 503


async def test_keys_are_checked_when_there_is_one():
    async with AkoolEmulator(api_key="sk") as emulator:
        assert (await discover(emulator)).json()["code"] == 4001
        assert (await discover(emulator, {"api_key": "sk"})).json()["code"] == 1000
        with pytest.raises(InvalidStatus) as refused:
            async with connected(emulator, headers={"api_key": "no"}):
                pass
        assert refused.value.response.status_code == 401
        async with connected(emulator, headers={"api_key": "sk"}) as socket:
            await hear(socket)
            await socket.send(json.dumps({"type": "auth", "token": "no", "avatar_id": "a-1"}))
            assert (await hear(socket))[1]["error_code"] == 4001
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd.code == 4001


@pytest.mark.parametrize("status", [401, 403, 503])
async def test_an_upgrade_is_refused_on_demand(emulator, status):
    emulator.refuse_next(status)
    with pytest.raises(InvalidStatus) as refused:
        async with connected(emulator):
            pass
    assert refused.value.response.status_code == status
    async with connected(emulator) as socket:
        await hear(socket)


@pytest.mark.parametrize("code", [4001, 4003, 4004])
async def test_a_connection_is_closed_on_demand(emulator, code):
    emulator.refuse_next(code)
    async with connected(emulator) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd.code == code
    assert emulator.sessions == []


async def test_what_is_no_websocket_and_what_lacks_its_ids(emulator):
    url = f"{emulator.server_url}/streamingAvatar/ws/v1"
    async with httpx.AsyncClient() as client:
        assert (await client.get(url)).status_code == 400
        ids = {"session_id": "s", "avatar_id": "a"}
        assert (await client.get(url, params=ids)).status_code == 426
    assert emulator.sessions == []


async def test_a_whole_conversation(emulator, socket):
    (session,) = emulator.sessions
    await say(socket, "ping", "p")
    assert await hear(socket) == ("pong", {})
    agora = {"appid": "a", "channel_id": "c", "token": "t", "uid": "1"}
    await say(socket, "command", "m-1", cmd="set-params", metadata={"agora_data": agora})
    assert await hear(socket) == ("ack", {"original_mid": "m-1", "status": "success"})
    assert await hear(socket) == ("system", {"status": "agora_connected", "channel_id": "c"})
    await say(socket, "chat", "m-2", audio=base64.b64encode(PCM).decode())
    await say(socket, "command", "m-3", cmd="interrupt")
    assert await hear(socket) == ("ack", {"original_mid": "m-3", "status": "success"})
    await say(socket, "event", "m-4", event="leave_channel", reason="enough")
    assert await hear(socket) == ("ack", {"original_mid": "m-4", "status": "success"})
    assert (session.session_id, session.avatar_id, session.left) == ("s-1", "a-1", "enough")
    assert bytes(session.pcm) == PCM
    assert session.audio_runs == [(PcmFormat(16000, 1), PCM)]
    assert session.is_connected
    await socket.close(1000)
    assert await session.wait_closed() == 1000
    assert not session.is_connected
    assert [entry.direction for entry in session.transcript].count("received") == 5
    assert all(isinstance(entry, Entry) for entry in session.transcript)
    assert "s-1" in repr(session)


async def test_the_flat_form(emulator, socket):
    await socket.send(json.dumps({"type": "auth", "token": "any", "avatar_id": "a-1"}))
    data = {"channel": "c", "userId": 1, "rtcToken": "t"}
    await socket.send(json.dumps({"type": "agora_params", "data": data}))
    assert await hear(socket) == ("system", {"status": "agora_connected", "channel_id": "c"})
    audio = base64.b64encode(PCM).decode()
    await socket.send(json.dumps({"type": "audio_data", "data": audio}))
    await socket.send(json.dumps({"type": "ping"}))
    assert await hear(socket) == ("pong", {})
    assert bytes(emulator.sessions[0].pcm) == PCM


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("{", "not a message"),
        (b"\x00", "binary"),
        (json.dumps({"type": "hello"}), "not a message of this platform: hello"),
        (json.dumps({"type": "command", "pld": {"cmd": "set-params"}}), "set-params"),
        (json.dumps({"type": "chat", "pld": {"audio": "not base64!"}}), "not base64"),
        (json.dumps({"type": "chat", "pld": {"audio": "AAAA"}}), "3 bytes"),
        (json.dumps({"type": "chat", "pld": {"audio": ""}}), "0 bytes"),
        (json.dumps({"type": "chat", "pld": {}}), "chat"),
    ],
)
async def test_what_is_no_message_is_answered_and_counted(emulator, socket, message, words):
    await socket.send(message)
    kind, payload = await hear(socket)
    assert (kind, payload["error_code"]) == ("error", 4000)
    assert words in payload["error_message"]
    assert emulator.sessions[0].bad_messages == 1
    assert not emulator.sessions[0].pcm


async def test_answers_are_withheld_on_demand():
    withhold = {"websocket_connected", "agora_connected", "ack", "pong"}
    faults = AkoolFaults(withhold=withhold)
    async with AkoolEmulator(faults=faults) as emulator, connected(emulator) as socket:
        session = await emulator.wait_for_session()
        await say(socket, "ping")
        agora = {"agora_data": {"channel_id": "c"}}
        await say(socket, "command", "m-1", cmd="set-params", metadata=agora)
        await session.wait_for("set-params")
        assert [entry.direction for entry in session.transcript] == ["received"] * 2


@pytest.mark.parametrize("names_mid", [True, False])
async def test_an_answer_is_an_error_on_demand(emulator, socket, names_mid):
    emulator.faults.errors["interrupt"] = (4006, "no")
    emulator.faults.errors_name_mid = names_mid
    await say(socket, "command", "m-1", cmd="interrupt")
    expected = {"error_code": 4006, "error_message": "no"}
    if names_mid:
        expected["original_mid"] = "m-1"
    assert await hear(socket) == ("error", expected)


async def test_a_connection_ends_after_so_many_messages(emulator):
    emulator.faults.close_after_messages, emulator.faults.close_code = 2, 1013
    async with connected(emulator) as socket:
        await hear(socket)
        await say(socket, "ping")
        await say(socket, "ping")
        assert await end_of(socket) == 1013
    assert await emulator.sessions[0].wait_closed() == 1013


async def test_a_session_lives_on_across_connections(emulator, socket):
    (session,) = emulator.sessions
    session.cut()
    assert await session.wait_closed() == 1006
    with pytest.raises(ConnectionError):
        await session.send("chat", {})
    async with connected(emulator) as again:
        await hear(again)
        assert (emulator.sessions, session.connections) == ([session], 2)
        async with connected(emulator) as third:
            await hear(third)
            with pytest.raises(ConnectionClosed) as closed:
                await again.recv()
            assert closed.value.rcvd.code == 1008
    async with connected(emulator, session_id="s-2"):
        assert await emulator.wait_for_session(2) is not session


async def test_waiting_names_what_came_instead(emulator, socket):
    (session,) = emulator.sessions
    await say(socket, "ping")
    await session.wait_for("ping")
    with pytest.raises(TimeoutError, match="received: ping"):
        await session.wait_for("ping", timeout_s=0.01)
    with pytest.raises(TimeoutError):
        await session.wait_closed(timeout_s=0.01)
    with pytest.raises(TimeoutError):
        await emulator.wait_for_session(2, timeout_s=0.01)


async def test_sessions_are_recorded(tmp_path):
    folder = tmp_path / "new" / "rec"
    async with AkoolEmulator(record_dir=folder) as emulator:
        async with connected(emulator) as socket:
            await hear(socket)
            await say(socket, "chat", "m", audio=base64.b64encode(PCM).decode())
        await emulator.sessions[0].wait_closed()
    assert b"".join(read(folder / "s-1.wav")[0]) == PCM
    lines = [json.loads(line) for line in (folder / "s-1.jsonl").read_text().splitlines()]
    assert [line["direction"] for line in lines] == ["sent", "received"]


@pytest.mark.parametrize("token", ["rtc-secret", 'a "quoted" secret', "back\\slash secret"])
async def test_no_token_is_written_down(tmp_path, token):
    agora = {"appid": "a", "channel_id": "c", "token": token, "uid": "1"}
    async with AkoolEmulator(record_dir=tmp_path) as emulator:
        async with connected(emulator) as socket:
            await hear(socket)
            await say(socket, "command", "m", cmd="set-params", metadata={"agora_data": agora})
            await hear(socket)
            await socket.send(json.dumps({"type": "auth", "token": token}))
        await emulator.sessions[0].wait_closed()
    recorded = (tmp_path / "s-1.jsonl").read_text()
    assert "secret" not in recorded
    messages = [json.loads(json.loads(line)["data"]) for line in recorded.splitlines()]
    (params,) = (message["pld"] for message in messages if message["type"] == "command")
    assert params["metadata"]["agora_data"] == agora | {"token": "***"}
    # What a test looks at is whole.
    assert emulator.sessions[0].messages[-1]["token"] == token


async def test_a_session_id_is_no_path(tmp_path):
    async with AkoolEmulator(record_dir=tmp_path / "rec") as emulator:
        async with connected(emulator, session_id="../../evil") as socket:
            await hear(socket)
        await emulator.sessions[0].wait_closed()
    assert [path.name for path in tmp_path.iterdir()] == ["rec"]
    assert [path.parent.name for path in tmp_path.rglob("*.jsonl")] == ["rec"]


async def test_a_port_that_is_taken_leaves_nothing_open():
    async with AkoolEmulator() as emulator:
        port = emulator.instances[0].port
        other = AkoolEmulator(port=port, instances=[AkoolInstance(dead=True), AkoolInstance()])
        with pytest.raises(OSError):  # noqa: PT011 - the system's words
            await other.__aenter__()
        with pytest.raises(OSError):  # noqa: PT011 - the system's words
            await asyncio.open_connection("127.0.0.1", other.instances[0].port)


async def test_it_ends_with_clients_still_connected():
    async with AkoolEmulator() as emulator:
        socket = await connect(
            f"{emulator.server_url.replace('http', 'ws')}/streamingAvatar/ws/v1"
            "?session_id=s&avatar_id=a",
            proxy=None,
        )
    assert await end_of(socket) == 1001
