"""One embedded Ray, and a platform in a process of its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def platform():
    """The address of an emulator with a ledger, in another process."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "local_platform.py")], stdout=subprocess.PIPE, text=True
    )
    url = process.stdout.readline().strip()
    assert url.startswith("http://"), url
    ledger_url = process.stdout.readline().strip()
    yield url, ledger_url
    process.terminate()
    process.wait(10)
    process.stdout.close()


@pytest.fixture
def ledger(platform):
    """Return what the platform knows of each session."""
    return lambda: httpx.get(platform[1]).json()


@pytest.fixture(scope="module")
def cluster(platform):
    """Ray in this process, whose hosts know the platform."""
    import ray
    from ray import serve

    os.environ["AVATARWIRE_URL"] = platform[0]
    os.environ["AVATARWIRE_API_KEY"] = "sk-secret-key"
    os.environ["PYTHONPATH"] = str(HERE)
    sys.path.insert(0, str(HERE))
    ray.init(
        address="local",
        num_cpus=8,
        include_dashboard=False,
        log_to_driver=bool(os.environ.get("FLEET_LOG")),
        logging_level="error",
    )
    yield ray
    serve.shutdown()
    ray.shutdown()
    time.sleep(0.1)
