import threading

import httpx
import pytest

from avatarwire.cli import local
from avatarwire.cli.local import LocalPlatform


def test_it_answers_and_leaves_no_thread() -> None:
    before = threading.active_count()
    with LocalPlatform() as platform:
        url = f"{platform.base_url}/v1/session/start"
        assert httpx.post(url, json={"avatarId": "a"}).json()["code"] == 0
        assert len(platform.sessions) == 1
    assert threading.active_count() == before


def test_an_error_in_the_thread_is_raised_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise OSError("no port")

    monkeypatch.setattr(local, "LiveAvatarEmulator", refuse)
    with pytest.raises(OSError, match="no port"):
        LocalPlatform().__enter__()
