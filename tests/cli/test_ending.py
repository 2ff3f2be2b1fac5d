"""What signals do to every command: the first ends it in order, the second at once."""

import array
import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, Signals

import click
import pytest
from commands import COMMAND, WITHOUT_SETTINGS
from ended import Ended

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig, Recorder
from avatarwire.audio import PcmFormat, read, write_wav
from avatarwire.cli.ending import SAME_END_S, Ending
from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator

ACCOUNT = ["--api-key", "any", "--avatar-id", "any"]
AGORA = [f"--agora-{name}=any" for name in ("app-id", "channel", "token", "uid")]


@pytest.fixture
def long_sound(tmp_path: Path) -> str:
    write_wav(tmp_path / "long.wav", bytes(48000 * 30), PcmFormat(24000))
    return str(tmp_path / "long.wav")


@contextlib.asynccontextmanager
async def running(
    *args: str, wrapper: tuple[str, ...] = ()
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *wrapper,
        *COMMAND,
        *args,
        env=WITHOUT_SETTINGS,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def until(holds: Callable[[], object], timeout_s: float = 60) -> None:
    async with asyncio.timeout(timeout_s):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def end(process: asyncio.subprocess.Process, number: int) -> tuple[int | None, str, str]:
    process.send_signal(number)
    output, errors = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.parametrize("number", [SIGINT, SIGTERM, SIGHUP])
async def test_stream_stops_its_session(long_sound: str, number: Signals) -> None:
    async with LiveAvatarEmulator(greeting=None) as emulator:
        args = ["stream", long_sound, "--url", emulator.base_url, *ACCOUNT]
        async with running(*args) as process:
            await until(lambda: emulator.sessions and emulator.sessions[0].pcm)
            assert await end(process, number) == (128 + number, "", "")
        (session,) = emulator.sessions
        assert (session.ended, session.stop_requests, session.closed) == (True, 1, 1000)


@pytest.mark.parametrize("number", [SIGTERM, SIGHUP])
async def test_stream_leaves_akool(long_sound: str, number: Signals) -> None:
    async with AkoolEmulator() as emulator:
        url = ["--url", emulator.discovery_url]
        args = ["stream", long_sound, "--platform", "akool", *url, *ACCOUNT, *AGORA]
        async with running(*args) as process:
            await until(lambda: emulator.sessions and emulator.sessions[0].pcm)
            assert await end(process, number) == (128 + number, "", "")
        assert emulator.sessions[0].left == "client_disconnect"


@pytest.mark.parametrize("number", [SIGINT, SIGTERM, SIGHUP])
async def test_the_doctor_stops_its_session(number: Signals) -> None:
    async with LiveAvatarEmulator(greeting=None) as emulator:
        async with running("doctor", "--url", emulator.base_url, *ACCOUNT) as process:
            await until(lambda: emulator.sessions and emulator.sessions[0].pcm)
            code, output, errors = await end(process, number)
        assert (code, errors) == (128 + number, "")
        assert "failed" not in output
        assert (emulator.sessions[0].ended, emulator.sessions[0].stop_requests) == (True, 1)


@pytest.mark.parametrize("number", [SIGINT, SIGTERM, SIGHUP])
async def test_serve_closes_its_recordings(
    long_sound: str, tmp_path: Path, number: Signals
) -> None:
    recordings = tmp_path / "rec"
    args = ["serve", "liveavatar", "--port", "0", "--record", str(recordings)]
    async with running(*args) as server:
        assert server.stdout is not None
        url = (await server.stdout.readline()).decode().split()[4]
        async with running("stream", long_sound, "--url", url, *ACCOUNT) as client:
            while b"audio.start" not in await server.stdout.readline():
                pass
            await asyncio.sleep(0.5)
            code, output, errors = await end(server, number)
            assert (code, errors) == (0, "")
            assert output.endswith(f"Ended after 1 session; recordings are in {recordings}\n")
            assert "recorded in" in output
            await client.communicate()
            assert client.returncode == 1
    (wav,) = recordings.glob("*.wav")
    chunks, format_ = read(wav)
    assert (len(b"".join(chunks)) > 0, format_) == (True, PcmFormat(24000))
    (transcript,) = recordings.glob("*.jsonl")
    assert transcript.read_text().endswith("}\n")


@pytest.mark.parametrize("number", [SIGINT, SIGTERM, SIGHUP])
async def test_standard_input_that_never_comes(number: Signals) -> None:
    reading, writing = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *("stream", "-"),
            env=WITHOUT_SETTINGS,
            stdin=reading,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        os.write(writing, b"RIFF")
        await _wait_until_read(writing)
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 20) == 128 + number
    finally:
        os.close(reading)
        os.close(writing)


async def _wait_until_read(pipe: int) -> None:
    """Wait until nothing of what was written to a pipe is left in it."""
    left = array.array("i", [1])
    async with asyncio.timeout(60):
        while left[0]:
            await asyncio.sleep(0.01)
            fcntl.ioctl(pipe, termios.FIONREAD, left)


#: At the first, Python itself is still loading: its own answer to a signal is all there is.
MOMENTS_S = [0.3, 0.9, 1.6]


@pytest.mark.parametrize(
    "command", ["stream", "stream of Akool", "doctor", "bench", "serve", "replay", "inspect"]
)
async def test_a_signal_at_any_moment(command: str, tmp_path: Path) -> None:
    """It ends in order and without a traceback, and nothing is left at the platform."""
    write_wav(tmp_path / "a.wav", bytes(48000), PcmFormat(24000))
    recording = str(tmp_path / "rec")
    async with LiveAvatarEmulator(greeting=None) as emulator, AkoolEmulator() as akool:
        await record_a_session(emulator.base_url, recording)
        url = ["--url", emulator.base_url, *ACCOUNT]
        sound = str(tmp_path / "a.wav")
        args = {
            "stream": ["stream", sound, *url],
            "stream of Akool": [
                *("stream", sound, "--platform", "akool", "--url", akool.discovery_url),
                *ACCOUNT,
                *AGORA,
            ],
            "doctor": ["doctor", *url],
            "bench": ["bench", "--quick"],
            "serve": ["serve", "akool", "--port", "0"],
            "replay": ["replay", recording, *url],
            "inspect": ["inspect", recording, "--html", str(tmp_path / "page.html")],
        }[command]
        for number, moment_s in zip([SIGINT, SIGTERM, SIGHUP], MOMENTS_S, strict=True):
            async with running(*args) as process:
                await asyncio.sleep(moment_s)
                if process.returncode is None:
                    process.send_signal(number)
                _, errors = await asyncio.wait_for(process.communicate(), 30)
                assert process.returncode in {0, -number, 128 + number}
                assert process.returncode == -number or not errors.strip(), errors
        await until(lambda: all(session.ended for session in emulator.sessions))
        await until(lambda: all(session.left is not None for session in akool.sessions))


async def record_a_session(url: str, folder: str) -> None:
    agent = AvatarAgent(AvatarAgentConfig("any", "any", base_url=url), AgentListener())
    with Recorder(folder, session=agent):
        await agent.start()
        async with agent.audio_stream() as stream:
            await stream.write(bytes(48000))
        await agent.stop()


SLOW = """
import asyncio
from avatarwire.cli.ending import Ending

async def work():
    print("begun", flush=True)
    try:
        await asyncio.sleep(60)
    finally:
        print("ending", flush=True)
        await asyncio.sleep(60)

with Ending() as ending:
    ending.run(work)
"""


@pytest.mark.parametrize(
    ("first", "second"), [(SIGINT, SIGINT), (SIGTERM, SIGINT), (SIGHUP, SIGTERM), (SIGTERM, SIGHUP)]
)
def test_a_second_signal_ends_at_once(first: Signals, second: Signals) -> None:
    with Ended([sys.executable, "-c", SLOW], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(first)
        assert process.stdout.readline() == b"ending\n"
        time.sleep(2 * SAME_END_S)
        assert process.poll() is None
        process.send_signal(second)
        assert process.wait(5) == 128 + second


async def test_two_signals_of_one_end_are_one(long_sound: str) -> None:
    """As systemd sends them, and a terminal that closes."""
    async with LiveAvatarEmulator(greeting=None) as emulator:
        args = ["stream", long_sound, "--url", emulator.base_url, *ACCOUNT]
        async with running(*args) as process:
            await until(lambda: emulator.sessions and emulator.sessions[0].pcm)
            process.send_signal(SIGTERM)
            assert await end(process, SIGHUP) in {(143, "", ""), (129, "", "")}
        assert emulator.sessions[0].stop_requests == 1


async def test_nohup_is_heard(long_sound: str) -> None:
    wrapper = ("sh", "-c", 'trap "" HUP; exec "$@"', "sh")
    async with LiveAvatarEmulator(greeting=None) as emulator:
        args = ["stream", long_sound, "--url", emulator.base_url, *ACCOUNT]
        async with running(*args, wrapper=wrapper) as process:
            await until(lambda: emulator.sessions and emulator.sessions[0].pcm)
            process.send_signal(SIGHUP)
            await asyncio.sleep(0.5)
            assert process.returncode is None
            assert not emulator.sessions[0].ended
            assert (await end(process, SIGTERM))[0] == 143


def test_the_handlers_of_before_come_back() -> None:
    before = [signal.getsignal(number) for number in (SIGINT, SIGTERM, SIGHUP)]
    with Ending() as ending:
        assert signal.getsignal(SIGTERM) is not before[1]
        assert ending.exit_code == 130
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), SIGTERM)
        assert (ending.number, ending.exit_code) == (SIGTERM, 143)
    assert [signal.getsignal(number) for number in (SIGINT, SIGTERM, SIGHUP)] == before


def test_work_that_passes_over_its_cancellation_is_told_as_ended() -> None:
    async def stubborn() -> int:
        os.kill(os.getpid(), SIGTERM)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(10)
        return 0

    with Ending() as ending, pytest.raises(click.Abort):
        ending.run(stubborn)
    assert ending.exit_code == 143


def test_another_thread_leaves_signals_alone() -> None:
    before = signal.getsignal(SIGTERM)
    seen: list[object] = []

    async def work() -> str:
        return "done"

    def elsewhere() -> None:
        with Ending() as ending:
            seen.extend((signal.getsignal(SIGTERM), ending.run(work)))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [before, "done"]
