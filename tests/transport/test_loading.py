"""The network libraries come off the loop; in a process of its own, where none is loaded yet."""

import asyncio
import subprocess
import sys
import threading

import pytest

from avatarwire.errors import ConnectFailedError
from avatarwire.transport import loading

PROGRAM = """
import asyncio, sys, threading
from importlib.abc import MetaPathFinder

HEAVY = ("httpx", "httpcore", "anyio", "websockets", "urllib.request", "http.cookiejar")
seen = {}

class Watch(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in HEAVY:
            seen[name] = threading.current_thread() is threading.main_thread()

sys.meta_path.insert(0, Watch())

from avatarwire import transport

async def refuse(reader, writer):
    writer.close()

async def main():
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert not seen
    try:
        WHAT
    except Exception as exc:
        print(type(exc).__name__)
    server.close()
    print(sorted(seen), any(seen.values()))

async def rest(port):
    async with transport.shared_client() as client:
        await transport.post_json(
            client, f"http://127.0.0.1:{port}/", {}, headers={"X": "1"}, timeout_s=5
        )

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("await rest(port)", "RestError"),
        (
            'await transport.connect(f"ws://127.0.0.1:{port}/", open_timeout_s=5)',
            "ConnectFailedError",
        ),
    ],
)
def test_the_libraries_are_loaded_in_a_thread(what, error):
    program = PROGRAM.replace("WHAT", what)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert run.stderr == ""
    names = ["anyio", "http.cookiejar", "httpcore", "httpx", "urllib.request", "websockets"]
    assert run.stdout.splitlines() == [error, f"{names} False"]


async def test_a_second_time_takes_no_thread(monkeypatch):
    await loading.load()
    monkeypatch.setattr(asyncio, "to_thread", None)
    await loading.load()


async def test_libraries_that_never_load_are_waited_for_no_longer_than_that(monkeypatch):
    goes_on = threading.Event()
    monkeypatch.setattr(loading, "_LIBRARIES", ("there_is_none",))
    monkeypatch.setattr(loading, "_load", goes_on.wait)
    monkeypatch.setattr(loading, "LOAD_LIMIT_S", 0.05)
    with pytest.raises(ConnectFailedError, match=r"did not load within 0\.05 s"):
        await loading.load()
    goes_on.set()
