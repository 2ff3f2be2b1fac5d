import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from avatarwire.audio import PcmFormat, read, write_wav
from avatarwire.codec import AudioFrame, PcmFramer
from avatarwire.emulator import LiveAvatarEmulator
from avatarwire.errors import AudioFormatError
from avatarwire.liveavatar.messages import MessageBuilder, encode

KEY = {"Authorization": "Bearer sk-test"}
BODY = {"avatarId": "a", "mode": "websocketAgent"}
PCM = bytes(range(256)) * 30


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(headers=KEY, timeout=5) as client:
        yield client


async def start(
    http: httpx.AsyncClient, emulator: LiveAvatarEmulator, **body: object
) -> dict[str, Any]:
    url = f"{emulator.base_url}/v1/session/start"
    answer = (await http.post(url, json=BODY | body)).raise_for_status().json()
    assert (answer["code"], answer["message"]) == (0, "success")
    data: dict[str, Any] = answer["data"]
    return data


async def dial(url: str) -> ClientConnection:
    return await connect(url, proxy=None)


async def receive(client: ClientConnection) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(await asyncio.wait_for(client.recv(), 5))
    return event


async def tell(client: ClientConnection, event: dict[str, Any]) -> None:
    await client.send(encode(event), text=True)


async def test_a_start_gives_what_the_platform_gives(http: httpx.AsyncClient) -> None:
    async with LiveAvatarEmulator() as emulator:
        data = await start(http, emulator, voiceId="v")
        assert set(data) == {"sessionId", "sfuUrl", "userToken", "agentToken", "agentWsUrl"}
        assert urlsplit(data["agentWsUrl"]).netloc == urlsplit(emulator.base_url).netloc
        (session,) = emulator.sessions
        assert session.session_id == data["sessionId"]
        assert session.start_requests == [BODY | {"voiceId": "v"}]
        assert session.sandbox is False


async def test_the_sandbox_header_is_seen(http: httpx.AsyncClient) -> None:
    async with LiveAvatarEmulator() as emulator:
        http.headers["X-Env-Sandbox"] = "true"
        await start(http, emulator)
        assert emulator.sessions[0].sandbox is True


async def test_a_set_key_is_the_only_one(http: httpx.AsyncClient) -> None:
    async with LiveAvatarEmulator(api_key="sk-test") as emulator:
        await start(http, emulator)
        for path in ("start", "stop"):
            url = f"{emulator.base_url}/v1/session/{path}"
            answer = await http.post(url, json=BODY, headers={"Authorization": "Bearer other"})
            assert (answer.status_code, answer.json()["code"]) == (401, 40004)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"avatarId": " "}', b'{"avatarId": 5}'])
async def test_a_start_without_an_avatar_is_refused(http: httpx.AsyncClient, body: bytes) -> None:
    async with LiveAvatarEmulator() as emulator:
        answer = await http.post(f"{emulator.base_url}/v1/session/start", content=body)
        assert (answer.status_code, answer.json()["code"]) == (400, 40003)
        assert emulator.sessions == []


async def test_the_handshake_and_the_greeting(http: httpx.AsyncClient) -> None:
    async with LiveAvatarEmulator(greeting="Good day") as emulator:
        data = await start(http, emulator)
        async with await dial(data["agentWsUrl"]) as client:
            init = await receive(client)
            assert init["event"] == "session.init"
            assert init["data"]["sessionId"] == data["sessionId"]
            await tell(client, MessageBuilder.session_ready())
            events = [await receive(client) for _ in range(4)]
            assert [event["event"] for event in events] == [
                "scene.ready",
                "session.state",
                "input.text",
                "session.state",
            ]
            assert events[2]["data"] == {"text": "Good day"}
            assert [events[n]["data"]["state"] for n in (1, 3)] == ["IDLE", "THINKING"]
            assert [events[n]["seq"] for n in (1, 3)] == [1, 2]


async def test_a_url_serves_once(http: httpx.AsyncClient) -> None:
    async with LiveAvatarEmulator() as emulator:
        url = (await start(http, emulator))["agentWsUrl"]
        async with await dial(url):
            for spent in (url, url.partition("?")[0], url + "x"):
                with pytest.raises(InvalidStatus) as caught:
                    await dial(spent)
                assert caught.value.response.status_code == 403


async def test_a_url_is_not_spent_by_plain_http(http: httpx.AsyncClient) -> None:
    async with LiveAvatarEmulator() as emulator:
        url = (await start(http, emulator))["agentWsUrl"]
        assert (await http.get(url.replace("ws:", "http:"))).status_code == 426
        await (await dial(url)).close()


async def test_a_restart_gives_a_fresh_url_and_ends_the_old(http: httpx.AsyncClient) -> None:
    async with LiveAvatarEmulator() as emulator:
        first = await start(http, emulator)
        second = await start(http, emulator, sessionId=first["sessionId"])
        assert second["sessionId"] == first["sessionId"]
        assert second["userToken"] != first["userToken"]
        with pytest.raises(InvalidStatus):
            await dial(first["agentWsUrl"])
        async with await dial(second["agentWsUrl"]) as client:
            assert (await receive(client))["event"] == "session.init"
        assert len(emulator.sessions) == 1
        assert len(emulator.sessions[0].start_requests) == 2


async def test_a_session_resumes_after_a_cut_and_is_greeted_once(http: httpx.AsyncClient) -> None:
    async with LiveAvatarEmulator() as emulator:
        data = await start(http, emulator)
        client = await dial(data["agentWsUrl"])
        await tell(client, MessageBuilder.session_ready())
        (session,) = emulator.sessions
        await session.wait_for("session.ready")
        client.transport.abort()
        assert await session.wait_closed() == 1006
        assert not session.ended
        data = await start(http, emulator, sessionId=data["sessionId"])
        async with await dial(data["agentWsUrl"]) as client:
            await tell(client, MessageBuilder.session_ready())
            events = [await receive(client) for _ in range(3)]
            assert [e["event"] for e in events] == ["session.init", "scene.ready", "session.state"]
            assert session.closed is None
            await tell(client, MessageBuilder.session_stop())
            await client.wait_closed()
            assert client.close_code == 1000
        greetings = [e for e in session.transcript if '"input.text"' in str(e.data)]
        assert len(greetings) == 1


async def test_the_newer_connection_replaces_the_older(http: httpx.AsyncClient) -> None:
    async with LiveAvatarEmulator() as emulator:
        data = await start(http, emulator)
        async with await dial(data["agentWsUrl"]) as old:
            data = await start(http, emulator, sessionId=data["sessionId"])
            async with await dial(data["agentWsUrl"]) as new:
                await asyncio.wait_for(old.wait_closed(), 5)
                assert old.close_code == 1008
                assert (await receive(new))["event"] == "session.init"
                assert not emulator.sessions[0].ended


@pytest.mark.parametrize("session_id", ["stopped", "unknown", 5, []])
async def test_a_closed_session_is_not_restarted(
    http: httpx.AsyncClient, session_id: object
) -> None:
    async with LiveAvatarEmulator() as emulator:
        data = await start(http, emulator)
        if session_id == "stopped":
            session_id = data["sessionId"]
            await http.post(f"{emulator.base_url}/v1/session/stop", json={"sessionId": session_id})
            with pytest.raises(InvalidStatus):
                await dial(data["agentWsUrl"])
        url = f"{emulator.base_url}/v1/session/start"
        answer = await http.post(url, json=BODY | {"sessionId": session_id})
        assert (answer.status_code, answer.json()["code"]) == (403, 40007)


async def test_a_rest_stop_closes_the_connection(http: httpx.AsyncClient) -> None:
    async with LiveAvatarEmulator() as emulator:
        data = await start(http, emulator)
        stop = f"{emulator.base_url}/v1/session/stop"
        async with await dial(data["agentWsUrl"]) as client:
            answer = await http.post(stop, json={"sessionId": data["sessionId"]})
            assert answer.json()["code"] == 0
            await asyncio.wait_for(client.wait_closed(), 5)
            assert client.close_code == 1000
        assert emulator.sessions[0].stop_requests == 1
        assert (await http.post(stop, json={"sessionId": "none"})).status_code == 403
        assert (await http.post(stop, content=b"\xff")).status_code == 403


async def test_starts_fail_on_demand(http: httpx.AsyncClient) -> None:
    async with LiveAvatarEmulator() as emulator:
        emulator.fail_next_start(code=40001, times=2)
        emulator.fail_next_start(status=500)
        emulator.fail_next_start(html=True)
        emulator.fail_next_start(status=502, html=True)
        emulator.fail_next_start(agent_ws_url="")
        emulator.fail_next_start(agent_ws_url="ftp://there")
        url = f"{emulator.base_url}/v1/session/start"
        answers = [await http.post(url, json=BODY) for _ in range(8)]
        assert [answer.status_code for answer in answers] == [
            200,
            200,
            500,
            200,
            502,
            200,
            200,
            200,
        ]
        assert [answers[n].json()["code"] for n in (0, 1)] == [40001, 40001]
        assert answers[2].text == "fault on demand"
        assert answers[3].headers["content-type"].startswith("text/html")
        assert "agentWsUrl" not in answers[5].json()["data"]
        assert answers[6].json()["data"]["agentWsUrl"] == "ftp://there"
        assert answers[7].json()["data"]["agentWsUrl"].startswith("ws://")
        assert len(emulator.sessions) == 3


async def test_no_answer_lasts_until_the_emulator_ends(http: httpx.AsyncClient) -> None:
    async with LiveAvatarEmulator() as emulator:
        emulator.fail_next_start(no_answer=True, times=2)
        url = f"{emulator.base_url}/v1/session/start"
        with pytest.raises(httpx.ReadTimeout):
            await http.post(url, json=BODY, timeout=0.1)
        waiting = asyncio.create_task(http.post(url, json=BODY))
        async with asyncio.timeout(5):
            while emulator.faults.starts:  # noqa: ASYNC110 - the emulator tells nobody
                await asyncio.sleep(0)
    assert (await waiting).status_code == 503


async def test_init_is_withheld_on_demand(http: httpx.AsyncClient) -> None:
    async with LiveAvatarEmulator() as emulator:
        emulator.faults.withhold_init = True
        async with await dial((await start(http, emulator))["agentWsUrl"]) as client:
            await tell(client, MessageBuilder.session_ready())
            assert (await receive(client))["event"] == "scene.ready"


async def test_a_connection_closes_on_demand(http: httpx.AsyncClient) -> None:
    async with LiveAvatarEmulator(greeting=None) as emulator:
        emulator.faults.close_after_messages = 3
        emulator.faults.close_code = 4321
        async with await dial((await start(http, emulator))["agentWsUrl"]) as client:
            await tell(client, MessageBuilder.session_ready())
            await client.send(AudioFrame(payload=b"ab").pack())
            assert emulator.sessions[0].closed is None
            await client.send(b"\0")
            await asyncio.wait_for(client.wait_closed(), 5)
            assert client.close_code == 4321
        assert await emulator.sessions[0].wait_closed() == 4321


async def test_the_emulators_end_closes_the_sessions(http: httpx.AsyncClient) -> None:
    async with LiveAvatarEmulator() as emulator:
        client = await dial((await start(http, emulator))["agentWsUrl"])
    await asyncio.wait_for(client.wait_closed(), 5)
    assert client.close_code == 1001
    assert emulator.sessions[0].closed == 1001


async def test_what_was_received_is_recorded(http: httpx.AsyncClient, tmp_path: Path) -> None:
    directory = tmp_path / "new" / "rec"
    async with LiveAvatarEmulator(greeting=None, record_dir=directory) as emulator:
        data = await start(http, emulator)
        async with await dial(data["agentWsUrl"]) as client:
            await tell(client, MessageBuilder.session_ready())
            framer = PcmFramer(sample_rate=24000)
            frames = framer.frames(PCM) + framer.flush()
            for frame in frames:
                await client.send(frame)
            await client.close()
    name = data["sessionId"]
    chunks, format_ = read(directory / f"{name}.wav")
    assert (b"".join(chunks), format_) == (PCM, PcmFormat(24000))
    lines = [json.loads(line) for line in (directory / f"{name}.jsonl").read_text().splitlines()]
    # Sent and received interleave as they happen; within each the order is certain.
    received = [line for line in lines if line["direction"] == "received"]
    sent = [json.loads(line["data"])["event"] for line in lines if line["direction"] == "sent"]
    assert sent[0] == "session.init"
    assert json.loads(received[0]["data"]) == {"event": "session.ready"}
    assert [base64.b64decode(line["base64"]) for line in received[1:]] == frames
    assert received[1]["bytes"] == len(frames[0])
    times = [line["time_s"] for line in lines]
    assert times[0] == 0.0
    assert times == sorted(times)


async def test_each_format_has_a_recording(http: httpx.AsyncClient, tmp_path: Path) -> None:
    async with LiveAvatarEmulator(record_dir=tmp_path) as emulator:
        data = await start(http, emulator)
        async with await dial(data["agentWsUrl"]) as client:
            for rate in (16000, 24000):
                await client.send(PcmFramer(sample_rate=rate).frames(PCM)[0])
            await client.close()
    formats = [read(tmp_path / f"{data['sessionId']}-{n}.wav")[1] for n in (1, 2)]
    assert formats == [PcmFormat(16000), PcmFormat(24000)]


async def test_a_recording_that_fails_takes_nothing_down(
    http: httpx.AsyncClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "rec"
    async with LiveAvatarEmulator(record_dir=directory) as emulator:
        data = await start(http, emulator)
        async with await dial(data["agentWsUrl"]):
            directory.rmdir()
        await emulator.sessions[0].wait_closed()
        await start(http, emulator)
    assert "was not recorded" in caplog.text


async def test_a_user_speaks_in_real_time(http: httpx.AsyncClient, tmp_path: Path) -> None:
    path = tmp_path / "user.wav"
    write_wav(path, PCM[:3000], PcmFormat(16000))
    async with LiveAvatarEmulator(greeting=None, user_audio=path) as emulator:
        client = await dial((await start(http, emulator))["agentWsUrl"])
        await tell(client, MessageBuilder.session_ready())
        frames = []
        while len(frames) < 3 + 50:
            message = await asyncio.wait_for(client.recv(), 5)
            if isinstance(message, bytes):
                frames.append(AudioFrame.unpack(message))
        await client.close()
    # Two seconds of silence follow.
    assert b"".join(frame.payload for frame in frames) == PCM[:3000] + bytes(64000)
    assert [(f.sample_rate, f.seq, f.timestamp, f.samples) for f in frames[:3]] == [
        (0, 0, 0, 640),
        (0, 1, 40, 640),
        (0, 2, 80, 220),
    ]
    transcript = emulator.sessions[0].transcript
    ready = next(entry for entry in transcript if entry.direction == "received")
    # The third frame has its deadline 80 ms after the first, however late the first was.
    assert [e for e in transcript if e.kind == "binary"][2].time_s - ready.time_s >= 0.08


def test_a_user_is_heard_at_16_khz_only(tmp_path: Path) -> None:
    path = tmp_path / "user.wav"
    write_wav(path, PCM, PcmFormat(24000))
    with pytest.raises(AudioFormatError, match=r"24000 Hz mono, but a user is heard at 16000 Hz"):
        LiveAvatarEmulator(user_audio=path)


async def test_a_port_that_is_taken_is_an_oserror() -> None:
    async with LiveAvatarEmulator() as emulator:
        port = int(emulator.base_url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            await LiveAvatarEmulator(port=port).__aenter__()


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:9"), ("::", "http://[::1]:9")],  # noqa: S104
)
def test_an_address_that_nobody_can_dial_is_not_the_url(host: str, url: str) -> None:
    assert LiveAvatarEmulator(host=host, port=9).base_url == url


async def test_what_is_no_http_is_refused_and_not_quoted(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with LiveAvatarEmulator() as emulator:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(emulator.base_url.rpartition(":")[2])
        )
        writer.write(b"GET /?token=secret HTTP/9.9\r\n\r\n")
        assert b"400" in await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        await writer.wait_closed()
        await start(http, emulator)
    assert caplog.text.count("Error handling request from 127.0.0.1") == 1
    assert "secret" not in caplog.text


async def test_no_key_token_or_payload_is_logged(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    for other in ("httpx", "httpcore", "websockets"):  # the client's words are another room's
        caplog.set_level(logging.CRITICAL, other)
    caplog.set_level(logging.DEBUG)
    async with LiveAvatarEmulator(api_key="sk-test", greeting="secret words") as emulator:
        data = await start(http, emulator)
        async with await dial(data["agentWsUrl"]) as client:
            await tell(client, MessageBuilder.session_ready())
            await tell(client, MessageBuilder.response_chunk("q", "r", 0, 0, "secret words"))
            await tell(client, {"event": "odd\nname" + "x" * 100})
            await emulator.sessions[0].wait_for("odd\nname" + "x" * 100)
    assert "received response.chunk" in caplog.text
    for secret in ("sk-test", "secret words", data["agentWsUrl"].partition("=")[2]):
        assert secret not in caplog.text
    assert "odd\nname" not in caplog.text
