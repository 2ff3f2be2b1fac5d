"""Both adapters install beside what users of either have, none of it years old."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))[
    "project"
]
ADAPTERS = ("livekit", "pipecat")
OTHERS = ("openai-agents", "openai[realtime]", "cartesia[websockets]")


def requirements():
    """Return what the library and both extras require, without the library itself."""
    extras = PROJECT["optional-dependencies"]
    required = [*PROJECT["dependencies"], *extras["audio"]]
    for adapter in ADAPTERS:
        own, *rest = extras[adapter]
        assert own == "avatarwire[audio]"
        required += rest
    return required


def resolve(*required, options=()):
    """Return the version of everything that pip would install."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"),
            *("--quiet", "--disable-pip-version-check", "--report", "-", *options, *required),
        ],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    installed = [each["metadata"] for each in json.loads(done.stdout)["install"]]
    return {each["name"].lower(): each["version"] for each in installed}


@pytest.mark.skipif("CI" not in os.environ, reason="asks the package index")
def test_at_their_newest_versions():
    names = [other.partition("[")[0] for other in OTHERS]
    newest = resolve(*names, "pipecat-ai", "livekit-agents", options=["--no-deps"])
    together = resolve(*requirements(), *OTHERS)
    assert {name: together[name] for name in newest} == newest
