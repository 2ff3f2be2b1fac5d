"""``avatarwire doctor`` with Live Avatar, judged by what the emulator received."""

import asyncio
import os

import pytest
from checklists import checks, verdicts

from avatarwire import AvatarAgent
from avatarwire.cli.app import run
from avatarwire.cli.checks import Checklist
from avatarwire.cli.platforms import liveavatar_checks
from avatarwire.emulator import LiveAvatarEmulator

KEY = "sk-very-secret"
ALL = [
    "version",
    "extras",
    "URL",
    "key",
    "session start",
    "WebSocket",
    "test tone",
    "round trip",
    "session stop",
]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AVATARWIRE_"):
            monkeypatch.delenv(name)


async def examine(*args: str) -> int:
    return await asyncio.to_thread(run, ["doctor", *args])


def use(emulator: LiveAvatarEmulator) -> list[str]:
    return ["--url", emulator.base_url, "--api-key", KEY, "--avatar-id", "ava"]


@pytest.mark.parametrize("rate", ["16000", "24000", "48000"])
def test_all_is_well_on_this_machine(rate: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--sample-rate", rate]) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    found = checks(output)
    assert list(found) == ALL
    assert {verdict for verdict, _ in found.values()} == {"ok"}
    assert found["test tone"][1] == f"440 Hz for 1 s at {rate} Hz, played to its end"
    assert found["round trip"][1].endswith(" ms")


@pytest.mark.parametrize("platform", ["liveavatar", "akool"])
def test_a_key_that_went_nowhere_is_not_called_accepted(
    platform: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AVATARWIRE_API_KEY", KEY)
    assert run(["doctor", "--platform", platform]) == 0
    found = checks(capsys.readouterr().out)
    assert found["key"] == ("ok", "none is needed here, and none was tried")
    where = found["URL" if platform == "liveavatar" else "discovery"][1]
    assert where == "a platform on this machine; --url or AVATARWIRE_URL names another"


async def test_another_platform_by_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with LiveAvatarEmulator(api_key=KEY, greeting=None) as emulator:
        monkeypatch.setenv("AVATARWIRE_URL", emulator.base_url)
        monkeypatch.setenv("AVATARWIRE_API_KEY", KEY)
        monkeypatch.setenv("AVATARWIRE_AVATAR_ID", "ava")
        assert await examine() == 0
    found = checks(capsys.readouterr().out)
    assert list(found) == ALL
    assert found["URL"] == ("ok", emulator.base_url)
    (session,) = emulator.sessions
    assert session.start_requests[0]["avatarId"] == "ava"
    assert (len(session.pcm), session.stop_requests, session.closed) == (48000, 1, 1000)


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        ({"code": 40004}, "key", "check --api-key or AVATARWIRE_API_KEY"),
        ({"status": 401}, "key", "check --api-key or AVATARWIRE_API_KEY"),
        ({"code": 40007}, "key", "may use this avatar"),
        ({"html": True}, "URL", "check --url"),
        ({"status": 403}, "URL", "perhaps a proxy or firewall in between did; check --url"),
        ({"status": 404}, "URL", "check --url"),
        ({"code": 40001}, "session start", "try again in a few seconds"),
        ({"code": 40003}, "session start", "check --avatar-id"),
        ({"code": 40006}, "session start", "check the plan"),
        ({"agent_ws_url": ""}, "WebSocket", "WebSocket agent mode"),
        ({"agent_ws_url": "ws://127.0.0.1:9"}, "WebSocket", "firewall"),
    ],
)
async def test_a_refusal_is_told_where_it_happened(
    fault: dict[str, object], check: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with LiveAvatarEmulator() as emulator:
        emulator.fail_next_start(**fault)  # type: ignore[arg-type]
        assert await examine(*use(emulator)) == 1
    output, errors = capsys.readouterr()
    found = checks(output)
    assert errors == ""
    assert list(found) == ALL
    assert found[check][0] == "failed"
    assert words in found[check][1]
    at = ALL.index(check)
    assert [found[name][0] for name in ALL[:at]] == ["ok"] * at
    assert {found[name] for name in ALL[at + 1 :]} == {("skipped", "needs what failed above")}
    assert KEY not in output


@pytest.mark.parametrize(
    ("status", "words"),
    [(429, "limits how often"), (500, "down or overloaded"), (503, "down or overloaded")],
)
async def test_a_platform_that_cannot_serve_now_is_not_the_urls_fault(
    status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with LiveAvatarEmulator() as emulator:
        emulator.fail_next_start(status=status)
        assert await examine(*use(emulator)) == 1
    output = capsys.readouterr().out
    found = checks(output)
    assert [found[name][0] for name in ALL[2:6]] == ["ok", "skipped", "failed", "skipped"]
    assert f"[{status}]" in found["session start"][1]
    assert words in found["session start"][1]
    assert "base_url" not in output
    assert "check --url" not in output


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "WebSocket agent mode"), (503, "the trouble is the platform's")],
)
async def test_a_websocket_that_is_refused(
    status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with LiveAvatarEmulator() as emulator:
        emulator.faults.handshakes.append(status)
        assert await examine(*use(emulator)) == 1
    found = checks(capsys.readouterr().out)
    assert [name for name in ALL if found[name][0] == "failed"] == ["WebSocket"]
    assert words in found["WebSocket"][1]


async def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    async with LiveAvatarEmulator() as emulator:
        settings = use(emulator)
    assert await examine(*settings) == 1
    verdict, words = checks(capsys.readouterr().out)["URL"]
    assert verdict == "failed"
    assert "did not answer" in words
    assert "check --url" in words


@pytest.mark.parametrize(
    ("options", "check", "words"),
    [
        (["--url", "http://x", "--avatar-id", "a"], "key", "AVATARWIRE_API_KEY or --api-key"),
        (["--url", "http://x", "--api-key", KEY], "session start", "--avatar-id"),
        (
            ["--url", "no-url", "--api-key", KEY, "--avatar-id", "a"],
            "URL",
            "--url must be an http:// or https:// URL",
        ),
        (
            ["--url", "http://x", "--api-key", KEY + "\n", "--avatar-id", "a"],
            "key",
            "check how it was copied",
        ),
    ],
)
def test_settings_that_cannot_work(
    options: list[str], check: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", *options]) == 1
    output, errors = capsys.readouterr()
    found = checks(output)
    assert (errors, found[check][0]) == ("", "failed")
    assert words in found[check][1]
    assert list(found.values()).count(("skipped", "needs what failed above")) == 6
    assert KEY not in output


@pytest.mark.parametrize("fault", ["close_after_messages", "cut_after_frames"])
async def test_a_connection_that_is_lost(fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    async with LiveAvatarEmulator(greeting=None) as emulator:
        setattr(emulator.faults, fault, 5)
        assert await examine(*use(emulator)) == 1
    found = checks(capsys.readouterr().out)
    assert list(found) == ALL
    assert {name for name in ALL if found[name][0] == "failed"} == {"test tone"}
    assert "the connection was lost" in found["test tone"][1]
    assert found["round trip"] == ("skipped", "needs the connection, which was lost")


async def test_a_connection_that_is_lost_after_the_tone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loop, check_tone = asyncio.get_running_loop(), liveavatar_checks._check_tone

    async def and_then_cut(checklist: Checklist, agent: AvatarAgent, *others: object) -> bool:
        connected = await check_tone(checklist, agent, *others)  # type: ignore[arg-type]
        loop.call_soon_threadsafe(emulator.sessions[0].cut)
        while agent.is_running:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return connected

    monkeypatch.setattr(liveavatar_checks, "PING_INTERVAL_S", 60.0)
    monkeypatch.setattr(liveavatar_checks, "_check_tone", and_then_cut)
    async with LiveAvatarEmulator(greeting=None) as emulator:
        assert await examine(*use(emulator)) == 1
    found = checks(capsys.readouterr().out)
    assert [name for name in ALL if found[name][0] == "failed"] == ["round trip"]
    assert "the connection was lost" in found["round trip"][1]


async def test_the_sandbox_and_another_voice() -> None:
    async with LiveAvatarEmulator(greeting=None) as emulator:
        assert await examine(*use(emulator), "--sandbox", "--voice-id", "v") == 0
    (session,) = emulator.sessions
    assert (session.sandbox, session.start_requests[0]["voiceId"]) == (True, "v")


async def test_a_session_that_cannot_be_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    async with LiveAvatarEmulator(greeting=None) as emulator:
        examining = asyncio.create_task(examine(*use(emulator)))
        while not emulator.sessions:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await emulator.sessions[0].wait_for("response.audio.start")
        emulator._api_key = "withdrawn"
        assert await examining == 1
    found = checks(capsys.readouterr().out)
    assert [name for name in ALL if found[name][0] != "ok"] == ["session stop"]
    assert "answered with 40004" in found["session stop"][1]


async def test_a_tone_that_the_platform_never_plays(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("avatarwire.liveavatar.turns.PLAYOUT_GRACE_S", 0.2)
    monkeypatch.setattr(
        "avatarwire.emulator.liveavatar.session.LiveSession._send_state", lambda *_: None
    )
    monkeypatch.setattr(
        "avatarwire.emulator.liveavatar.session.LiveSession.send_response_state", lambda *_: None
    )
    async with LiveAvatarEmulator(greeting=None) as emulator:
        emulator.faults.withhold_response_states = True
        assert await examine(*use(emulator)) == 1
    verdict, words = checks(capsys.readouterr().out)["test tone"]
    assert verdict == "failed"
    assert "never said that it was played" in words


def test_other_sound_than_was_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("avatarwire.emulator.liveavatar.session.LiveSession.pcm", b"other!")
    assert run(["doctor"]) == 1
    assert checks(capsys.readouterr().out)["test tone"][0] == "failed"


async def test_pings_that_nobody_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("avatarwire.cli.platforms.liveavatar_checks.ROUND_TRIP_TIMEOUT_S", 0.1)
    monkeypatch.setattr("avatarwire.cli.platforms.liveavatar_checks.PING_INTERVAL_S", 60.0)
    assert await examine() == 1
    found = verdicts(capsys.readouterr().out)
    assert [name for name in ALL if found[name] != "ok"] == ["round trip"]
