"""``avatarwire stream`` with Live Avatar, against platforms that refuse and fail."""

import asyncio
import json
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from commands import run_command

from avatarwire.audio import PcmFormat, write_wav
from avatarwire.cli.app import run
from avatarwire.codec import AudioFrame
from avatarwire.emulator import Faults, LiveAvatarEmulator
from avatarwire.liveavatar.messages import MessageBuilder

PCM = bytes(range(256)) * 38  # 203 ms at 24 kHz: five frames and a short one


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.wav"
    write_wav(path, PCM, PcmFormat(24000))
    return path


async def stream(*args: object, **environment: str) -> tuple[int | None, str, str]:
    return await run_command("stream", *args, **environment)


def use(emulator: LiveAvatarEmulator) -> dict[str, str]:
    return {
        "AVATARWIRE_URL": emulator.base_url,
        "AVATARWIRE_API_KEY": "sk-test",
        "AVATARWIRE_AVATAR_ID": "ava",
    }


async def test_another_platform_by_environment(sound: Path) -> None:
    async with LiveAvatarEmulator(api_key="sk-test", greeting=None) as emulator:
        code, output, errors = await stream(sound, "--voice-id", "v", "--sandbox", **use(emulator))
        assert (code, errors) == (0, "")
        assert "not compared" in output
        (session,) = emulator.sessions
        assert session.start_requests[0]["avatarId"] == "ava"
        assert session.start_requests[0]["voiceId"] == "v"
        assert session.sandbox is True
        assert session.closed == 1000
        (turn,) = session.turns
        assert (turn.pcm, turn.outcome) == (PCM, "finished")
        received = [e for e in session.transcript if e.direction == "received"]
        frames = [(e.time_s, AudioFrame.unpack(e.data)) for e in received if e.kind == "binary"]
        assert [frame.timestamp for _, frame in frames] == [0, 40, 80, 120, 160, 200]
        names = [json.loads(e.data)["event"] for e in received if e.kind == "text"]
        assert names == [
            "session.ready",
            "response.audio.start",
            "response.audio.finish",
            "session.stop",
        ]


async def test_nobody_there_is_one_line(sound: Path) -> None:
    async with LiveAvatarEmulator() as emulator:
        settings = use(emulator)
    code, output, errors = await stream(sound, **settings)
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert errors.startswith(f"avatarwire: no session at {emulator.base_url}: ")
    assert "check --url" in errors
    assert "base_url" not in errors


async def test_a_start_that_is_tried_again_is_told(sound: Path) -> None:
    async with LiveAvatarEmulator(greeting=None) as emulator:
        emulator.fail_next_start(code=40001)
        code, _, errors = await stream(sound, "--no-pace", **use(emulator))
    assert code == 0
    assert errors.startswith("the start failed ([40001] NO_ORCHESTRATION_POD: ")
    assert "once more in " in errors


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"code": 40004}, "PRINCIPAL_UNIDENTIFIED"),
        ({"code": 40005}, "end another session first"),
        ({"status": 401}, "HTTP 401 without JSON; check --api-key or AVATARWIRE_API_KEY\n"),
        ({"status": 404}, "HTTP 404 without JSON; check --url, and that"),
        ({"status": 403}, "may use this avatar"),
        ({"html": True}, "check --url"),
        ({"agent_ws_url": ""}, "agentWsUrl"),
        ({"agent_ws_url": "ftp://x"}, "failed"),
        ({"agent_ws_url": "ws://127.0.0.1:9"}, "no proxy or firewall keeps WebSockets out"),
    ],
)
async def test_a_platform_that_refuses_is_one_line(
    sound: Path, fault: dict[str, object], words: str
) -> None:
    async with LiveAvatarEmulator() as emulator:
        emulator.fail_next_start(**fault)  # type: ignore[arg-type]
        code, output, errors = await stream(sound, **use(emulator))
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert words in errors
    assert "sk-test" not in errors


async def test_a_session_that_is_lost_is_one_line(sound: Path) -> None:
    async with LiveAvatarEmulator(greeting=None) as emulator:
        emulator.faults.close_after_messages = 4
        code, output, errors = await stream(sound, **use(emulator))
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert f"the session at {emulator.base_url} failed: " in errors
    assert "(close code 1011: fault on demand); run it again, and" in errors


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (
            {"cut_after_frames": 2},
            "the connection was lost without a goodbye (close code 1006); check the network",
        ),
        ({"token_life_s": 0}, "HTTP 403; the address that the platform gave is spent, expired or"),
        ({"handshakes": deque([1011])}, "run it again"),
    ],
)
async def test_a_session_that_fails_says_what_to_do(
    sound: Path, faults: dict[str, Any], words: str
) -> None:
    async with LiveAvatarEmulator(greeting=None, faults=Faults(**faults)) as emulator:
        code, output, errors = await stream(sound, **use(emulator))
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert words in errors


@pytest.mark.parametrize("asked_for", [False, True])
async def test_an_interrupt_of_the_platforms_is_a_failure(tmp_path: Path, asked_for: bool) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, PCM * 30, PcmFormat(24000))
    options = ["--interrupt-after", "0.2"] if asked_for else []
    async with LiveAvatarEmulator(greeting=None) as emulator:
        streaming = asyncio.create_task(stream(path, *options, **use(emulator)))
        while not emulator.sessions:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await emulator.sessions[0].wait_for("response.audio.start", 30)
        if not asked_for:
            await emulator.sessions[0].send_event(MessageBuilder.control_interrupt())
        code, output, errors = await streaming
    assert "interrupted: " in output
    assert code == (0 if asked_for else 1)
    assert ("somebody speaks to this avatar" in errors) is not asked_for


async def test_a_turn_that_nobody_confirms_is_a_failure(
    sound: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("avatarwire.liveavatar.turns.PLAYOUT_GRACE_S", 0.2)
    async with LiveAvatarEmulator(greeting=None) as emulator:
        emulator.faults.stop_reading_after = 5
        for name, value in use(emulator).items():
            monkeypatch.setenv(name, value)
        assert await asyncio.to_thread(run, ["stream", str(sound)]) == 1
    output, errors = capsys.readouterr()
    assert "timed out: 0.20 s sent, 0.00 s dropped, not known to have been played\n" in output
    assert errors.startswith("avatarwire: the platform never said that it had played the file; see")
    assert errors.count("\n") == 1
