"""The programs of ``examples/`` do what they say, as they stand."""

import array
import asyncio
import importlib.util
import math
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGINT, default_int_handler, signal

import httpx
import pytest

from avatarwire.emulator import LiveAvatarEmulator, LiveSession

EXAMPLES = Path(__file__).parents[1] / "examples"
KEY = "sk-very-secret"
#: A second of PCM, whatever the text: a synthesiser that every machine has.
ONE_LINER = [
    sys.executable,
    "-c",
    "import sys; sys.stdin.read(); sys.stdout.buffer.write(bytes(range(250)) * 128)",
]
ESPEAK = ["espeak-ng", "--stdout"]
SYNTHESISERS = [ONE_LINER, *([ESPEAK] if shutil.which("espeak-ng") else [])]


def environment(emulator: LiveAvatarEmulator) -> dict[str, str]:
    return os.environ | {
        "AVATARWIRE_URL": emulator.base_url,
        "AVATARWIRE_API_KEY": KEY,
        "AVATARWIRE_AVATAR_ID": "ava",
    }


@asynccontextmanager
async def example(
    emulator: LiveAvatarEmulator, name: str, *args: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", EXAMPLES / name, *args),
        env=environment(emulator),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(process: asyncio.subprocess.Process) -> str:
    output, errors = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, errors.decode()) == (0, "")
    return output.decode()


async def connected(emulator: LiveAvatarEmulator) -> LiveSession:
    async with asyncio.timeout(30):
        while not emulator.sessions:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0.01)
    await emulator.sessions[0].wait_for("session.ready", 30)
    return emulator.sessions[0]


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 30)).decode()


def test_every_example_is_listed_and_tested() -> None:
    here = Path(__file__).read_text("utf-8")
    listed = (EXAMPLES / "README.md").read_text("utf-8")
    names = sorted(path.name for path in EXAMPLES.glob("*.py"))
    assert len(names) == 8
    for name in names:
        assert f"| `{name}` |" in listed
        # An example for a framework is tested beside it.
        framework, _, _ = name.partition("_")
        beside = Path(__file__).parent / f"with_{framework}" / f"test_{framework}_example.py"
        assert f'"{name}"' in (beside.read_text("utf-8") if beside.exists() else here)


async def test_a_text_agent() -> None:
    async with (
        LiveAvatarEmulator(api_key=KEY, greeting=None) as emulator,
        example(emulator, "text_agent.py") as process,
    ):
        session = await connected(emulator)
        await session.send_text("Why? " * 200, "r1")  # seconds of answer
        await session.wait_for("response.chunk", 30)
        await session.send_text("And how?", "r2")
        assert await line(process) == "'And how?': FINISHED COMPLETED\n"
        await session.close()
        assert await ended(process) == ""
    first, second = session.turns
    assert (first.request_id, first.outcome) == ("r1", "interrupted")
    assert [event["event"] for event in session.events].count("response.cancel") == 1
    assert (second.request_id, second.outcome) == ("r2", "finished")
    assert second.text.startswith("You asked: And how? ")


@pytest.mark.parametrize("command", SYNTHESISERS, ids=lambda command: Path(command[0]).name)
async def test_the_voice_of_a_command(command: list[str]) -> None:
    async with (
        LiveAvatarEmulator(api_key=KEY, greeting=None) as emulator,
        example(emulator, "voice_of_a_command.py", "--sample-rate", "16000", *command) as process,
    ):
        session = await connected(emulator)
        await session.send_text("Hello", "r1")
        heard = await line(process)
        await session.close()
        await ended(process)
    assert heard.startswith("completed: ")
    (turn,) = session.turns
    assert (turn.request_id, turn.outcome) == ("r1", "finished")
    assert turn.format is not None
    if command is ONE_LINER:
        assert bytes(turn.pcm) == bytes(range(250)) * 128
    else:
        samples = array.array("h", bytes(turn.pcm))
        assert turn.format.sample_rate == 24000
        assert 0.3 < len(samples) / 24000 < 5
        assert max(samples) > 3000


async def test_a_command_that_fails_is_told() -> None:
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    async with (
        LiveAvatarEmulator(api_key=KEY) as emulator,
        example(emulator, "voice_of_a_command.py", *command) as process,
    ):
        assert await line(process) == f"{sys.executable} gave no sound\n"
        assert await line(process) == f"{sys.executable} failed: exit status 3\n"
        (session,) = emulator.sessions
        await session.close()
        assert await ended(process) == ""
    assert session.pcm == b""


async def test_a_command_that_is_not_there_is_told_at_once() -> None:
    async with (
        LiveAvatarEmulator(api_key=KEY) as emulator,
        example(emulator, "voice_of_a_command.py", "no-such-voice") as process,
    ):
        _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert b"no command 'no-such-voice' on this machine" in errors
    assert emulator.sessions == []


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """A shell lets what it runs in the background ignore Ctrl-C, and so would our examples."""
    before = signal(SIGINT, default_int_handler)
    yield
    signal(SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(
    "name", ["text_agent.py", "voice_of_a_command.py", "listening_agent.py", "many_sessions.py"]
)
async def test_ctrl_c_ends_it_without_a_traceback(name: str) -> None:
    command = [sys.executable] if name.startswith("voice") else []
    async with (
        LiveAvatarEmulator(api_key=KEY, greeting=None) as emulator,
        example(emulator, name, *command) as process,
    ):
        session = await connected(emulator)
        process.send_signal(SIGINT)
        await ended(process)
        assert await session.wait_closed() == 1000


async def test_a_listening_agent() -> None:
    tone = array.array("h", (int(9000 * math.sin(n / 5)) for n in range(16000))).tobytes()
    pause = bytes(8000)
    async with (
        LiveAvatarEmulator(api_key=KEY, greeting=None, user_audio=pause + tone) as emulator,
        example(emulator, "listening_agent.py") as process,
    ):
        session = await connected(emulator)
        heard = await line(process)
        await session.wait_for("response.done", 30)
        await session.close()
        await ended(process)
    assert heard in {
        f"heard about {seconds} seconds of speech\n" for seconds in ("1.0", "1.1", "1.2")
    }
    names = [event["event"] for event in session.events]
    assert names.index("input.voice.start") < names.index("input.voice.finish")
    assert names.index("input.voice.finish") < names.index("input.asr.final")
    assert session.turns[-1].text.startswith("I heard about 1.")


async def test_a_backend_for_the_browser(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("avatarwire.liveavatar.rest.RETRY_DELAY_S", (0, 0))
    spec = importlib.util.spec_from_file_location("backend", EXAMPLES / "browser_backend.py")
    assert spec is not None
    assert spec.loader is not None
    backend = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(backend)
    async with LiveAvatarEmulator(api_key=KEY) as emulator:
        for name, value in environment(emulator).items():
            monkeypatch.setenv(name, value)
        transport = httpx.ASGITransport(backend.app)
        async with (
            backend.lifespan(backend.app),
            httpx.AsyncClient(transport=transport, base_url="http://backend") as browser,
        ):
            page = (await browser.get("/")).text
            assert 'fetch("/sessions", {method: "POST"})' in page

            answers = [await browser.post("/sessions") for _ in range(2)]
            assert [answer.status_code for answer in answers] == [201, 201]
            for answer in answers:
                assert answer.json().keys() == {"session_id", "sfu_url", "user_token"}
            first, second = emulator.sessions
            await first.wait_for("response.done")
            assert first.turns[0].text == "You said: Hello"

            assert (await browser.delete(f"/sessions/{first.session_id}")).status_code == 204
            assert (await browser.delete(f"/sessions/{first.session_id}")).status_code == 404
            assert (first.stop_requests, second.stop_requests) == (1, 0)
            for code, times, status in ((40001, 4, 503), (40004, 1, 502)):
                emulator.fail_next_start(code=code, times=times)
                assert (await browser.post("/sessions")).status_code == status
                assert f"no session for a visitor: [{code}]" in caplog.text
        assert second.stop_requests == 1
    assert backend.agents == {}
    assert KEY not in page + "".join(answer.text for answer in answers)


async def test_many_sessions() -> None:
    async with (
        LiveAvatarEmulator(api_key=KEY, greeting=None) as emulator,
        example(emulator, "many_sessions.py", "20", "--seconds", "1") as process,
    ):
        output = await ended(process)
    assert output.startswith("20 sessions, 20.0 s of speech\n")
    assert len(emulator.sessions) == 20
    assert {len(session.pcm) for session in emulator.sessions} == {48000}
    assert {session.stop_requests for session in emulator.sessions} == {1}
