"""The REST calls, against the emulator and against servers that answer nonsense."""

import asyncio
import contextlib
import json
import pickle

import pytest

from avatarwire import AvatarAgentConfig, ErrorCode, SessionStartError
from avatarwire.liveavatar.rest import SessionApi
from avatarwire.transport import shared_client

KEY = "sk-secret-key"
GOOD = {"sessionId": "s-1", "sfuUrl": "wss://sfu", "userToken": "u-1", "agentWsUrl": "ws://h/a"}


@contextlib.asynccontextmanager
async def platform(*answers):
    """A server that gives these (status, body) answers in turn and keeps the requests."""
    requests = []
    pending = list(answers)
    handlers = set()

    async def serve(reader, writer):
        handlers.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.split("content-length: ")[1].split("\r\n")[0])
                requests.append((head, json.loads(await reader.readexactly(length))))
                status, body = pending.pop(0)
                payload = body if isinstance(body, bytes) else json.dumps(body).encode()
                writer.write(
                    b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s"
                    % (status, len(payload), payload)
                )
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/vih", requests
    finally:
        server.close()
        if handlers:
            await asyncio.wait(handlers, timeout=5)


@contextlib.asynccontextmanager
async def redirecting(location):
    """A server that has moved."""

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            f"HTTP/1.1 308 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        )
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@contextlib.asynccontextmanager
async def api_for(base_url, **changes):
    config = AvatarAgentConfig(KEY, "avatar-1", base_url=base_url, **{"timeout": 2.0, **changes})
    async with shared_client() as client:
        yield SessionApi(client, config)


async def test_start_asks_as_the_protocol_says():
    async with platform((200, {"code": 0, "data": GOOD})) as (url, requests):
        voice = {"speed": 1.2, "similarity_boost": 0.5, "pitch": None}
        async with api_for(f"{url}/", voice_id="v-1", voice_config=voice, sandbox=True) as api:
            result = await api.start()
    head, body = requests[0]
    assert head.startswith("post /vih/v1/session/start http/1.1\r\n")
    assert f"authorization: bearer {KEY}\r\n" in head
    assert "x-env-sandbox: true\r\n" in head
    assert body == {
        "avatarId": "avatar-1",
        "mode": "websocketAgent",
        "voiceId": "v-1",
        "voiceConfig": {"speed": 1.2, "similarityBoost": 0.5},
    }
    assert (result.session_id, result.sfu_url, result.user_token) == ("s-1", "wss://sfu", "u-1")
    assert (result.agent_token, result.agent_ws_url) == (None, "ws://h/a")


async def test_start_sends_what_the_platform_adds_next():
    answer = (200, {"code": 0, "data": GOOD})
    changes = {
        "mode": "nextMode",
        "external_audio_config": {"sampleRate": 44100, "channels": 2},
        "extra_start_fields": {"scene": {"id": 7}},
    }
    async with platform(answer) as (url, requests), api_for(url, **changes) as api:
        await api.start()
    assert requests[0][1] == {
        "avatarId": "avatar-1",
        "mode": "nextMode",
        "externalAudioConfig": {"sampleRate": 44100, "channels": 2},
        "scene": {"id": 7},
    }


async def test_start_sends_no_more_than_it_must():
    answer = (200, {"code": 0, "data": GOOD})
    async with platform(answer) as (url, requests), api_for(url) as api:
        await api.start()
    head, body = requests[0]
    assert "x-env-sandbox" not in head
    assert body == {"avatarId": "avatar-1", "mode": "websocketAgent"}


@pytest.mark.parametrize(
    ("status", "body", "code", "error_code", "words"),
    [
        (200, {"code": 40001, "message": "m"}, 40001, "NO_ORCHESTRATION_POD", "m"),
        (200, {"code": 40002, "message": "m"}, 40002, "NO_RENDERER_POD", "m"),
        (500, {"code": 40003, "message": "m"}, 40003, "SESSION_START_FAILED", "m"),
        (200, {"code": 40004, "message": "m"}, 40004, "PRINCIPAL_UNIDENTIFIED", "m"),
        (429, {"code": 40005, "message": "m"}, 40005, "CONCURRENCY_LIMIT_EXCEEDED", "m"),
        (200, {"code": 40006, "message": "m"}, 40006, "QUOTA_EXHAUSTED", "m"),
        (403, {"code": 40007, "message": "m"}, 40007, "SESSION_ACCESS_DENIED", "m"),
        (200, {"code": 40999, "message": "m"}, 40999, "SESSION_START_FAILED", "m"),
        (401, {"detail": "no"}, 401, "PRINCIPAL_UNIDENTIFIED", "HTTP 401"),
        (401, {"code": 1, "message": "bad key"}, 401, "PRINCIPAL_UNIDENTIFIED", "bad key"),
        (401, b"", 401, "PRINCIPAL_UNIDENTIFIED", "HTTP 401 without JSON: is api_key right"),
        (403, b"<html>", 403, "SESSION_ACCESS_DENIED", "HTTP 403 without JSON: perhaps a proxy"),
        (404, b"", 404, "SESSION_START_FAILED", "HTTP 404 without JSON: is base_url right"),
        (429, b"", 429, "SESSION_START_FAILED", "HTTP 429 without JSON: too many requests"),
        (503, b"", 503, "SESSION_START_FAILED", "HTTP 503 without JSON: it is down or overloaded"),
        (200, b"<html>hello</html>", 200, "SESSION_START_FAILED", "without JSON"),
        (302, b"", 302, "SESSION_START_FAILED", "HTTP 302"),
        (503, {"code": 0, "data": GOOD}, 503, "SESSION_START_FAILED", "HTTP 503"),
        (200, [], 200, "SESSION_START_FAILED", "HTTP 200"),
        (200, {"code": "0", "data": GOOD}, 200, "SESSION_START_FAILED", "HTTP 200"),
        (200, {"code": True}, 200, "SESSION_START_FAILED", "HTTP 200"),
        (200, {"code": 0}, 200, "SESSION_START_FAILED", 'lacks "data"'),
        (200, {"code": 40003, "message": f"key {KEY}"}, 40003, "SESSION_START_FAILED", r"\*\*\*"),
    ],
)
async def test_every_refusal_has_its_error(status, body, code, error_code, words):
    async with platform((status, body)) as (url, _), api_for(url) as api:
        with pytest.raises(SessionStartError, match=words) as caught:
            await api.start()
    assert caught.value.code == code
    assert caught.value.error_code is ErrorCode(error_code)
    assert str(caught.value).startswith(f"[{code}] {error_code}: ")
    assert KEY not in str(caught.value)
    about_the_key = {"PRINCIPAL_UNIDENTIFIED", "SESSION_ACCESS_DENIED"}
    if code == 403 or (code < 500 and code != 429 and error_code not in about_the_key):
        assert caught.value.setting == "base_url"
    else:
        assert caught.value.setting == ("api_key" if error_code in about_the_key else None)


async def test_a_platform_that_has_moved_says_where_to():
    moved = f"https://avatar.example.com/vih/v1/session/start?key={KEY}"
    async with redirecting(moved) as url, api_for(url) as api:
        with pytest.raises(SessionStartError) as caught:
            await api.start()
    assert str(caught.value) == (
        "[308] SESSION_START_FAILED: the platform answered HTTP 308, a redirect, which is not"
        " followed: is base_url right? it points to https://avatar.example.com/vih"
    )
    assert caught.value.setting == "base_url"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"sessionId": "s-1", "userToken": "u"}, "sfuUrl"),
        ({**GOOD, "userToken": 3}, "text for"),
        ({**GOOD, "agentWsUrl": 3}, "agentWsUrl"),
    ],
)
async def test_session_of_an_incomplete_answer_is_stopped(data, words):
    answers = (200, {"code": 0, "data": data}), (200, {"code": 0})
    async with platform(*answers) as (url, requests), api_for(url) as api:
        with pytest.raises(SessionStartError, match=words):
            await api.start()
    assert requests[1][0].startswith("post /vih/v1/session/stop ")
    assert requests[1][1] == {"sessionId": "s-1"}


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, {"code": "0", "message": "success", "data": GOOD}, 'without a number for "code"'),
        (200, {"message": "success", "data": GOOD}, 'without a number for "code"'),
        (
            503,
            {"code": 0, "message": "success", "data": GOOD},
            "HTTP 503 with code 0 and the words",
        ),
        (200, {"code": 200, "message": "success", "data": GOOD}, "with code 200 and the words"),
        (200, {"code": 40003, "message": "OK", "data": GOOD}, "with code 40003 and the words 'OK'"),
        (301, {"code": 0, "message": "success", "data": GOOD}, "HTTP 301"),
    ],
)
async def test_no_refusal_says_success_and_each_stops_the_session_it_names(status, body, words):
    answers = (status, body), (200, {"code": 0})
    async with platform(*answers) as (url, requests), api_for(url) as api:
        with pytest.raises(SessionStartError, match=words) as refused:
            await api.start()
    assert not str(refused.value).casefold().endswith(("success", "ok"))
    assert requests[1][0].startswith("post /vih/v1/session/stop ")
    assert requests[1][1] == {"sessionId": "s-1"}


async def test_a_refused_reconnection_stops_no_session():
    async with platform((200, {"code": "0", "data": GOOD})) as (url, requests), api_for(url) as api:
        with pytest.raises(SessionStartError):
            await api.start("s-1")
    assert len(requests) == 1


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_any_success_of_http_is_one(status):
    async with platform((status, {"code": 0, "data": GOOD})) as (url, _), api_for(url) as api:
        assert (await api.start()).session_id == "s-1"


async def test_a_byte_order_mark_is_passed_over():
    body = b"\xef\xbb\xbf" + json.dumps({"code": 0, "data": GOOD}).encode()
    async with platform((200, body)) as (url, _), api_for(url) as api:
        assert (await api.start()).session_id == "s-1"


async def test_no_answer_is_an_error_in_time(emulator):
    emulator.fail_next_start(no_answer=True)
    async with api_for(emulator.base_url, timeout=0.05) as api:
        with pytest.raises(
            SessionStartError, match=r"did not answer: no answer from .* within 0\.05 s"
        ) as e:
            await api.start()
    assert e.value.code == 0


async def test_nobody_there_is_an_error():
    async with platform() as (url, _):
        pass
    async with api_for(url) as api:
        with pytest.raises(SessionStartError) as failed:
            await api.start()
    address = url.removeprefix("http://").partition("/")[0]
    assert str(failed.value).startswith(
        f"[0] SESSION_START_FAILED: the platform did not answer: the request to {address} failed: "
    )
    assert str(failed.value).endswith(": is it running? check base_url")
    assert failed.value.advice not in failed.value.message
    assert failed.value.__suppress_context__
    copy = pickle.loads(pickle.dumps(failed.value))  # noqa: S301
    assert (str(copy), copy.advice) == (str(failed.value), failed.value.advice)


@pytest.mark.parametrize(
    ("answer", "words"),
    [((200, {"code": 40007}), "answered with 40007"), ((500, b""), "answered with HTTP 500")],
)
async def test_failed_stop_is_logged_not_raised(caplog, answer, words):
    async with platform(answer) as (url, _), api_for(url) as api:
        await api.stop("s-1")
    assert words in caplog.text


async def test_stop_without_a_platform_is_logged_not_raised(caplog):
    async with platform() as (url, _):
        pass
    async with api_for(url) as api:
        await api.stop("s-1")
    assert "session s-1: stopping it at the platform failed" in caplog.text
