import asyncio
import contextlib
import dataclasses
import json
import logging
import ssl
import threading
import time

import httpx
import pytest
import trustme
from raw_peer import logged, told

from avatarwire.errors import RestError
from avatarwire.transport import Response, get_json, post_json, rest, shared_client

KEY = "sk-5ecret"
HEADERS = {"Authorization": f"Bearer {KEY}"}


class Platform:
    """Answers each request with the same bytes, or behaves worse."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.connections = 0
        self.open = {}

    async def accept(self, reader, writer):
        self.connections += 1
        self.open[asyncio.current_task()] = writer
        with contextlib.suppress(
            asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError
        ):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int((*head.lower().split(b"content-length: "), b"0")[1].split(b"\r\n")[0])
                self.requests.append((head, await reader.readexactly(size)))
                if callable(self.answer):
                    await self.answer(writer)
                else:
                    writer.write(self.answer)
                if b"close" in head.lower():
                    break
        writer.close()


@contextlib.asynccontextmanager
async def platform(answer, *, tls=None):
    state = Platform(answer)
    server = await asyncio.start_server(state.accept, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    state.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/session/start"
    try:
        yield state
    finally:
        server.close()
        for task, writer in state.open.items():
            task.cancel()
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        if state.open:
            await asyncio.wait(state.open)
        await server.wait_closed()


def http(status=b"200 OK", body=b"", extra=b""):
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, extra, len(body), body)


async def post(url, body=None, *, headers=HEADERS, timeout_s=30.0, ssl_context=None):
    async with shared_client(ssl_context) as client:
        return await post_json(client, url, body or {}, headers=headers, timeout_s=timeout_s)


@pytest.fixture
def everything_logged(caplog):
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection", "hpack"):
        caplog.set_level(logging.DEBUG, name)
    return caplog


# post_json


async def test_an_answer(everything_logged):
    async with platform(http(body=b'{"code":0,"data":{"sessionId":"s"}}')) as state:
        answer = await post(state.url, {"avatarId": "ä"}, headers={**HEADERS, "X-Env": "true"})
    assert answer == Response(200, {"code": 0, "data": {"sessionId": "s"}})
    ((head, body),) = state.requests
    assert head.startswith(b"POST /v1/session/start HTTP/1.1\r\n")
    lines = head.lower().split(b"\r\n")
    for line in (
        f"authorization: bearer {KEY}".encode(),
        b"x-env: true",
        b"content-type: application/json",
        b"accept-encoding: identity",
    ):
        assert line in lines
    assert json.loads(body) == {"avatarId": "ä"}
    everything = logged(everything_logged.records)
    assert "send_request_headers.started" in everything
    assert KEY not in everything


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (http(b"401 No", b'{"code":40004}'), Response(401, {"code": 40004})),
        (http(b"403 No"), Response(403, None)),
        (http(b"500 Oops", b"<html>sorry</html>"), Response(500, None)),
        (http(b"200 OK", b"<html>log in</html>"), Response(200, None)),
        (http(b"200 OK", b"\xff\xfe"), Response(200, None)),
        (http(b"200 OK", b'{"code":'), Response(200, None)),
        (http(b"200 OK", b"[1]"), Response(200, [1])),
        (http(b"302 Found", b"", b"Location: http://127.0.0.1:1/\r\n"), Response(302, None)),
    ],
)
async def test_any_complete_answer_is_an_outcome(answer, expected, everything_logged):
    async with platform(answer) as state:
        assert await post(state.url) == expected
    assert len(state.requests) == 1
    assert KEY not in logged(everything_logged.records)


@pytest.mark.parametrize(
    ("status", "location", "shown"),
    [
        ("301", "https://h.test/v1/x", "https://h.test/v1/x"),
        ("302", "https://user:hush@h.test:8443/a?token=hush#hush", "https://h.test:8443/a"),
        ("307", "/v2/x", "http://127.0.0.1:PORT/v2/x"),
        ("308", "//h.test/", "http://h.test/"),
        ("308", "https://h.test/\u00e9".encode().decode("latin-1"), "https://h.test/%C3%A9"),
        ("308", "http://[::1]:8443/x", "http://[::1]:8443/x"),
        ("200", "https://h.test/", None),
    ],
)
async def test_where_a_redirect_points_is_told_without_its_secrets(status, location, shown):
    head = f"Location: {location}\r\n".encode("latin-1")
    async with platform(http(f"{status} X".encode(), b"", head)) as state:
        answer = await post(state.url)
    port = state.url.split(":")[2].split("/")[0]
    assert answer.location == (shown and shown.replace("PORT", port))
    assert "hush" not in repr(answer)


async def failure(url, **options):
    with pytest.raises(RestError) as failed:
        await post(url, **options)
    assert KEY not in told(failed.value)
    return str(failed.value)


async def test_no_answer_in_time(everything_logged):
    async def nothing(_):
        await asyncio.Event().wait()

    async with platform(nothing) as state:
        address = state.url.removeprefix("http://").partition("/")[0]
        words = await failure(state.url, timeout_s=0.1)
        assert words == f"no answer from {address} within 0.1 s"
    assert KEY not in logged(everything_logged.records)


async def test_an_answer_that_trickles_has_the_same_limit(everything_logged):
    async def trickle(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with platform(trickle) as state:
        assert "within 0.2 s" in await failure(state.url, timeout_s=0.2)


async def test_an_answer_without_end():
    async def flood(writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(2**16))
            await writer.drain()

    async with platform(flood) as state:
        assert "longer than 1048576 bytes" in await failure(state.url)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        KEY.encode() + b" hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        http(b"302 Found", b"", b"Location: ::nonsense:://[\r\n"),
    ],
)
async def test_bad_http(answer):
    async def broken(writer):
        writer.write(answer)
        writer.close()

    async with platform(broken) as state:
        assert await failure(state.url) == "the platform's answer is not proper HTTP"


async def test_refused(everything_logged):
    async with platform(b"") as state:
        pass
    address = state.url.removeprefix("http://").partition("/")[0]
    words = await failure(state.url)
    assert words.startswith(f"the request to {address} failed: ")
    assert KEY not in logged(everything_logged.records)


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        (f"http://name:{KEY}@127.0.0.1:1/{KEY}?token={KEY}", "127.0.0.1:1"),
        ("http://[::1]:1/", "[::1]:1"),
    ],
)
async def test_who_was_asked_in_vain_is_told_and_nothing_else(url, endpoint):
    with pytest.raises(RestError) as failed:
        await post(url)
    assert str(failed.value).startswith(f"the request to {endpoint} failed: ")
    # Nor is it one of several tracebacks: what lies below says no more.
    assert (failed.value.__cause__, failed.value.__context__) == (None, None)
    assert KEY not in told(failed.value)


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
def test_a_port_that_goes_without_saying_is_told(scheme, port):
    assert rest._endpoint(httpx.URL(f"{scheme}://h/")) == f"h:{port}"


@pytest.mark.parametrize(
    "url", ["", "nonsense", "http://", "ftp://h/", "http://h:99999/", "http://h:x/", "http://[/"]
)
async def test_no_url(url):
    words = await failure(url)
    assert "URL" in words or words.startswith("the request to ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", f"Bearer {KEY}\n"),
        ("Authorization", f"Bearer {KEY}\r\nX: y"),
        ("Authorization", f"Bearer {KEY} "),
        ("Authorization", f"Bearer {KEY}ü"),
        ("Authorization", f"Bearer\0{KEY}"),
        ("Authorization", ""),
        (f"bad name {KEY}", "x"),
        ("", "x"),
    ],
)
async def test_headers_that_http_does_not_allow(name, value, everything_logged):
    async with platform(http()) as state:
        assert "request header" in await failure(state.url, headers={name: value})
    assert state.connections == 0
    assert KEY not in logged(everything_logged.records)


async def test_a_body_that_is_no_json():
    with pytest.raises(TypeError):
        await post("http://127.0.0.1:1/", {"a": object()})


async def test_a_response_shows_no_body():
    assert "token" not in repr(Response(200, {"agentToken": "token"}))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Response(200, None).status = 1


async def test_cancelling_a_call_leaves_a_client_that_works():
    slow = asyncio.Event()

    async def answer(writer):
        slow.set()
        if len(state.requests) == 1:
            await asyncio.Event().wait()
        writer.write(http(body=b"1"))

    async with platform(answer) as state, shared_client() as client:
        call = asyncio.create_task(post_json(client, state.url, {}, headers=HEADERS, timeout_s=5))
        await slow.wait()
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        answer_two = await post_json(client, state.url, {}, headers=HEADERS, timeout_s=5)
        assert answer_two == Response(200, 1)


# shared_client


async def test_one_client_for_all_and_the_last_closes_it():
    async with shared_client() as first:
        async with shared_client() as second:
            assert second is first
        assert not first.is_closed
    assert first.is_closed
    assert len(rest._clients) == 0
    async with shared_client() as third:
        assert third is not first
        assert not third.is_closed


async def test_users_in_many_tasks():
    seen = set()
    together = asyncio.Barrier(20)

    async def user():
        async with shared_client() as client:
            seen.add(client)
            await together.wait()
            assert not client.is_closed

    await asyncio.gather(*(user() for _ in range(20)))
    assert len(seen) == 1
    assert seen.pop().is_closed


async def test_an_error_of_a_user_releases_the_client():
    with pytest.raises(ZeroDivisionError):
        async with shared_client() as client:
            raise ZeroDivisionError
    assert client.is_closed


async def test_tls_settings_have_a_client_each():
    context = ssl.create_default_context()
    async with shared_client() as plain, shared_client(context) as own:
        assert own is not plain
        async with shared_client(context) as again:
            assert again is own
        assert not own.is_closed
    assert len(rest._clients) == 0


async def test_connections_are_reused_and_cookies_are_not_kept():
    answer = http(body=b"{}", extra=b"Set-Cookie: account=1; Path=/\r\n")
    async with platform(answer) as state, shared_client():
        for _ in range(3):
            await post(state.url)
    assert state.connections == 1
    assert not any(b"cookie" in head.lower() for head, _ in state.requests)


def test_every_loop_has_its_own():
    clients = []

    async def main():
        async with shared_client() as client:
            clients.append(client)

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(clients)) == 4
    assert all(client.is_closed for client in clients)


async def test_a_dead_loop_leaves_nothing_behind():
    def abandon():
        loop = asyncio.new_event_loop()
        lent = shared_client()
        loop.run_until_complete(lent.__aenter__())
        loop.close()
        return lent

    lent = await asyncio.to_thread(abandon)
    assert len(rest._clients) == 1
    async with shared_client():
        assert list(rest._clients) == [asyncio.get_running_loop()]
    assert len(rest._clients) == 0
    del lent


async def test_a_proxy_of_the_environment_is_not_used_on_loopback(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with platform(http(body=b"1")) as state:
        assert await post(state.url) == Response(200, 1)


async def test_tls(everything_logged):
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_tls)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    async with platform(http(body=b"1"), tls=server_tls) as state:
        assert await post(state.url, ssl_context=trust) == Response(200, 1)
        words = await failure(state.url)
        assert "certificate of 127.0.0.1:" in words
        assert "ssl_context or SSL_CERT_FILE" in words
    assert KEY not in logged(everything_logged.records)


def test_httpcore_still_names_a_request_by_its_method_only():
    request = httpx.Request("POST", "https://h/", headers=HEADERS)
    assert KEY not in repr(request)
    assert KEY not in repr(request.headers)


async def test_get_has_a_query_and_no_body():
    async with platform(http(body=b'{"code": 1000}')) as server, shared_client() as client:
        answer = await get_json(
            client, server.url, params={"avatar_id": "a b"}, headers={"api_key": KEY}, timeout_s=5
        )
    assert (answer.status, answer.body) == (200, {"code": 1000})
    ((head, body),) = server.requests
    assert head.startswith(b"GET /v1/session/start?avatar_id=a+b HTTP/1.1\r\n")
    assert b"\r\napi_key: sk-5ecret\r\n" in head
    assert (body, b"content-type" in head.lower()) == (b"", False)


async def test_get_refuses_a_header_before_anything_is_sent():
    async with shared_client() as client:
        with pytest.raises(RestError, match="characters that HTTP does not allow") as failed:
            await get_json(
                client, "http://127.0.0.1:1", params={}, headers={"api_key": "a\nb"}, timeout_s=5
            )
    assert "a\nb" not in str(failed.value)


# Turns


class Crowd:
    """Counts the calls that are under way at a platform, and answers each when told."""

    def __init__(self):
        self.now = self.most = 0
        self.order = []
        self.full = asyncio.Event()
        self.go = asyncio.Event()
        self.open = {}

    async def accept(self, reader, writer):
        self.open[asyncio.current_task()] = writer
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(2)
                self.order.append(int(head.split(b"/")[1].split(b" ")[0]))
                self.now += 1
                self.most = max(self.most, self.now)
                if self.now == rest.MAX_CALLS:
                    self.full.set()
                await self.go.wait()
                self.now -= 1
                writer.write(http(body=b"1"))
        writer.close()


@contextlib.asynccontextmanager
async def crowd():
    state = Crowd()
    server = await asyncio.start_server(state.accept, "127.0.0.1", 0)
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield state
    finally:
        server.close()
        for writer in state.open.values():
            writer.transport.abort()
        state.go.set()
        await asyncio.wait(state.open)
        await server.wait_closed()


async def calls(state, numbers, *, ssl_context=None, timeout_s=5.0):
    async with shared_client(ssl_context) as client:
        return await asyncio.gather(
            *(
                post_json(client, f"{state.url}/{n}", {}, headers=HEADERS, timeout_s=timeout_s)
                for n in numbers
            ),
            return_exceptions=True,
        )


async def test_a_loop_has_a_limit_of_calls_whatever_they_trust(monkeypatch):
    monkeypatch.setattr(rest, "MAX_CALLS", 4)
    async with crowd() as state:
        own = ssl.create_default_context()
        work = asyncio.gather(calls(state, range(20)), calls(state, range(20, 40), ssl_context=own))
        await state.full.wait()
        await asyncio.sleep(0.05)
        assert state.now == 4
        state.go.set()
        answers = [each for group in await work for each in group]
        assert answers == [Response(200, 1)] * 40
        assert state.most == 4


async def test_first_come_first_served(monkeypatch):
    monkeypatch.setattr(rest, "MAX_CALLS", 1)
    async with crowd() as state:
        state.go.set()
        await calls(state, range(20))
        assert state.order == list(range(20))


async def test_waiting_for_a_turn_is_not_the_platforms_time(monkeypatch):
    monkeypatch.setattr(rest, "MAX_CALLS", 1)

    async def slow(writer):
        await asyncio.sleep(0.1)
        writer.write(http(body=b"1"))

    async with platform(slow) as state, shared_client() as client:
        answers = await asyncio.gather(
            *(post_json(client, state.url, {}, headers=HEADERS, timeout_s=0.3) for _ in range(6))
        )
    assert answers == [Response(200, 1)] * 6


async def test_a_call_that_is_given_up_leaves_its_turn(monkeypatch):
    monkeypatch.setattr(rest, "MAX_CALLS", 1)
    async with crowd() as state, shared_client() as client:
        first, second, third = (
            asyncio.create_task(
                post_json(client, f"{state.url}/{n}", {}, headers=HEADERS, timeout_s=5)
            )
            for n in range(3)
        )
        await state.full.wait()
        second.cancel()
        first.cancel()
        await asyncio.wait([first, second])
        state.go.set()
        assert await third == Response(200, 1)
        assert state.order == [0, 2]


async def test_a_thousand_calls_together_do_not_hold_up_the_loop():
    async with crowd() as state:
        state.go.set()
        longest_s = 0.0

        async def watch():
            # By the thread's own work, which other processes do not lengthen.
            nonlocal longest_s
            while True:
                begun_s = time.thread_time()
                await asyncio.sleep(0.001)
                longest_s = max(longest_s, time.thread_time() - begun_s)

        watching = asyncio.create_task(watch())
        answers = await calls(state, range(1000), timeout_s=20)
        watching.cancel()
    assert answers == [Response(200, 1)] * 1000
    assert state.most <= rest.MAX_CALLS
    print(f"held up for {longest_s * 1000:.0f} ms at the most")  # noqa: T201 - for pytest -s
    assert longest_s < 0.4


# Calls that are given up


async def give_up(client, url, after_turns):
    call = asyncio.create_task(post_json(client, url, {}, headers=HEADERS, timeout_s=5.0))
    for _ in range(after_turns):
        await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])


async def test_calls_that_are_given_up_take_no_place_of_others():
    async with platform(http(body=b"{}")) as state, shared_client() as client:
        for after_turns in [*range(1, 41), *range(1, 41)]:
            await give_up(client, state.url, after_turns)
        calls = (post(state.url) for _ in range(2 * rest.MAX_CALLS))
        assert [answer.status for answer in await asyncio.gather(*calls)] == [200] * 64


async def test_after_many_of_them_another_client_takes_over(monkeypatch):
    monkeypatch.setattr(rest, "MOST_GIVEN_UP", 3)
    async with platform(http(body=b"{}")) as state, shared_client() as client:
        assert (await post(state.url)).status == 200
        (first,) = client._ways.values()
        for _ in range(3):
            await give_up(client, state.url, 3)
        assert first.client.is_closed
        assert not client._retired
        assert (await post(state.url)).status == 200
        (second,) = client._ways.values()
        assert second is not first
        assert not second.client.is_closed


async def test_certificates_that_are_never_read_are_part_of_the_call_s_time(monkeypatch):
    async def never(ssl_context):
        await asyncio.Event().wait()

    monkeypatch.setattr(rest.environment, "trust", never)
    async with shared_client() as client:
        with pytest.raises(RestError, match=r"no answer from 127\.0\.0\.1:443 within 0\.05 s"):
            await asyncio.wait_for(
                post_json(client, "https://127.0.0.1", {}, headers=HEADERS, timeout_s=0.05), 5
            )
