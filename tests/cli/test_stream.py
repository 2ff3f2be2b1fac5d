import asyncio
import json
import struct
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from commands import COMMAND, WITHOUT_SETTINGS, run_command

from avatarwire.audio import PcmFormat, read, write_wav
from avatarwire.cli.app import run
from avatarwire.cli.speech import Received
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


async def test_one_command_hears_back_what_it_sent(sound: Path, tmp_path: Path) -> None:
    code, output, errors = await stream(sound, "--save", tmp_path / "out.wav")
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert [line.split()[0] for line in lines] == [
        "platform",
        "frames",
        "audio",
        "outcome",
        "lateness",
        "CPU",
        "platform",
        "PCM",
    ]
    assert [line for line in lines if line != line.rstrip()] == []
    assert lines[1].split() == ["frames", "6"]
    assert "0.20 s, 24000 Hz mono" in lines[2]
    assert lines[3].split() == ["outcome", "completed"]
    assert "identical" in lines[7]
    assert b"".join(read(tmp_path / "out.wav")[0]) == PCM


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="needs /dev/stdin")
@pytest.mark.parametrize("file", ["-", "/dev/stdin"])
async def test_a_pipe_is_streamed(file: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("stream", file, "--no-pace", "--json"),
        env=WITHOUT_SETTINGS,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    fmt = struct.pack("<IHHIIHH", 16, 1, 1, 24000, 48000, 2, 16)
    header = b"RIFF\xff\xff\xff\xffWAVEfmt " + fmt + b"data\xff\xff\xff\xff"
    output, errors = await asyncio.wait_for(process.communicate(header + PCM), 30)
    assert (process.returncode, errors) == (0, b"")
    assert json.loads(output)["identical"] is True


@pytest.mark.parametrize(
    ("rate", "channels", "sent_rate"), [(16000, 1, 16000), (48000, 2, 48000), (22050, 1, 24000)]
)
async def test_json_is_all_there_is(
    tmp_path: Path, rate: int, channels: int, sent_rate: int
) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, PCM, PcmFormat(rate, channels))
    code, output, errors = await stream(path, "--json")
    assert (code, errors) == (0, "")
    figures = json.loads(output)
    assert figures["identical"] is True
    assert (figures["sample_rate"], figures["channels"]) == (rate, channels)
    assert figures["sent_sample_rate"] == sent_rate
    seconds = len(PCM) / (rate * channels * 2)
    assert figures["audio_s"] == pytest.approx(seconds, abs=0.001)
    assert figures["frames"] == -(-round(seconds * sent_rate) // (sent_rate // 25))
    assert figures["playout"]["reason"] == "completed"
    assert figures["platform_heard"]["stale_frames"] == 0


async def test_an_interrupt_after_a_while(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, PCM * 30, PcmFormat(24000))
    code, output, errors = await stream(path, "--interrupt-after", "0.5", "--json")
    assert (code, errors) == (0, "")
    figures = json.loads(output)
    playout = figures["playout"]
    assert playout["reason"] == "interrupted"
    assert playout["written_ms"] == pytest.approx(playout["sent_ms"] + playout["dropped_ms"])
    assert playout["dropped_ms"] > 1000
    assert figures["platform_heard"]["stale_frames"] == 0
    assert figures["identical"] is True


async def test_an_interrupt_that_comes_too_late_is_told(sound: Path) -> None:
    code, output, errors = await stream(sound, "--interrupt-after", "100", "--no-pace")
    assert (code, errors) == (0, "")
    assert "outcome          completed, before the interrupt after 100 s\n" in output
    assert "lateness" not in output  # nothing had a deadline


async def test_a_turn_that_nobody_confirms_is_a_failure(
    sound: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("avatarwire.streaming.stream.PLAYOUT_GRACE_S", 0.2)
    async with LiveAvatarEmulator(greeting=None) as emulator:
        emulator.faults.stop_reading_after = 5
        for name, value in use(emulator).items():
            monkeypatch.setenv(name, value)
        assert await asyncio.to_thread(run, ["stream", str(sound)]) == 1
    output, errors = capsys.readouterr()
    assert "timed out: 0.20 s sent, 0.00 s dropped, not known to have been played\n" in output
    assert errors.startswith("avatarwire: the platform never said that it had played the file; see")
    assert errors.count("\n") == 1


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


async def test_without_pace_and_with_a_lead(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, PCM * 8, PcmFormat(24000))
    drift_ms = []
    for options in (["--no-pace"], ["--lead-ms", "200"]):
        code, output, errors = await stream(path, *options, "--json")
        assert (code, errors) == (0, "")
        drift_ms.append(json.loads(output)["platform_heard"]["drift_ms"])
    # 1.6 s of sound: all of it at once, and never more than the lead ahead.
    assert drift_ms[0] < -400
    assert drift_ms[1] > -220


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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--url", "http://x", "--avatar-id", "a"], "set AVATARWIRE_API_KEY or --api-key"),
        (["--url", "http://x", "--api-key", "k"], "set AVATARWIRE_AVATAR_ID or --avatar-id"),
        (
            ["--url", "http://x", "--api-key", "k", "--avatar-id", "a", "--save", "o.wav"],
            "--save works with the local platform only",
        ),
        (["--url", "no-url", "--api-key", "k", "--avatar-id", "a"], "--url must be an http://"),
        (
            ["--url", "http://x"],
            "set AVATARWIRE_API_KEY or --api-key; AVATARWIRE_AVATAR_ID or --avatar-id.",
        ),
        (["--api-key", "k"], "without --url there is no use for --api-key: name a platform"),
        (["--api-key", "k", "--avatar-id", "a"], "no use for --api-key, --avatar-id"),
        (["--no-pace", "--lead-ms", "200"], "with --no-pace there is no use for --lead-ms"),
        (["--env", "prod"], "with --platform liveavatar there is no use for --env"),
        (["--agora-uid", "7"], "add --platform akool, or leave this out"),
        (["--nonsense"], "No such option"),
    ],
)
def test_wrong_use_is_one_line(
    sound: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["stream", str(sound), *options]) == 2
    output, errors = capsys.readouterr()
    assert (output, errors.count("\n")) == ("", 1)
    assert errors.startswith("avatarwire: ")
    assert words in errors
    assert errors.endswith("See: avatarwire stream --help\n")


def test_a_missing_file_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["stream", "none.wav"]) == 2
    assert "File 'none.wav' does not exist" in capsys.readouterr().err


def test_what_is_no_sound_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"no sound at all")
    assert run(["stream", str(path)]) == 1
    output, errors = capsys.readouterr()
    assert (output, errors.count("\n")) == ("", 1)
    assert "a.wav" in errors


async def test_a_result_that_cannot_be_saved_is_one_line(sound: Path, tmp_path: Path) -> None:
    target = tmp_path / "none" / "out.wav"
    code, _, errors = await stream(sound, "--save", target)
    assert code == 1
    assert errors == f"avatarwire: cannot write {target}: its folder does not exist\n"


async def test_nobody_there_is_one_line(sound: Path) -> None:
    async with LiveAvatarEmulator() as emulator:
        settings = use(emulator)
    code, output, errors = await stream(sound, **settings)
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert errors.startswith(f"avatarwire: no session at {emulator.base_url}: ")
    assert "check --url" in errors
    assert "base_url" not in errors


async def test_an_account_of_the_environment_waits_for_a_url(sound: Path) -> None:
    environment = {"AVATARWIRE_API_KEY": "sk-test", "AVATARWIRE_AVATAR_ID": "ava"}
    code, _, errors = await stream(sound, "--no-pace", **environment)
    assert (code, errors) == (0, "")


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


async def test_other_pcm_than_was_sent_is_a_failure(
    sound: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "avatarwire.cli.on_liveavatar.LiveAvatarJob.received",
        lambda self: Received(b"other!", None),
    )
    assert await asyncio.to_thread(run, ["stream", str(sound)]) == 1
    output, errors = capsys.readouterr()
    assert "DIFFERENT (6 bytes of 9728)" in output
    assert errors == "avatarwire: the platform received other PCM than the file holds\n"


def test_ctrl_c_ends_quietly(
    sound: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(work: object) -> None:
        work.close()  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    monkeypatch.setattr("avatarwire.cli.stream.asyncio.run", interrupt)
    options = ["--url", "http://x", "--api-key", "k", "--avatar-id", "a"]
    assert run(["stream", str(sound), *options]) == 130
    assert capsys.readouterr() == ("", "")
