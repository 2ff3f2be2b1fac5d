import io
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from avatarwire.audio import PcmFormat, write_wav
from avatarwire.cli import sound
from avatarwire.cli.sound import USER_FORMAT, converted, load, load_raw

PCM = bytes(range(256)) * 12


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", PCM, PcmFormat(44100, 2))
    assert load(str(tmp_path / "a.wav")) == (PCM, PcmFormat(44100, 2))


def test_a_dash_is_the_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_wav(tmp_path / "a.wav", PCM, PcmFormat(44100, 2))
    content = io.BytesIO((tmp_path / "a.wav").read_bytes())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=content, isatty=lambda: False))
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


def test_a_rate_that_cannot_be_converted_is_one_line() -> None:
    with pytest.raises(click.ClickException, match=r"1000 Hz mono cannot be sent .*convert"):
        converted(PCM, PcmFormat(1000), USER_FORMAT)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stdin", "words"), [(None, "no standard input"), (Terminal(), "is a terminal: pipe sound")]
)
def test_a_standard_input_that_has_no_sound(
    stdin: object, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", stdin)
    for read in (load, lambda file: load_raw(file, 16000)):
        with pytest.raises(click.ClickException, match=words):
            read("-")


def stdin_of(data: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data))


def test_raw_pcm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pcm").write_bytes(PCM)
    monkeypatch.setattr("sys.stdin", stdin_of(PCM))
    for file in (str(tmp_path / "a.pcm"), "-"):
        assert load_raw(file, 22050) == (PCM, PcmFormat(22050))


@pytest.mark.parametrize("data", [b"", b"odd"])
def test_bytes_that_are_no_samples_are_one_line(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", stdin_of(data))
    with pytest.raises(click.ClickException, match=f"{len(data)} bytes are not 16-bit samples"):
        load_raw("-", 16000)


def test_a_file_of_raw_pcm_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match=r"cannot read .*: Is a directory"):
        load_raw(str(tmp_path), 16000)


def test_sound_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sound, "MAX_SOUND_BYTES", 1 << 20)
    reader, writer = os.pipe()

    def pour() -> None:
        with open(writer, "wb", buffering=0) as pipe:  # noqa: PTH123 - a descriptor
            try:
                while True:
                    pipe.write(bytes(1 << 16))
            except BrokenPipeError:
                pass

    thread = threading.Thread(target=pour)
    thread.start()
    with open(reader) as stdin:  # noqa: PTH123
        monkeypatch.setattr("sys.stdin", stdin)
        with pytest.raises(click.ClickException, match="-: more than 1 MB of sound; cut it"):
            load_raw("-", 16000)
        monkeypatch.undo()
    thread.join()
