import importlib.util

import pytest
from checklists import checks

from avatarwire.cli.app import run
from avatarwire.errors import MissingExtraError

KEY = "sk-very-secret"


def test_two_versions_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: "0.0.1")
    assert run(["doctor"]) == 1
    verdict, words = checks(capsys.readouterr().out)["version"]
    assert verdict == "failed"
    assert "0.0.1 is installed" in words


def test_a_missing_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(**_: int) -> None:
        raise MissingExtraError("resampling", "audio")

    monkeypatch.setattr("avatarwire.cli.doctor.Resampler", missing)
    assert run(["doctor"]) == 1
    verdict, words = checks(capsys.readouterr().out)["extras"]
    assert verdict == "failed"
    assert 'pip install "avatarwire[audio]"' in words


@pytest.mark.parametrize("system", ["linux", "win32"])
def test_uvloop_is_only_advised_where_it_runs(
    system: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.platform", system)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "uvloop" else find_spec(name)
    )
    run(["doctor", "--url", "http://x"])
    verdict, words = checks(capsys.readouterr().out)["extras"]
    assert verdict == "ok"
    assert ('pip install "avatarwire[fast]"' in words) is (system == "linux")


def test_ctrl_c_ends_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(work: object) -> None:
        work.close()  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    monkeypatch.setattr("avatarwire.cli.ending.asyncio.run", interrupt)
    options = ["--url", "http://x", "--api-key", KEY, "--avatar-id", "a"]
    assert run(["doctor", *options]) == 130
    assert capsys.readouterr().err == ""
