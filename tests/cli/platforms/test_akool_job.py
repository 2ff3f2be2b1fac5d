"""``avatarwire stream --platform akool``, as a command and against platforms that fail."""

import json
from pathlib import Path

import pytest
from commands import run_command

from avatarwire.audio import PcmFormat, read, write_wav
from avatarwire.cli.app import run
from avatarwire.emulator import AkoolEmulator

PCM = bytes(range(256)) * 26  # 208 ms at 16 kHz: three messages and a short one
AGORA = {
    "AVATARWIRE_AGORA_APP_ID": "app",
    "AVATARWIRE_AGORA_CHANNEL": "channel",
    "AVATARWIRE_AGORA_TOKEN": "rtc-secret-token",
    "AVATARWIRE_AGORA_UID": "7",
}


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.wav"
    write_wav(path, PCM, PcmFormat(16000))
    return path


async def stream(*args: object, **environment: str) -> tuple[int | None, str, str]:
    return await run_command("stream", "--platform", "akool", *args, **environment)


def use(emulator: AkoolEmulator, url: str | None = None) -> dict[str, str]:
    return AGORA | {
        "AVATARWIRE_URL": url or emulator.discovery_url,
        "AVATARWIRE_API_KEY": "sk-test-key",
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
        "PCM",
    ]
    assert [line for line in lines if line != line.rstrip()] == []
    assert lines[1].split() == ["frames", "4"]
    assert "0.21 s, 16000 Hz mono" in lines[2]
    assert lines[3].split() == ["outcome", "completed"]
    assert "identical" in lines[6]
    chunks, format_ = read(tmp_path / "out.wav")
    assert (b"".join(chunks), format_) == (PCM, PcmFormat(16000))


async def test_any_file_without_pace(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, PCM * 4, PcmFormat(22050, 2))
    code, output, errors = await stream(path, "--no-pace", "--json")
    assert (code, errors) == (0, "")
    figures = json.loads(output)
    assert figures["identical"] is True
    assert figures["sent_sample_rate"] == 16000
    assert figures["playout"]["reason"] == "completed"


async def test_an_interrupt_after_a_while(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, PCM * 30, PcmFormat(16000))
    options = ["--interrupt-after", "0.5", "--lead-ms", "200", "--json"]
    code, output, errors = await stream(path, *options)
    assert (code, errors) == (0, "")
    figures = json.loads(output)
    playout = figures["playout"]
    assert playout["reason"] == "interrupted"
    assert playout["written_ms"] == pytest.approx(playout["sent_ms"] + playout["dropped_ms"])
    assert playout["dropped_ms"] > 1000
    assert figures["identical"] is True


@pytest.mark.parametrize("direct", [False, True])
async def test_another_platform_by_environment(sound: Path, direct: bool) -> None:
    async with AkoolEmulator(api_key="sk-test-key") as emulator:
        url = emulator.server_url.replace("http:", "ws:") if direct else None
        settings = use(emulator, url) | {"AVATARWIRE_ENV": "prod"}
        code, output, errors = await stream(sound, "--voice-id", "v", **settings)
        assert (code, errors) == (0, "")
        assert "not compared" in output
        assert emulator.discovery_queries == ([] if direct else [{"avatar_id": "ava"}])
        (session,) = emulator.sessions
        assert (session.avatar_id, session.left) == ("ava", "client_disconnect")
        (params,) = [m["pld"] for m in session.messages if m["pld"].get("cmd") == "set-params"]
        assert params["data"]["vid"] == "v"
        assert params["metadata"]["agora_data"] == {
            "appid": "app",
            "channel_id": "channel",
            "token": "rtc-secret-token",
            "uid": "7",
        }
        assert bytes(session.pcm) == PCM


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--url", "http://x"], "set AVATARWIRE_API_KEY or --api-key"),
        (
            ["--url", "http://x", "--api-key", "k", "--avatar-id", "a"],
            "set AVATARWIRE_AGORA_APP_ID or --agora-app-id; AVATARWIRE_AGORA_CHANNEL or --agora",
        ),
        (["--url", "http://x", "--avatar-id", "a"], "--api-key; AVATARWIRE_AGORA_APP_ID or"),
        (["--url", "http://x"], "--agora-token; AVATARWIRE_AGORA_UID or --agora-uid."),
        (["--agora-uid", "7"], "without --url there is no use for --agora-uid: name a platform"),
        (["--sandbox"], "--sandbox is Live Avatar's"),
        (["--env", "moon"], "'moon' is not one of"),
    ],
)
def test_wrong_use_is_one_line(
    sound: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["stream", str(sound), "--platform", "akool", *options]) == 2
    output, errors = capsys.readouterr()
    assert (output, errors.count("\n")) == ("", 1)
    assert errors.startswith("avatarwire: ")
    assert words in errors
    assert errors.endswith("See: avatarwire stream --help\n")


async def test_an_unusable_url_is_one_line(sound: Path) -> None:
    async with AkoolEmulator() as emulator:
        code, output, errors = await stream(sound, **use(emulator, "no-url"))
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert "--url must be a URL of http://" in errors


async def test_nobody_there_is_one_line(sound: Path) -> None:
    async with AkoolEmulator() as emulator:
        settings = use(emulator)
    code, output, errors = await stream(sound, **settings)
    assert (code, output, errors.count("\n")) == (1, "", 1)
    address = emulator.server_url.removeprefix("http://")
    assert f"service discovery failed: the request to {address} failed: " in errors
    assert errors.endswith(": is it running? check --url\n")


async def test_no_server_there_is_one_line(sound: Path) -> None:
    async with AkoolEmulator() as emulator:
        url = emulator.server_url.replace("http:", "ws:")
        settings = use(emulator, url)
    code, output, errors = await stream(sound, **settings)
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert f"could not connect to {url.removeprefix('ws://')}: " in errors
    assert errors.endswith("; check --url, and that a platform answers there\n")


async def test_another_server_is_told_by_the_option(sound: Path) -> None:
    async with AkoolEmulator() as emulator:
        emulator.fail_next_discovery(status=404)
        code, output, errors = await stream(sound, **use(emulator))
    assert (code, output) == (1, "")
    assert errors.endswith(" service discovery was answered with HTTP 404: is --url right?\n")


async def test_a_platform_that_refuses_is_one_line(sound: Path) -> None:
    async with AkoolEmulator(api_key="another") as emulator:
        code, output, errors = await stream(sound, **use(emulator))
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert "check --api-key or AVATARWIRE_API_KEY" in errors
    assert "sk-test-key" not in errors


async def test_agora_parameters_that_are_refused_are_one_line(sound: Path) -> None:
    async with AkoolEmulator() as emulator:
        emulator.faults.errors["set-params"] = (5001, "bad token rtc-secret-token")
        code, output, errors = await stream(sound, **use(emulator))
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert "Server error 5001: bad token ***; check the --agora-… settings" in errors


@pytest.mark.parametrize(("code", "words"), [(1011, "close code 1011"), (1000, "has closed it")])
async def test_a_session_that_is_lost_is_one_line(sound: Path, code: int, words: str) -> None:
    async with AkoolEmulator() as emulator:
        emulator.faults.close_after_messages = 3
        emulator.faults.close_code = code
        result, output, errors = await stream(sound, **use(emulator))
    assert (result, output, errors.count("\n")) == (1, "", 1)
    assert f"the session at {emulator.discovery_url} failed: " in errors
    assert words in errors
    assert errors.endswith("; check the network, and run it again\n")
