"""An adapter says in one line what it needs."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from avatarwire._frameworks import require_framework
from avatarwire.errors import MissingExtraError, UnsupportedVersionError


def test_a_framework_that_is_not_there():
    with pytest.raises(MissingExtraError) as caught:
        require_framework("avatarwire.none", "none", "no-such-framework", "1.8", "2")
    assert str(caught.value) == ('avatarwire.none needs an extra: pip install "avatarwire[none]"')


@pytest.mark.parametrize("installed", ["1.7.9", "0.9", "2", "2.0.0rc1", "10.1", "unknown"])
def test_a_version_out_of_range(monkeypatch, installed):
    monkeypatch.setattr("importlib.metadata.version", lambda _: installed)
    with pytest.raises(UnsupportedVersionError) as caught:
        require_framework("avatarwire.some", "some", "some-agents", "1.8", "2")
    assert str(caught.value) == (
        f"avatarwire.some works with some-agents >=1.8,<2, and {installed} is installed:"
        ' pip install "avatarwire[some]"'
    )
    assert isinstance(caught.value, ImportError)


@pytest.mark.parametrize("installed", ["1.8", "1.8.0", "1.8.9", "1.12.3.post1"])
def test_a_version_within(monkeypatch, installed):
    monkeypatch.setattr("importlib.metadata.version", lambda _: installed)
    require_framework("avatarwire.some", "some", "some-agents", "1.8", "2")


@pytest.mark.parametrize("framework", ["livekit", "pipecat"])
def test_without_its_framework_an_adapter_names_its_extra(framework):
    if find_spec(framework) is not None:
        pytest.skip("it is installed here")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import avatarwire.{framework}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == (
        f"avatarwire.errors.MissingExtraError: avatarwire.{framework} needs an extra:"
        f' pip install "avatarwire[{framework}]"'
    )
