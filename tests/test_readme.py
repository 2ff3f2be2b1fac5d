"""The README is short, its program runs as it stands, and its figures can be written anew."""

import ast
import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

from websockets.asyncio.client import connect

from avatarwire.emulator import LiveAvatarEmulator

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_it_is_for_a_person_in_a_hurry():
    assert len(README.splitlines()) <= 170
    assert len(README.split()) <= 1300


def test_its_sections_stand_in_the_order_of_a_person_in_a_hurry():
    assert re.findall(r"^## (.*)$", README, re.MULTILINE) == [
        "Install",
        "A whole program",
        "What else it does",
        "In a clone",
        "How fast",
        "Who should not use this",
    ]


def program(folder):
    """Save the README's program as it says; return its text."""
    (source,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert "Save this as `agent.py`" in README
    (folder / "agent.py").write_text(source, "utf-8")
    return source


async def test_its_program_answers_the_user(tmp_path):
    source = program(tmp_path)
    async with LiveAvatarEmulator(greeting="Hello") as emulator:
        text = source.replace("http://127.0.0.1:8080", emulator.base_url)
        assert emulator.base_url in text
        (tmp_path / "agent.py").write_text(text, "utf-8")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-u", tmp_path / "agent.py"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            lines = [await process.stdout.readline() for _ in range(2)]
            await emulator.sessions[0].close()
            rest, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert [*lines, rest] == [
        b"the user says Hello\n",
        b"completed: 1400 of 1400 ms heard\n",
        b"",
    ]
    (session,) = emulator.sessions
    (turn,) = session.turns
    assert (turn.outcome, len(turn.pcm)) == ("finished", 1400 * 48)


async def type_hello(page):
    """Type, and once more when the agent was not connected yet, which the page is told."""
    await page.send(json.dumps({"type": "type", "text": "Hello"}))
    async for message in page:
        if isinstance(message, str) and json.loads(message)["type"] == "error":
            await asyncio.sleep(0.1)
            await page.send(json.dumps({"type": "type", "text": "Hello"}))


async def test_its_program_is_talked_to_in_its_page(tmp_path):
    program(tmp_path)
    (shown,) = re.findall(r"^\$ avatarwire (play .*)$", README, re.MULTILINE)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-u", "-m", "avatarwire", *shown.split(), "--port", "0"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        address = re.search(r"http://\S+", (await process.stdout.readline()).decode())[0]
        live = address.replace("http", "ws") + "playground/live"
        async with connect(live, proxy=None) as page:
            sessions = []
            while not sessions:
                message = await page.recv()
                told = json.loads(message) if isinstance(message, str) else {}
                sessions = told.get("sessions", [])
            await page.send(json.dumps({"type": "watch", "session": sessions[0]["id"]}))
            typing = asyncio.create_task(type_hello(page))
            lines = [await process.stdout.readline() for _ in range(2)]
            typing.cancel()
        process.terminate()
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert lines == [b"the user says Hello\n", b"completed: 1400 of 1400 ms heard\n"]


def test_its_picture_is_there():
    (path,) = re.findall(r"^!\[.+\]\((.+)\)$", README, re.MULTILINE)
    assert (ROOT / path).read_bytes().startswith(b"\x89PNG")
    assert (ROOT / path).stat().st_size < 300_000


def test_its_figures_are_those_that_bench_writes():
    tree = ast.parse((ROOT / "benchmarks" / "bench.py").read_text("utf-8"))
    values = {
        target.elts[0].id if isinstance(target, ast.Tuple) else target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
    }
    begin, end = ast.literal_eval(values["BEGIN"])
    assert (README.count(begin), README.count(end)) == (1, 1)
    figures = README.partition(begin)[2].partition(end)[0]
    rows = [
        line.split(" | ")[0].removeprefix("| ") for line in figures.splitlines() if "x |" in line
    ]
    assert rows == [line.elts[0].value for line in values["LINES"].elts]
