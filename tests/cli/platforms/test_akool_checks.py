"""``avatarwire doctor --platform akool``, judged by what the emulator received."""

import asyncio

import pytest

from avatarwire.akool import AsyncStreamingAvatarClient
from avatarwire.cli.app import run
from avatarwire.emulator import AkoolEmulator
from avatarwire.errors import MissingExtraError

KEY = "sk-very-secret"
AGORA = {
    "AVATARWIRE_AGORA_APP_ID": "app",
    "AVATARWIRE_AGORA_CHANNEL": "channel-7",
    "AVATARWIRE_AGORA_TOKEN": "rtc-secret-token",
    "AVATARWIRE_AGORA_UID": "7",
}
CHECKS = ["discovery", "key", "WebSocket", "Agora", "test tone"]


@pytest.fixture(autouse=True)
def _akool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Akool is chosen by the variable, as ``stream`` takes it."""
    monkeypatch.setenv("AVATARWIRE_PLATFORM", "akool")


async def examine(url: str, *args: str) -> int:
    options = ["--url", url, "--api-key", KEY, "--avatar-id", "ava", *args]
    return await asyncio.to_thread(run, ["doctor", *options])


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str]]:
    """Give verdict and words of each check of the platform."""
    output, errors = capsys.readouterr()
    assert errors == ""
    assert KEY not in output
    assert "rtc-secret-token" not in output
    lines = [(line[:9].strip(), line[9:24].strip(), line[24:]) for line in output.splitlines()]
    assert sorted(check for _, check, _ in lines[2:]) == sorted(CHECKS)
    return {check: (verdict, words) for verdict, check, words in lines[2:]}


def verdicts(found: dict[str, tuple[str, str]]) -> list[str]:
    return [found[check][0] for check in CHECKS]


@pytest.mark.parametrize("rate", ["16000", "48000"])
def test_all_is_well_on_this_machine(rate: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--sample-rate", rate]) == 0
    found = told(capsys)
    assert list(found) == CHECKS
    assert verdicts(found) == ["ok"] * 5
    assert found["test tone"][1].startswith(f"440 Hz for 1 s at {rate} Hz, all of it sent")


@pytest.mark.parametrize("direct", [False, True])
async def test_another_platform(
    direct: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in AGORA.items():
        monkeypatch.setenv(name, value)
    async with AkoolEmulator(api_key=KEY) as emulator:
        url = emulator.server_url.replace("http:", "ws:") if direct else emulator.discovery_url
        assert await examine(url, "--env", "prod", "--voice-id", "v") == 0
    found = told(capsys)
    assert verdicts(found) == ["skipped" if direct else "ok", "ok", "ok", "ok", "ok"]
    assert found["Agora"][1] == "the avatar is in channel channel-7"
    assert emulator.discovery_queries == ([] if direct else [{"avatar_id": "ava"}])
    (session,) = emulator.sessions
    assert (len(session.pcm), session.left) == (32000, "client_disconnect")


async def test_without_an_agora_channel_the_rest_is_checked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with AkoolEmulator() as emulator:
        assert await examine(emulator.discovery_url) == 1
    found = told(capsys)
    assert verdicts(found) == ["ok", "ok", "ok", "failed", "skipped"]
    assert "set AVATARWIRE_AGORA_APP_ID or --agora-app-id" in found["Agora"][1]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "is --url right?"),
        (429, "limits how often"),
        (503, "the trouble is the platform's"),
    ],
)
async def test_discovery_that_fails(
    status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with AkoolEmulator() as emulator:
        emulator.fail_next_discovery(status=status)
        assert await examine(emulator.discovery_url) == 1
    found = told(capsys)
    assert verdicts(found) == ["failed", *["skipped"] * 4]
    assert f"HTTP {status}" in found["discovery"][1]
    assert words in found["discovery"][1]


@pytest.mark.parametrize("direct", [False, True])
async def test_a_key_that_is_refused(direct: bool, capsys: pytest.CaptureFixture[str]) -> None:
    async with AkoolEmulator(api_key="another") as emulator:
        url = emulator.server_url.replace("http:", "ws:") if direct else emulator.discovery_url
        assert await examine(url) == 1
    found = told(capsys)
    assert verdicts(found)[1:] == ["failed", "skipped", "skipped", "skipped"]
    assert "check --api-key or AVATARWIRE_API_KEY" in found["key"][1]


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (502, "the trouble is the platform's"),
        (404, "no proxy or firewall keeps WebSockets out"),
        (4003, "try again in a minute"),
    ],
)
@pytest.mark.parametrize("direct", [False, True])
async def test_a_websocket_that_is_refused(
    direct: bool, code: int, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with AkoolEmulator() as emulator:
        emulator.refuse_next(code, times=3)
        url = emulator.server_url.replace("http:", "ws:") if direct else emulator.discovery_url
        assert await examine(url) == 1
    found = told(capsys)
    expected = ["skipped", "skipped"] if direct else ["ok", "ok"]
    assert verdicts(found) == [*expected, "failed", "skipped", "skipped"]
    assert advice in found["WebSocket"][1]


async def test_agora_parameters_that_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in AGORA.items():
        monkeypatch.setenv(name, value)
    async with AkoolEmulator() as emulator:
        emulator.faults.errors["set-params"] = (5001, "bad token rtc-secret-token")
        assert await examine(emulator.discovery_url) == 1
    found = told(capsys)
    assert verdicts(found) == ["ok", "ok", "ok", "failed", "skipped"]
    assert "check the --agora-… settings" in found["Agora"][1]


async def test_a_connection_that_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in AGORA.items():
        monkeypatch.setenv(name, value)
    async with AkoolEmulator() as emulator:
        emulator.faults.close_after_messages = 5
        assert await examine(emulator.discovery_url) == 1
    found = told(capsys)
    assert verdicts(found) == ["ok", "ok", "ok", "ok", "failed"]
    assert "the connection was lost" in found["test tone"][1]


def test_other_sound_than_was_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("avatarwire.cli.platforms.akool_checks.converted", lambda *_: b"sound")
    assert run(["doctor"]) == 1
    assert "the platform received other sound" in told(capsys)["test tone"][1]


def test_a_missing_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise MissingExtraError("resampling", "audio")

    monkeypatch.setattr(AsyncStreamingAvatarClient, "audio_stream", missing)
    assert run(["doctor"]) == 1
    assert "or choose --sample-rate 16000" in told(capsys)["test tone"][1]


@pytest.mark.parametrize(
    ("options", "check", "words"),
    [
        (["--url", "http://x", "--avatar-id", "a"], "key", "AVATARWIRE_API_KEY or --api-key"),
        (["--url", "http://x", "--api-key", KEY], "WebSocket", "--avatar-id"),
        (["--url", "no", "--api-key", KEY, "--avatar-id", "a"], "discovery", "--url must be"),
        (
            ["--url", "http://x", "--api-key", KEY + "\n", "--avatar-id", "a"],
            "key",
            "check how it was copied",
        ),
        (["--sandbox"], "WebSocket", "--sandbox is Live Avatar's"),
    ],
)
def test_settings_that_cannot_work(
    options: list[str], check: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", *options]) == 1
    found = told(capsys)
    assert found[check][0] == "failed"
    assert words in found[check][1]
    assert verdicts(found).count("skipped") == 4


def test_an_account_without_a_platform_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--platform", "akool", "--api-key", "k", "--avatar-id", "a"]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert "without --url there is no use for --api-key, --avatar-id: name a platform" in errors
