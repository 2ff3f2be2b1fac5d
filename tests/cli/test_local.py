import threading

import httpx
import pytest

from avatarwire.cli.local import LocalPlatform, local_unless
from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator


def test_it_answers_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())  # one of another test may still be ending
    with LocalPlatform(LiveAvatarEmulator()) as platform:
        url = f"{platform.emulator.base_url}/v1/session/start"
        assert httpx.post(url, json={"avatarId": "a"}).json()["code"] == 0
        assert len(platform.emulator.sessions) == 1
    assert set(threading.enumerate()) <= before


def test_any_platform_will_do() -> None:
    with LocalPlatform(AkoolEmulator()) as platform:
        assert httpx.get(platform.emulator.discovery_url).json()["code"] == 1000


def test_an_error_in_the_thread_is_raised_here() -> None:
    with (
        LocalPlatform(AkoolEmulator()) as first,
        pytest.raises(OSError, match="address already in use"),
    ):
        LocalPlatform(AkoolEmulator(port=first.emulator.instances[0].port)).__enter__()


def test_it_runs_unless_another_platform_is_named() -> None:
    with local_unless(None, AkoolEmulator) as emulator:
        assert emulator is not None
        assert emulator.discovery_url.startswith("http://127.0.0.1:")
    with local_unless("https://example.com", AkoolEmulator) as emulator:
        assert emulator is None
