"""``avatarwire play``: an agent of the user's, as its page meets it."""

import asyncio
import contextlib
import json
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, Signals
from typing import Any

import pytest
from commands import COMMAND, WITHOUT_SETTINGS, run_command
from websockets.asyncio.client import ClientConnection, connect

AGENT = """
from avatarwire import AgentListener


class Speaker(AgentListener):
    async def on_text_input(self, text, request_id):
        if text == "bye":
            await self.agent.stop()
            return
        async with self.agent.response_stream(request_id) as answer:
            await answer.send_chunk(f"You said {text}")

    async def on_closed(self, code, reason):
        print("closed with", code, flush=True)


def speaker():
    return Speaker()


one = Speaker()


class Greeter:
    async def on_agora_connected(self, channel):
        async with self.agent.audio_stream(sample_rate=16000) as stream:
            await stream.write(bytes(3200))
        print("greeted:", (await stream.wait_playout()).reason, flush=True)


class Needy(Speaker):
    def __init__(self, model):
        self.model = model


class Closed:
    __slots__ = ()

    async def on_text_input(self, text, request_id):
        pass


number = 3
"""
FIRST = re.compile(
    r"See, hear and talk in a browser: (http://127\.0\.0\.1:\d+)/ \(Ctrl-C ends it\)\n"
)


@pytest.fixture(autouse=True)
def _agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agent.py").write_text(AGENT, "utf-8")
    monkeypatch.chdir(tmp_path)


@contextlib.asynccontextmanager
async def playing(
    *args: str, **environment: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("play", "--port", "0", *args),
        env=WITHOUT_SETTINGS | {"PYTHONDONTWRITEBYTECODE": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        found = FIRST.fullmatch((await process.stdout.readline()).decode())
        assert found is not None
        yield process, found[1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def until(page: ClientConnection, **fields: object) -> dict[str, Any]:
    """Return the next message that has these fields, itself or in its record."""
    async with asyncio.timeout(20):
        while True:
            message = await page.recv()
            if isinstance(message, str):
                told = json.loads(message)
                if fields.items() <= {**told, **told.get("record", {})}.items():
                    return dict(told)


async def watched(page: ClientConnection, known: tuple[str, ...] = ()) -> str:
    """Watch the first session that is not known; return its id."""
    while True:
        told = await until(page, type="sessions")
        for session in told["sessions"]:
            if session["is_connected"] and session["id"] not in known:
                await page.send(json.dumps({"type": "watch", "session": session["id"]}))
                await until(page, kind="snapshot")
                return str(session["id"])


async def say(page: ClientConnection, words: str) -> None:
    await page.send(json.dumps({"type": "type", "text": words}))


async def end(process: asyncio.subprocess.Process, number: int) -> tuple[int | None, str, str]:
    process.send_signal(number)
    output, errors = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.parametrize("name", ["Speaker", "speaker", "one"])
async def test_what_is_typed_in_the_page_is_answered(name: str) -> None:
    async with (
        playing(f"agent:{name}") as (process, url),
        connect(url.replace("http", "ws") + "/playground/live") as page,
    ):
        await watched(page)
        await say(page, "Good morning")
        told = await until(page, kind="text", dir="recv", name="response.chunk")
        assert told["record"]["json"]["data"]["text"] == "You said Good morning"
        assert await end(process, SIGTERM) == (0, "closed with 1000\n\nEnded after 1 session\n", "")


@pytest.mark.parametrize("number", [SIGINT, SIGTERM, SIGHUP])
async def test_a_signal_stops_the_session(number: Signals) -> None:
    async with (
        playing("agent:Speaker") as (process, url),
        connect(url.replace("http", "ws") + "/playground/live") as page,
    ):
        await watched(page)
        code, output, errors = await end(process, number)
        assert (code, errors) == (0, "")
        assert output == "closed with 1000\n\nEnded after 1 session\n"


async def test_after_the_end_of_a_session_the_next_one_begins() -> None:
    async with (
        playing("agent:Speaker") as (process, url),
        connect(url.replace("http", "ws") + "/playground/live") as page,
    ):
        first = await watched(page)
        await say(page, "bye")
        await watched(page, (first,))
        await say(page, "Again?")
        told = await until(page, kind="text", dir="recv", name="response.chunk")
        assert told["record"]["json"]["data"]["text"] == "You said Again?"
        code, output, errors = await end(process, SIGTERM)
    assert (code, errors) == (0, "")
    assert "The session has ended with 1000" in output
    assert output.endswith("\nEnded after 2 sessions\n")


async def test_an_akool_avatar() -> None:
    async with playing("agent:Greeter", "--platform", "akool") as (process, _):
        assert process.stdout is not None
        assert await process.stdout.readline() == b"greeted: completed\n"
        assert await end(process, SIGTERM) == (0, "\nEnded after 1 session\n", "")


async def test_the_page_is_opened_when_asked_for(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{tmp_path}/opened"\n', "utf-8")
    browser.chmod(0o755)
    opened = tmp_path / "opened"
    async with playing("agent:Speaker", "--browser", BROWSER=f"{browser} %s") as (_, url):
        async with asyncio.timeout(20):
            while not (opened.exists() and opened.read_text("utf-8")):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert opened.read_text("utf-8") == f"{url}/\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["agent:Speakr"], "agent has no Speakr; there is Speaker. See: avatarwire play --help"),
        (["agent:number"], "agent:number is no listener of Live Avatar: it has no on_text_input, "),
        (["agent:Speaker", "--platform", "akool"], "agent:Speaker is no listener of Akool: it has"),
        (["agent:Needy"], "agent:Needy cannot be made: TypeError: "),
        (["agent:Closed"], "agent:Closed cannot be given its agent"),
    ],
)
async def test_what_is_no_listener_is_refused(args: list[str], words: str) -> None:
    code, output, errors = await run_command("play", *args, PYTHONDONTWRITEBYTECODE="1")
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert errors.startswith(f"avatarwire: {words}")


async def test_a_port_that_is_taken_is_one_line() -> None:
    async with playing("agent:Speaker") as (_, url):
        port = url.rpartition(":")[2]
        code, output, errors = await run_command("play", "agent:Speaker", "--port", port)
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert errors.startswith(f"avatarwire: cannot listen on 127.0.0.1 port {port}: ")
