import io
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from avatarwire.audio import PcmFormat, write_wav
from avatarwire.cli.sound import USER_FORMAT, converted, load

PCM = bytes(range(256)) * 12


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", PCM, PcmFormat(44100, 2))
    assert load(str(tmp_path / "a.wav")) == (PCM, PcmFormat(44100, 2))


def test_a_dash_is_the_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_wav(tmp_path / "a.wav", PCM, PcmFormat(44100, 2))
    content = io.BytesIO((tmp_path / "a.wav").read_bytes())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=content))
    assert load("-") == (PCM, PcmFormat(44100, 2))
    with pytest.raises(click.ClickException, match="an empty file"):
        load("-")


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"none")
    for path in (tmp_path / "a.wav", tmp_path):
        with pytest.raises(click.ClickException) as caught:
            load(str(path))
        assert "\n" not in caught.value.message


def test_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    assert converted(PCM, USER_FORMAT, USER_FORMAT) == PCM
    assert len(converted(PCM, PcmFormat(48000, 2), USER_FORMAT)) == len(PCM) // 6
    monkeypatch.setitem(sys.modules, "avatarwire.audio._conversion", None)
    with pytest.raises(click.ClickException, match="pip install"):
        converted(PCM, PcmFormat(48000, 2), USER_FORMAT)
