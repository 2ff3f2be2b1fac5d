import shlex
import struct
import sys
import wave
from pathlib import Path

import pytest

from avatarwire.audio import PcmFormat, read, write_wav
from avatarwire.errors import AudioFormatError, MissingExtraError

PCM = bytes(range(256)) * 375


def riff(
    tag: int, channels: int, rate: int, bits: int, data: bytes, *, extra: bytes = b""
) -> bytes:
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits) + extra
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(fmt)) + fmt
    body += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("rate", [16000, 24000, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_written_is_read(tmp_path: Path, rate: int, channels: int) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, PCM, PcmFormat(rate, channels))
    chunks, format_ = read(path)
    assert format_ == PcmFormat(rate, channels)
    assert b"".join(chunks) == PCM


def test_it_is_read_a_second_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(str(path), bytearray(PCM + PCM[:100]), PcmFormat(24000))
    assert [len(chunk) for chunk in read(str(path))[0]] == [48000, 48000, 100]


def test_an_iterator_that_is_dropped_holds_no_file_open(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, PCM, PcmFormat(16000))
    read(path)
    started, _ = read(path)
    next(started)
    del started  # filterwarnings=error turns a leaked file into a failure


def test_half_a_sample_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 bytes is not a whole number of 16000 Hz mono"):
        write_wav(tmp_path / "a.wav", b"abc", PcmFormat(16000))


def test_a_missing_file_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.wav")


GOOD = riff(1, 1, 24000, 16, PCM)
MP4 = b"\0\0\0\x18ftypM4A "


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 96000])
def test_any_rate_is_kept(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(riff(1, 1, rate, 16, PCM))
    chunks, format_ = read(path)
    assert format_ == PcmFormat(rate)
    assert b"".join(chunks) == PCM


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (riff(1, 1, 24000, 8, PCM), "8-bit PCM, 24000 Hz mono"),
        (riff(1, 2, 48000, 24, PCM), "24-bit PCM, 48000 Hz stereo"),
        (riff(1, 6, 48000, 16, PCM), "16-bit PCM, 48000 Hz 6 channels"),
        (riff(3, 1, 24000, 32, PCM), "32-bit floating point, 24000 Hz mono"),
        (riff(7, 1, 8000, 8, PCM), "8-bit mu-law, 8000 Hz mono"),
        (riff(0x161, 2, 44100, 16, PCM), "16-bit encoding 353, 44100 Hz stereo"),
        (b"ID3\x04rest", "MP3"),
        (b"OggSrest", "Ogg"),
        (b"fLaCrest", "FLAC"),
        (MP4, "MP4"),
        (b"hello, this is text", "an unknown kind of file"),
        (b"RIFF\0\0\0\0AVI LIST", "an unknown kind of file"),
    ],
)
def test_what_needs_the_extra_says_so_in_one_line(
    tmp_path: Path, content: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "my sound.wav"
    path.write_bytes(content)
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "avatarwire.audio._decoding", raising=False)
    monkeypatch.delattr("avatarwire.audio._decoding", raising=False)
    with pytest.raises(MissingExtraError) as caught:
        read(path)
    assert str(caught.value) == (
        f'reading {path} ({words}) needs an extra: pip install "avatarwire[audio]"'
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (GOOD[:10], "not sound that can be read, or broken"),
        (GOOD[:30], "cut off within its header"),
        (GOOD[:36], "cut off within its header"),
        (riff(1, 1, 24000, 24, b"")[:36], "cut off within its header"),
        (riff(1, 1, 24000, 24, PCM)[:44], "cut off after its header, without any sound in it"),
        (riff(1, 1, 24000, 24, PCM)[:1044], "truncated, 1000 of the 96000 bytes"),
        (riff(1, 1, 24000, 16, b""), "without any sound"),
        (riff(1, 0, 24000, 16, PCM), "not sound that can be read, or broken"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(AudioFormatError, match=words) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_truncated_file_comes_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "my sound.wav"
    path.write_bytes(GOOD[:1044])
    with pytest.raises(AudioFormatError, match="truncated, 1000 of the 96000 bytes") as caught:
        read(path)
    command = shlex.split(str(caught.value).partition("keep what is there: ")[2])
    assert command[:3] == ["ffmpeg", "-i", str(path)]
    assert command[-1] == str(tmp_path / "my sound-mended.wav")


def test_an_extensible_header_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    guid = b"\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    extension = struct.pack("<HHI", 22, 16, 4) + guid
    path.write_bytes(riff(0xFFFE, 1, 24000, 16, PCM, extra=extension))
    chunks, format_ = read(path)
    assert (b"".join(chunks), format_) == (PCM, PcmFormat(24000))


def test_other_chunks_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    path.write_bytes(GOOD[:12] + odd + GOOD[12:] + odd)
    chunks, format_ = read(path)
    assert (b"".join(chunks), format_) == (PCM, PcmFormat(24000))


def test_the_sample_in_the_repository() -> None:
    path = Path(__file__).parents[1] / "data" / "speech.wav"
    chunks, format_ = read(path)
    assert format_ == PcmFormat(24000)
    assert 3 < format_.ms(sum(map(len, chunks))) / 1000 < 7
    assert path.stat().st_size < 300_000
    with wave.open(str(path)) as wav:
        assert wav.getcomptype() == "NONE"
