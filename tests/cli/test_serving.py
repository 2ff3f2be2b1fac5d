import asyncio
import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

import httpx
import pytest
from ended import Ended

from avatarwire.akool import StreamingAvatarClient
from avatarwire.audio import PcmFormat, read, write_wav
from avatarwire.cli.app import run
from avatarwire.emulator import Faults, LiveAvatarEmulator

COMMAND = [sys.executable, "-W", "error", "-m", "avatarwire"]
PCM = bytes(range(256)) * 30


def test_user_audio_of_any_format_reaches_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = tmp_path / "a.wav"
    write_wav(sound, PCM, PcmFormat(48000, 2))
    made = []

    def emulator(**options: object) -> None:
        made.append(options)
        raise OSError("enough")

    monkeypatch.setattr("avatarwire.cli.platforms.liveavatar.LiveAvatarEmulator", emulator)
    with pytest.raises(OSError, match="enough"):
        run(["serve", "liveavatar", "--user-audio", str(sound)])
    assert len(made[0]["user_audio"]) == len(PCM) // 6  # type: ignore[arg-type]


@pytest.mark.parametrize("signal", [SIGINT, SIGTERM])
def test_it_serves_logs_and_records_until_it_is_stopped(tmp_path: Path, signal: Signals) -> None:
    sound, recordings = tmp_path / "a.wav", tmp_path / "rec"
    write_wav(sound, PCM, PcmFormat(24000))
    command = [*COMMAND, "serve", "liveavatar", "--port", "0", "--record", str(recordings)]
    if signal is SIGTERM:  # as a script's background job, which starts with Ctrl-C ignored
        command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command]
    with Ended(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        first = server.stdout.readline()
        found = re.fullmatch(
            r"Live Avatar platform at (http://127.0.0.1:\d+) \(Ctrl-C ends it\)\n", first
        )
        assert found is not None
        options = ["--url", found[1], "--api-key", "any", "--avatar-id", "any"]
        streamed = subprocess.run(
            [*COMMAND, "stream", str(sound), *options, "--json"],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert streamed.stderr == ""
        assert json.loads(streamed.stdout)["identical"] is None
        server.send_signal(signal)
        output, errors = server.stdout.read(), server.stderr.read()
    assert (server.returncode, errors) == (0, "")
    assert f'base_url="{found[1]}"' in output
    log = [line.split(maxsplit=2)[2] for line in output.splitlines() if re.match(r"\d\d:", line)]
    # The two directions interleave as they happen; within each the order is certain.
    assert [line for line in log if line.startswith("received")] == [
        "received session.ready",
        "received response.audio.start",
        "received response.audio.finish",
        "received session.stop",
    ]
    sent = [line for line in log if line.startswith("sent")]
    assert sent[:4] == [
        "sent session.init",
        "sent scene.ready",
        "sent session.state IDLE",
        "sent input.text",
    ]
    assert sent[-3:] == [
        "sent session.state SPEAKING",
        "sent response.state FINISHED",
        "sent session.state IDLE",
    ]
    assert log[0] == "connected"
    (told,) = (line for line in log if line.startswith("audio turn"))
    # How short of sound it ran depends on the machine, and stands behind.
    assert told.startswith("audio turn finished: 4 frames, 0.16 s of 24000 Hz mono")
    assert log[-2:] == ["closed with code 1000", f"recorded in {recordings}"]
    assert output.endswith(f"Ended after 1 session; recordings are in {recordings}\n")
    (wav,) = recordings.glob("*.wav")
    assert b"".join(read(wav)[0]) == PCM
    (transcript,) = recordings.glob("*.jsonl")
    assert all(json.loads(line) for line in transcript.read_text().splitlines())


def test_it_serves_akool(tmp_path: Path) -> None:
    recordings = tmp_path / "rec"
    command = [*COMMAND, "serve", "akool", "--port", "0", "--record", str(recordings)]
    with Ended(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        first = server.stdout.readline()
        found = re.fullmatch(
            r"Akool platform at (http://127.0.0.1:\d+/) \(Ctrl-C ends it\)\n",
            first,
        )
        assert found is not None

        async def converse() -> None:
            client = StreamingAvatarClient("any", "any", discovery_url=found[1])
            await client.connect()
            await client.set_agora_params("app", "channel", "token", "1")
            await client.send_audio(PCM)
            await client.disconnect()

        asyncio.run(converse())
        server.terminate()
        output, errors = server.stdout.read(), server.stderr.read()
    assert (server.returncode, errors) == (0, "")
    assert f'  AsyncStreamingAvatarClient("any", "any", discovery_url="{found[1]}")\n' in output
    assert f"  avatarwire stream FILE.wav --platform akool --url {found[1]} --api-key any" in output
    assert "misbehaves" not in output
    log = [line.split(maxsplit=2)[2] for line in output.splitlines() if re.match(r"\d\d:", line)]
    assert log == [
        "connected",
        "sent websocket_connected",
        "received set-params",
        "sent agora_connected",
        "received leave_channel",
        "heard 0.24 s of sound",
        "closed with code 1000",
        f"recorded in {recordings}",
    ]
    (wav,) = recordings.glob("*.wav")
    assert b"".join(read(wav)[0]) == PCM


def test_a_greeting_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}

    def stop_at_once(**options: object) -> None:
        seen.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr("avatarwire.cli.platforms.liveavatar.LiveAvatarEmulator", stop_at_once)
    assert run(["serve", "liveavatar", "--greeting", ""]) == 130
    assert seen == {
        "host": "127.0.0.1",
        "port": 8080,
        "allowed_hosts": (),
        "record_dir": None,
        "playground": True,
        "greeting": None,
        "user_audio": b"",
        "faults": Faults(),
    }


async def test_a_port_that_is_taken_is_one_line() -> None:
    async with LiveAvatarEmulator() as emulator:
        port = emulator.base_url.rpartition(":")[2]
        done = subprocess.run(  # noqa: ASYNC221 - nothing else runs meanwhile
            [*COMMAND, "serve", "liveavatar", "--port", port],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"avatarwire: cannot listen on 127.0.0.1 port {port}:")
    assert "choose another with --host or --port" in done.stderr


def test_a_directory_that_cannot_be_made_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    directory = tmp_path / "file" / "rec"
    assert run(["serve", "liveavatar", "--port", "0", "--record", str(directory)]) == 1
    output, errors = capfd.readouterr()
    assert (output, errors.count("\n")) == ("", 1)
    assert errors.startswith(f"avatarwire: cannot record in {directory}")


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


@pytest.mark.parametrize(
    ("platform", "faults", "asked", "log"),
    [
        (
            "liveavatar",
            ["refuse-start=401", "refuse-start=40001", "no-answer=1", "refuse-handshake=503"],
            ["POST /v1/session/start"] * 3 + ["GET /v1/session/agent"] * 2,
            [
                "start refused with 401, on demand",
                "start refused with 40001, on demand",
                "start left without an answer, on demand",
                "connection refused with 503, on demand",
                "connection refused: its URL has been used, has expired, or never was one",
            ],
        ),
        (
            "akool",
            ["refuse-discovery=503", "no-answer=1", "refuse-handshake=401"],
            ["GET /streamingAvatar/service_status"] * 2 + ["GET /streamingAvatar/ws/v1"],
            [
                "discovery answered HTTP 503, on demand",
                "discovery left without an answer, on demand",
                "connection refused with 401, on demand",
            ],
        ),
    ],
)
def test_it_tells_its_faults_and_what_they_do(
    platform: str, faults: list[str], asked: list[str], log: list[str]
) -> None:
    options = [word for fault in faults for word in ("--fault", fault)]
    with Ended(
        [*COMMAND, "serve", platform, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        found = re.search(r"http://[0-9.:]+", server.stdout.readline())
        assert found is not None
        with httpx.Client(
            base_url=found[0], timeout=httpx.Timeout(10, read=1), trust_env=False
        ) as http:
            for method, path in (request.split() for request in asked):
                with contextlib.suppress(httpx.ReadTimeout):
                    http.request(method, path, headers=UPGRADE if method == "GET" else None)
        server.terminate()
        output, errors = server.stdout.read(), server.stderr.read()
    assert (server.returncode, errors) == (0, "")
    assert output.startswith(f"It misbehaves as asked: {', '.join(faults)}\n")
    lines = [line for line in output.splitlines() if re.match(r"\d\d:", line)]
    assert [line.split(maxsplit=1)[1] for line in lines] == log


@pytest.mark.parametrize("platform", ["liveavatar", "akool"])
def test_further_names_are_allowed_by_option(
    platform: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = []

    def emulator(**options: object) -> None:
        made.append(options)
        raise OSError("enough")

    name = {"liveavatar": "LiveAvatarEmulator", "akool": "AkoolEmulator"}[platform]
    with monkeypatch.context() as patched:
        patched.setattr(f"avatarwire.cli.platforms.{platform}.{name}", emulator)
        with pytest.raises(OSError, match="enough"):
            run(["serve", platform, "--allowed-host", "a.lan", "--allowed-host", "b"])
    assert made[0]["allowed_hosts"] == ("a.lan", "b")
    assert run(["serve", platform, "--allowed-host", "http://a.lan"]) == 2
    assert "avatarwire: --allowed-host has 'http://a.lan': each" in capsys.readouterr().err


def test_a_host_too_long_for_a_name_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "akool", "--port", "0", "--host", "a" * 300]) == 1
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert errors.startswith(f"avatarwire: cannot listen on {'a' * 300} port 0: ")
