import json

import pytest
from commands import run_command

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig, Recorder
from avatarwire.akool import StreamingAvatarClient
from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator

PCM = bytes(range(1, 129)) * 100


@pytest.fixture(params=["liveavatar", "akool"])
async def recorded(request, tmp_path):
    """A recording of a session, and its platform."""
    if request.param == "liveavatar":
        emulator = LiveAvatarEmulator(greeting=None)
    else:
        emulator = AkoolEmulator()
    async with emulator:
        if request.param == "liveavatar":
            config = AvatarAgentConfig("key", "avatar", base_url=emulator.base_url)
            session = AvatarAgent(config, AgentListener())
        else:
            session = StreamingAvatarClient("local", "local", emulator.discovery_url)
        with Recorder(tmp_path / "one", session=session):
            await session.start()
            if request.param == "akool":
                await session.set_agora_params("local", "local", "local", "local")
            async with session.audio_stream(sample_rate=16000) as stream:
                await stream.write(PCM)
            await stream.wait_playout(10)
            await session.stop()
    return tmp_path / "one", request.param


async def test_inspect_diff_and_replay(recorded, tmp_path):
    one, platform = recorded
    har, html, two = tmp_path / "o.har", tmp_path / "o.html", tmp_path / "two"
    code, output, errors = await run_command("inspect", one, "--har", har, "--html", html)
    assert (code, errors) == (0, "")
    assert output.startswith(f"{platform} session ")
    assert "turns: 1 (1 completed), 0.4 s heard" in output
    assert "nothing went wrong" in output
    assert json.loads(har.read_text())["log"]["version"] == "1.2"
    assert "<!doctype html>" in html.read_text()

    code, output, errors = await run_command("replay", one, "--platform", platform, "--record", two)
    assert (code, errors) == (0, "")
    assert "Sent " in output
    code, output, errors = await run_command("diff", one, two)
    assert (code, output, errors) == (0, "The same on the wire\n", "")


async def test_a_difference_is_told_by_the_exit_code(recorded, tmp_path):
    one, _ = recorded
    two = tmp_path / "two"
    two.mkdir()
    lines = (one / "timeline.jsonl").read_text().splitlines()
    (two / "timeline.jsonl").write_text("\n".join(lines[:3]) + "\n")
    code, output, errors = await run_command("diff", one, two)
    assert (code, errors) == (1, "")
    assert output.startswith("- ")
    assert output.endswith(" lines differ\n")


@pytest.mark.parametrize("command", ["inspect", "replay"])
async def test_what_is_no_recording_is_told_in_a_line(tmp_path, command):
    code, output, errors = await run_command(command, tmp_path)
    assert (code, output) == (1, "")
    assert (
        errors == f"avatarwire: {tmp_path} holds no recording: there is no timeline.jsonl in it\n"
    )


async def test_a_replay_names_what_it_cannot_do(recorded, tmp_path):
    one, platform = recorded
    other = {"liveavatar": "akool", "akool": "liveavatar"}[platform]
    code, _, errors = await run_command("replay", one, "--platform", other)
    assert code == 2
    assert f"was recorded with {platform}: name it by --platform" in errors
