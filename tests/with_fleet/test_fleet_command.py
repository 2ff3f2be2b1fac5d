"""The command, as a person types it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from fleet_run import fleet_run

HERE = Path(__file__).parent
PORT = 8128
URL = f"http://127.0.0.1:{PORT}"


def command(*arguments, **settings):
    environment = {**os.environ, **settings}
    return [sys.executable, "-m", "avatarwire", "fleet", *arguments], environment


def told(*arguments, **settings):
    line, environment = command(*arguments, **settings)
    done = subprocess.run(
        line, cwd=HERE, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("nothing", "'nothing' names no program: write it as module:handle"),
        ("missing_module:handle", "there is no module 'missing_module' here"),
        ("talking:missing", "module talking has no 'missing'"),
        ("talking:owner", "owner is no program of a fleet: put @fleet.session(...) above it"),
        ("elsewhere:handle", "platform must be 'liveavatar', not 'elsewhere'"),
    ],
)
def test_what_cannot_be_run_is_one_clear_line(program, words, tmp_path):
    code, out, err = told("run", program)
    assert (code, out, err.count("\n")) == (1, "", 1), err
    assert words in err


def test_other_machines_are_let_in_with_a_token_alone():
    code, _, err = told("run", "talking:handle", "--http", "0.0.0.0:8129")
    assert (code, err.count("\n")) == (1, 1), err
    assert "AVATARWIRE_FLEET_TOKEN to 16 characters" in err


def test_a_fleet_that_is_not_there_is_one_line():
    code, _, err = told("status", "--http", "http://127.0.0.1:9")
    assert (code, err.count("\n")) == (1, 1), err
    assert "no fleet answers at http://127.0.0.1:9" in err


def test_from_run_to_sigterm(tmp_path):
    line, environment = command(
        "run", "talking:handle", "--sessions-per-host", "5", "--http", f"127.0.0.1:{PORT}"
    )
    for name in ("AVATARWIRE_URL", "AVATARWIRE_API_KEY", "RAY_ADDRESS"):
        environment.pop(name, None)
    environment["AVATARWIRE_FLEET_TOKEN"] = "token-of-the-fleet"
    with fleet_run(line, cwd=HERE, environment=environment, says="fleet of 2 hosts at") as process:
        assert httpx.get(f"{URL}/sessions").status_code == 401
        headers = {"Authorization": "Bearer token-of-the-fleet"}
        answer = httpx.post(f"{URL}/sessions", json={}, headers=headers, timeout=60)
        assert answer.status_code == 201, answer.text
        code, out, _ = told("status", "--http", URL, AVATARWIRE_FLEET_TOKEN="token-of-the-fleet")
        assert code == 0
        assert answer.json()["host"] in out
        assert "1/5" in out
        assert told("status", "--http", URL, AVATARWIRE_FLEET_TOKEN="")[0] == 1
        began_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert time.monotonic() - began_s < 30
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{URL}/healthz")
