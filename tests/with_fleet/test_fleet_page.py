"""A newcomer's path: the commands of the page, as they stand."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import httpx
from fleet_run import fleet_run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "fleet.md").read_text()
LAPTOP = PAGE.partition("## On a laptop")[2].partition("\n## ")[0]
#: Beside the interpreter, where the extra puts it.
COMMAND = str(Path(sys.executable).parent)


def test_the_commands_of_the_page():
    run, status, start, say = re.findall(r"^\$ (.+)$", LAPTOP, re.MULTILINE)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AVATARWIRE_", "RAY_"))}
    environment["PATH"] = f"{COMMAND}{os.pathsep}{environment['PATH']}"

    def told(line):
        done = subprocess.run(
            shlex.split(line),
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    with fleet_run(
        shlex.split(run),
        cwd=ROOT / "examples",
        environment=environment,
        says="fleet of 2 hosts at http://127.0.0.1:8000",
    ) as process:
        started = json.loads(told(start))
        shown = re.search(r"^(\{.+\})$", LAPTOP, re.MULTILINE).group(1)
        assert list(started) == list(json.loads(shown))
        assert told(say.replace("5f0c…", started["id"])) == ""
        assert started["host"] in told(status)
        (session,) = httpx.get("http://127.0.0.1:8000/sessions").json()
        assert (session["id"], session["state"]) == (started["id"], "running")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
