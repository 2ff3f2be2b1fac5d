"""What an error tracker sends and what pytest prints: no key, no token, no one-time URL."""

import asyncio
import contextlib
import logging
import subprocess
import sys
import traceback

import pytest
from aiohttp import web

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig, akool
from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator

KEY = "sk-5ecret-key-of-a-customer"
TOKEN = "0ne-time-t0ken-of-a-session"
USER_TOKEN = "us3r-token-of-a-browser"
SECRETS = (KEY, TOKEN, USER_TOKEN)


class Account:
    """Gives the key where no local of the tests' own frames holds it."""

    @property
    def key(self):
        return KEY


ACCOUNT = Account()


def with_locals(exc):
    """All that an error tracker sends: each error with its causes, and the locals of each frame."""
    told, todo, seen = [], [exc], set()
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        todo += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
        lines = traceback.TracebackException.from_exception(one, capture_locals=True, compact=False)
        told.append("".join(lines.format()))
    return "\n".join(told)


def shown(text):
    return [secret for secret in SECRETS if secret in text]


@contextlib.asynccontextmanager
async def platform(data=None, *, status=200, code=0, message="success", then=None):
    """A platform whose answer is this; its WebSocket does what ``then`` does."""

    async def start(_request):
        body = {"code": code, "message": message, "data": data}
        return web.json_response(body, status=status)

    async def live(request):
        if then is None:
            return web.Response(status=403)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await then(socket)
        return socket

    app = web.Application()
    app.router.add_post("/v1/session/{what}", start)
    app.router.add_get("/live", live)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    if data is not None and data["agentWsUrl"]:
        data["agentWsUrl"] = data["agentWsUrl"].replace("HERE", url.replace("http", "ws"))
    yield url
    await runner.cleanup()


async def failed_start(url, **changes):
    config = AvatarAgentConfig(
        ACCOUNT.key, "avatar-1", base_url=url, timeout=0.5, start_retries=0, **changes
    )
    with pytest.raises(Exception, match=r".") as failed:
        await AvatarAgent(config, AgentListener()).start()
    return failed.value


def answer(**changes):
    data = {"sessionId": "s-1", "sfuUrl": "https://sfu", "userToken": USER_TOKEN}
    return {**data, "agentWsUrl": f"HERE/live?token={TOKEN}", **changes}


async def quoting(socket):
    await socket.close(code=4001, message=f"key {KEY} and {TOKEN} refused".encode())


async def silent(_socket):
    await asyncio.sleep(2)


CASES = {
    "refused, quoting the key": {"code": 40003, "message": f"no such key: {KEY}"},
    "no data": {"data": None},
    "an answer that lacks something": {"data": answer(sfuUrl=None)},
    "an answer of another type": {"data": answer(agentToken=3)},
    "a wrong status": {"data": answer(), "status": 503},
    "no URL": {"data": answer(agentWsUrl=None)},
    "not a URL": {"data": answer(agentWsUrl=f"wss://[{TOKEN}")},
    "another scheme": {"data": answer(agentWsUrl=f"https://h/{TOKEN}")},
    "a URL that the library refuses": {"data": answer(agentWsUrl=f"ws://h/#{TOKEN}")},
    "a name that nobody knows": {"data": answer(agentWsUrl=f"ws://a.invalid/{TOKEN}")},
    "nobody there": {"data": answer(agentWsUrl=f"ws://127.0.0.1:9/{TOKEN}")},
    "a refused WebSocket": {"data": answer()},
    "no session.init": {"data": answer(), "then": silent},
    "a close that quotes": {"data": answer(), "then": quoting},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_start_that_fails(case, caplog):
    caplog.set_level(logging.DEBUG)
    case = {**case, "data": case["data"] and dict(case["data"])} if "data" in case else case
    async with platform(**case) as url:
        error = await failed_start(url)
    del case
    assert shown(with_locals(error)) == []
    assert shown(caplog.text) == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9", "https://127.0.0.1:9", "http://a.invalid", "https://a.invalid"]
)
async def test_a_platform_that_is_not_there(url):
    assert shown(with_locals(await failed_start(url))) == []


@pytest.mark.parametrize("proxy", ["http", "socks5", "nonsense"])
async def test_a_proxy_with_a_password(proxy, monkeypatch):
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("all_proxy", f"{proxy}://me:{TOKEN}@127.0.0.1:9")
    assert shown(with_locals(await failed_start("http://avatar.invalid"))) == []


async def test_a_close_that_quotes_the_key_reaches_no_callback():
    told = []

    class Listener(AgentListener):
        async def on_closed(self, code, reason):
            told.append((code, reason))

    async with LiveAvatarEmulator(greeting=None) as emulator:
        config = AvatarAgentConfig(ACCOUNT.key, "avatar-1", base_url=emulator.base_url)
        async with AvatarAgent(config, Listener()) as agent:
            await emulator.sessions[0].close(4000, f"bad key {KEY}")
            await agent.wait_closed()
            with pytest.raises(Exception, match="has ended") as failed:
                await agent.send_prompt("hello")
    assert told == [(4000, "bad key ***")]
    assert shown(with_locals(failed.value)) == []


async def test_what_a_session_says_of_its_end_quotes_nothing():
    told = []

    class Listener(AgentListener):
        async def on_error(self, code, message):
            told.append((code, message))

        async def on_session_closing(self, reason):
            told.append(reason)

    async def then(socket):
        await socket.send_json({"event": "session.init", "data": {"sessionId": "s-1"}})
        await socket.receive()
        words = {"code": KEY, "message": f"{KEY} and {TOKEN} and {USER_TOKEN} expired"}
        await socket.send_json({"event": "error", "data": words})
        await socket.send_json({"event": "session.closing", "data": {"reason": f"{KEY}: bad"}})
        await socket.receive()

    async with platform(answer(), then=then) as url:
        config = AvatarAgentConfig(ACCOUNT.key, "avatar-1", base_url=url)
        async with AvatarAgent(config, Listener()) as agent:
            await agent.wait_closed()
    assert told == [("***", "*** and *** and *** expired"), "***: bad"]


async def test_akool(monkeypatch):
    def client(url, **changes):
        return akool.StreamingAvatarClient(
            ACCOUNT.key, "avatar-1", url, max_retry_attempts=1, connection_timeout=1, **changes
        )

    async with AkoolEmulator() as emulator:
        for wire in ("envelope", "flat"):
            emulator.refuse_next(403)
            with pytest.raises(akool.AkoolStreamingAvatarError) as refused:
                await client(emulator.discovery_url, wire=wire).connect()
            assert shown(with_locals(refused.value)) == []
    for changes in ({}, {"server_url": "127.0.0.1:9"}, {"server_url": "a.invalid"}):
        with pytest.raises(akool.AkoolStreamingAvatarError) as failed:
            await client("http://127.0.0.1:9/", **changes).connect()
        assert shown(with_locals(failed.value)) == []


# pytest's own explanations

COMPARISONS = f"""
import dataclasses

import pytest

from avatarwire import AvatarAgentConfig, SessionStartResult
from avatarwire.akool.config import ClientConfig


@pytest.fixture
def pairs():
    config = AvatarAgentConfig("{KEY}", "avatar")
    result = SessionStartResult("s", "https://sfu", "{USER_TOKEN}", "{TOKEN}", "wss://h/{TOKEN}")
    client = ClientConfig(api_key="{KEY}", avatar_id="avatar")
    other = "another"
    return [
        (config, dataclasses.replace(config, api_key=other)),
        (config, dataclasses.replace(config, avatar_id=other)),
        (result, dataclasses.replace(result, user_token=other)),
        (result, dataclasses.replace(result, agent_ws_url=other)),
        (client, dataclasses.replace(client, api_key=other)),
    ]


@pytest.mark.parametrize("number", range(5))
def test_one(pairs, number):
    left, right = pairs[number]
    assert left == right


@pytest.mark.parametrize("number", range(5))
def test_in_a_list(pairs, number):
    left, right = pairs[number]
    assert [left] == [right]
    assert {{"a": left}} == {{"a": right}}
"""


@pytest.mark.parametrize("verbose", ["-q", "-vv"])
def test_what_pytest_says_of_two_that_differ(verbose, tmp_path):
    source = tmp_path / "test_pairs.py"
    source.write_text(COMPARISONS)
    command = [sys.executable, "-m", "pytest", verbose, "--showlocals", "--tb=long"]
    run = subprocess.run(
        [*command, "-p", "no:cacheprovider", str(source)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    # The fixture is not shown: what is printed is what pytest found out itself.
    assert "10 failed" in run.stdout
    assert shown(run.stdout + run.stderr) == []


# base_url and --url with a name and a password


@pytest.mark.parametrize(
    "url", [f"https://me:{TOKEN}@h", f"https://{TOKEN}@h/x", f"ftp://me:{TOKEN}@h", f"me:{TOKEN}@h"]
)
def test_a_base_url_with_a_password_is_refused_unquoted(url):
    with pytest.raises(ValueError, match="base_url") as refused:
        AvatarAgentConfig(ACCOUNT.key, "avatar", base_url=url)
    assert refused.value.setting == "base_url"
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("platform_name", ["liveavatar", "akool"])
@pytest.mark.parametrize("command", ["doctor", "stream"])
def test_the_command_echoes_no_password(command, platform_name):
    words = [command, "--platform", platform_name, "--url", f"https://me:{TOKEN}@a.invalid"]
    words += ["--api-key", KEY, "--avatar-id", "a"] + (["-"] if command == "stream" else [])
    run = subprocess.run(
        [sys.executable, "-m", "avatarwire", *words],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert run.returncode != 0
    assert shown(run.stdout + run.stderr) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: AvatarAgentConfig(api_key=ACCOUNT.key, avatar_id="a", timeout=-1),
        lambda: AvatarAgentConfig(ACCOUNT.key, ""),
        lambda: AvatarAgentConfig(ACCOUNT.key, "a", base_url="ftp://host"),
        lambda: AvatarAgentConfig(api_key=ACCOUNT.key + "\n", avatar_id="a"),
        lambda: AvatarAgentConfig(api_key=ACCOUNT.key, avatar_id="a", unknown=1),
        lambda: AvatarAgent({"api_key": "of no use"}, AgentListener()),
        lambda: akool.StreamingAvatarClient(ACCOUNT.key, ""),
        lambda: akool.StreamingAvatarClient(ACCOUNT.key, "a", env="nowhere"),
        lambda: akool.StreamingAvatarClient(ACCOUNT.key, "a", server_url="ftp://host"),
        lambda: asyncio.run(akool.create_client(ACCOUNT.key, "a", max_retry_attempts=-1)),
    ],
)
def test_what_is_refused_when_it_is_made(make):
    with pytest.raises((ValueError, TypeError, akool.AkoolStreamingAvatarError)) as caught:
        make()
    assert shown(with_locals(caught.value)) == []


async def test_an_agora_parameter_that_is_refused():
    client = akool.StreamingAvatarClient("any", "any")
    with pytest.raises(akool.AkoolStreamingAvatarError) as caught:
        await client.set_agora_params("app", "channel", ACCOUNT.key, 1.5)
    assert shown(with_locals(caught.value)) == []
