"""The published clients judge the emulator, and what they send judges ours."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import conversation
import pytest

from avatarwire.audio import read

SEEDS = Path(__file__).parents[2] / ".seeds"
SCRIPT = conversation.__file__
PUBLISHED = [SEEDS / "akool-0.1.8", SEEDS / "akool-0.1.9"]


@pytest.fixture(scope="module")
def conversations(tmp_path_factory):
    """What each client saw, and the messages that the platform received from it."""
    missing = [sdk.name for sdk in PUBLISHED if not sdk.is_dir()]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: make test installs it")
    serve = [sys.executable, "-W", "error", "-m", "avatarwire", "serve", "akool", "--port", "0"]
    platforms, clients, found = [], [], {}
    for name, module in [
        *((sdk.name, "akool_streaming_avatar") for sdk in PUBLISHED),
        ("ours", "avatarwire.akool"),
    ]:
        record = tmp_path_factory.mktemp(name)
        platform = subprocess.Popen(
            [*serve, "--record", str(record)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        url = re.search(r"http://\S+", platform.stdout.readline())[0]
        # Side by side: the published disconnect() takes five seconds.
        client = subprocess.Popen(
            [sys.executable, SCRIPT, module, url],
            env=os.environ | {"PYTHONPATH": str(SEEDS / name)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        platforms.append((name, platform, record))
        clients.append(client)
    for (name, platform, record), client in zip(platforms, clients, strict=True):
        with client, platform:
            output, errors = client.communicate(timeout=60)
            platform.terminate()
            _, platform_errors = platform.communicate(timeout=60)
        assert client.returncode == 0, errors
        assert (platform.returncode, platform_errors) == (0, "")
        found[name] = json.loads(output), *_recorded(record)
    return found


def _recorded(record):
    (transcript,) = record.glob("*.jsonl")
    (sound,) = record.glob("*.wav")
    lines = [json.loads(line) for line in transcript.read_text().splitlines()]
    received = [json.loads(line["data"]) for line in lines if line["direction"] == "received"]
    return received, b"".join(read(sound)[0])


def _pings_first(messages):
    """The published client's heartbeat is a task: chance decides what it comes after."""
    return sorted(messages, key=lambda message: message["type"] != "ping")


@pytest.mark.parametrize("name", ["akool-0.1.8", "akool-0.1.9", "ours"])
def test_the_conversation_completes(conversations, name):
    result, messages, pcm = conversations[name]
    assert result["seen"][0] == "connected"
    assert result["seen"][-1] == "disconnected"
    assert result["seen"].count("agora channel-1") == 1
    assert not [seen for seen in result["seen"] if seen.startswith("error")]
    assert result["connected"] is False
    assert result["info"]["connected"] is result["info"]["agora_connected"] is True
    assert pcm == b"".join(conversation.SOUND)
    assert [base64.b64decode(m["pld"]["audio"]) for m in messages if m["type"] == "chat"] == (
        conversation.SOUND
    )


@pytest.mark.parametrize("name", ["akool-0.1.8", "akool-0.1.9"])
def test_ours_sends_the_same_messages(conversations, name):
    ours, theirs = (_pings_first(conversations[client][1]) for client in ("ours", name))
    assert [list(message) for message in ours] == [list(message) for message in theirs]
    assert [message | {"mid": ""} for message in ours] == [
        message | {"mid": ""} for message in theirs
    ]
    assert [re.sub(r"\d+$", "", message["mid"]) for message in ours] == [
        re.sub(r"\d+$", "", message["mid"]) for message in theirs
    ]
    assert len({message["mid"] for message in ours}) == len(ours)


@pytest.mark.parametrize("name", ["akool-0.1.8", "akool-0.1.9"])
def test_ours_tells_the_same(conversations, name):
    ours, theirs = conversations["ours"][0], conversations[name][0]
    same = ours["info"].keys() & theirs["info"].keys()
    assert same == ours["info"].keys() - ({"server_url"} if name == "akool-0.1.8" else set())
    differing = {key for key in same if ours["info"][key] != theirs["info"][key]}
    assert differing == {"session_id", "current_service"}  # another port
    seen = [[word for word in result["seen"] if word != "pong"] for result in (ours, theirs)]
    # The published client reads no ack of its goodbye.
    assert seen[0][-2:] == ["ack", "disconnected"]
    assert seen[0][:-2] == seen[1][:-1]
    assert ours["seen"].count("pong") == theirs["seen"].count("pong") == 1
