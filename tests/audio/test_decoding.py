import io
import logging
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from avatarwire.audio import PcmFormat, _decoding, read
from avatarwire.errors import AudioFormatError

AMPLITUDE = 10000
DAMAGED = r"truncated or damaged|or broken"


def encode(
    path: Path, codec: str, *, rate: int = 44100, layout: str = "mono", seconds: float = 2.5
) -> Path:
    """Write 440 Hz in every channel."""
    count = int(rate * seconds)
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    tone = AMPLITUDE * np.sin(2 * np.pi * 440 * np.arange(count) / rate)
    frame = av.AudioFrame.from_ndarray(
        np.rint(tone).astype(np.int16).repeat(channels)[None], format="s16", layout=layout
    )
    frame.sample_rate = rate
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def film(path: Path) -> Path:
    """Write a second of black without sound."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        for _ in range(25):
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    return path


def loudest(pcm: bytes, format_: PcmFormat) -> tuple[float, float]:
    """Give the frequency and the amplitude of the strongest tone in the first channel."""
    heard = np.frombuffer(pcm, "<i2")[:: format_.channels][::1].astype(float)
    window = np.hanning(len(heard))
    spectrum = np.abs(np.fft.rfft(heard * window))
    peak = int(np.argmax(spectrum))
    return peak * format_.sample_rate / len(heard), 2 * spectrum[peak] / window.sum()


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout"),
    [
        ("a.wav", "pcm_u8", 8000, "mono"),
        ("a.wav", "pcm_mulaw", 8000, "mono"),
        ("a.wav", "pcm_s24le", 44100, "stereo"),
        ("a.wav", "pcm_s32le", 48000, "mono"),
        ("a.wav", "pcm_f32le", 24000, "stereo"),
        ("a.flac", "flac", 96000, "stereo"),
        ("a.mp3", "libmp3lame", 44100, "stereo"),
        ("a.mp3", "libmp3lame", 16000, "mono"),
        ("a.opus", "libopus", 48000, "mono"),
        ("a.webm", "libopus", 48000, "stereo"),
        ("a.m4a", "aac", 44100, "stereo"),
        ("a.aiff", "pcm_s16be", 22050, "mono"),
    ],
)
def test_a_tone_comes_out_at_its_own_rate(
    tmp_path: Path, name: str, codec: str, rate: int, layout: str
) -> None:
    chunks, format_ = read(encode(tmp_path / name, codec, rate=rate, layout=layout))
    assert format_ == PcmFormat(rate, 1 if layout == "mono" else 2)
    parts = list(chunks)
    assert {len(part) for part in parts[:-1]} == {format_.bytes_per_second}
    assert 0 < len(parts[-1]) <= format_.bytes_per_second
    pcm = b"".join(parts)
    assert format_.ms(len(pcm)) == pytest.approx(2500, abs=50)
    hertz, amplitude = loudest(pcm, format_)
    assert hertz == pytest.approx(440, abs=1)
    assert amplitude == pytest.approx(AMPLITUDE, rel=0.1)


@pytest.mark.parametrize("codec", ["pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "flac"])
def test_what_was_16_bits_stays_exact(tmp_path: Path, codec: str) -> None:
    path = encode(tmp_path / ("a.flac" if codec == "flac" else "a.wav"), codec, rate=24000)
    tone = AMPLITUDE * np.sin(2 * np.pi * 440 * np.arange(60000) / 24000)
    assert b"".join(read(path)[0]) == np.rint(tone).astype("<i2").tobytes()


def test_more_channels_are_mixed_to_stereo(tmp_path: Path) -> None:
    chunks, format_ = read(encode(tmp_path / "a.wav", "pcm_s16le", rate=48000, layout="5.1"))
    assert format_ == PcmFormat(48000, 2)
    pcm = b"".join(chunks)
    assert format_.ms(len(pcm)) == 2500
    assert loudest(pcm, format_)[0] == pytest.approx(440, abs=1)


def test_it_is_decoded_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encode(tmp_path / "a.flac", "flac", rate=16000, seconds=60)
    decoded_bytes = 0
    decode = _decoding._pcm

    def counting(*arguments) -> Iterator[bytes]:
        nonlocal decoded_bytes
        for pcm in decode(*arguments):
            decoded_bytes += len(pcm)
            yield pcm

    monkeypatch.setattr(_decoding, "_pcm", counting)
    chunks, format_ = read(path)
    assert decoded_bytes == 0
    next(chunks)
    assert 1 <= decoded_bytes / format_.bytes_per_second < 2


def open_files() -> list[str]:
    return [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_file_is_open_only_while_it_is_read(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.flac", "flac")
    chunks, _ = read(path)
    assert str(path) not in open_files()
    next(chunks)
    assert str(path) in open_files()
    assert isinstance(chunks, Iterator)
    chunks.close()  # type: ignore[attr-defined]
    assert str(path) not in open_files()
    assert len(list(read(path)[0])) == 3
    assert str(path) not in open_files()


@pytest.mark.parametrize(
    "content", [b"hello, this is text", b"ID3\x04rest", b"OggSrest", b"\0" * 99]
)
def test_what_is_not_sound_is_refused_at_once(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    with pytest.raises(AudioFormatError, match="not sound that can be read, or broken") as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_video_without_sound_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioFormatError, match="a video without sound; choose a file"):
        read(film(tmp_path / "a.mp4"))


def test_a_file_with_a_header_alone_is_named(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.aiff", "pcm_s16be", seconds=0.5)
    path.write_bytes(path.read_bytes()[:54])
    with pytest.raises(AudioFormatError):
        read(path)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.flac", "flac"), ("a.aiff", "pcm_s16be"), ("a.m4a", "aac")]
)
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_truncated_file_is_an_error_in_the_end(
    tmp_path: Path, name: str, codec: str, kept: float
) -> None:
    path = encode(tmp_path / name, codec)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(AudioFormatError, match=DAMAGED):
        list(read(path)[0])


def test_damage_on_the_way_is_an_error(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.flac", "flac", seconds=20)
    content = path.read_bytes()
    late = len(content) * 3 // 4
    path.write_bytes(content[:late] + b"\xff" * 20000 + content[late + 20000 :])
    chunks, _ = read(path)
    assert next(chunks)
    with pytest.raises(AudioFormatError, match=DAMAGED):
        list(chunks)


@pytest.mark.parametrize(
    "content",
    [
        "ffconcat version 1.0\nfile other.wav\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nother.wav\n#EXT-X-ENDLIST\n",
    ],
)
def test_a_playlist_opens_no_other_file(tmp_path: Path, content: str) -> None:
    encode(tmp_path / "other.wav", "pcm_s24le")
    path = tmp_path / "a.m3u8"
    path.write_text(content)
    with pytest.raises(AudioFormatError):
        read(path)


def test_a_missing_file_is_an_oserror_here_too(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.mp3")
    with pytest.raises(IsADirectoryError):
        read(tmp_path)


def joined(tmp_path: Path, *parts: tuple[int, str]) -> bytes:
    """Give MP3s of a second one behind the other, each with its tags."""
    return b"".join(
        encode(
            tmp_path / f"{n}.mp3", "libmp3lame", rate=rate, layout=layout, seconds=1
        ).read_bytes()
        for n, (rate, layout) in enumerate(parts)
    )


def test_joined_files_are_read_to_the_end_and_their_tags_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(joined(tmp_path, *[(24000, "mono")] * 3))
    with caplog.at_level(logging.WARNING, "avatarwire.audio"):
        chunks, format_ = read(path)
        pcm = b"".join(chunks)
    assert format_ == PcmFormat(24000)
    assert format_.ms(len(pcm)) == pytest.approx(3000, abs=200)
    assert loudest(pcm, format_)[0] == pytest.approx(440, abs=1)
    assert [record.message.partition(": ")[0] for record in caplog.records] == [str(path)]
    assert "are no sound, and were passed over" in caplog.text


def test_a_whole_file_is_told_nothing_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    list(read(encode(tmp_path / "a.mp3", "libmp3lame"))[0])
    assert not caplog.records


def test_joined_files_of_other_rates_come_out_at_one(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(joined(tmp_path, (44100, "mono"), (24000, "stereo")))
    chunks, format_ = read(path)
    pcm = b"".join(chunks)
    # FFmpeg looks ahead, and may name either.
    assert format_ in {PcmFormat(44100), PcmFormat(24000)}
    assert format_.ms(len(pcm)) == pytest.approx(2000, abs=200)
    half = len(pcm) // 4 * 2
    for part in (pcm[:half], pcm[half:]):
        assert loudest(part, format_)[0] == pytest.approx(440, abs=2)


def test_damage_that_players_read_over_is_read_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = encode(tmp_path / "whole.mp3", "libmp3lame", seconds=4).read_bytes()
    middle = len(content) // 2
    path = tmp_path / "a.mp3"
    path.write_bytes(content[:middle] + b"\0" * 5000 + content[middle + 5000 :])
    chunks, format_ = read(path)
    with caplog.at_level(logging.WARNING, "avatarwire.audio"):
        heard_ms = format_.ms(len(b"".join(chunks)))
    # At a constant bit rate, what is gone of the bytes is gone of the time; a frame is 26 ms.
    assert heard_ms == pytest.approx(4000 * (1 - 5000 / len(content)), abs=150)
    assert "are no sound, and were passed over" in caplog.text


@pytest.mark.parametrize("length", [2**62, -(2**40)])
def test_a_length_that_leads_nowhere_is_the_end_of_the_file(tmp_path: Path, length: int) -> None:
    path = encode(tmp_path / "a.caf", "pcm_s16le", rate=24000)
    expected = b"".join(read(path)[0])
    content = path.read_bytes() + b"junk" + struct.pack(">q", length) + b"more"
    path.write_bytes(content)
    for source in (path, content):
        assert b"".join(read(source)[0]) == expected


@pytest.mark.parametrize(("name", "codec"), [("a.mp3", "libmp3lame"), ("a.m4a", "aac")])
def test_what_cannot_seek_is_read_as_a_file_is(tmp_path: Path, name: str, codec: str) -> None:
    content = encode(tmp_path / name, codec).read_bytes()
    expected = b"".join(read(tmp_path / name)[0])
    for source in (
        content,
        io.BytesIO(content),
        (content[start : start + 999] for start in range(0, len(content), 999)),
    ):
        assert b"".join(read(source)[0]) == expected


def test_a_wav_of_other_samples_without_a_length_is_read_to_its_end(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.wav", "pcm_s24le", rate=24000)
    expected = b"".join(read(path)[0])
    content = path.read_bytes()
    at = content.index(b"data") + 4
    path.write_bytes(content[:4] + b"\xff" * 4 + content[8:at] + b"\xff" * 4 + content[at + 4 :])
    assert b"".join(read(path)[0]) == expected
    assert b"".join(read(path.read_bytes())[0]) == expected


@pytest.mark.parametrize("name", ["a.opus", "a.webm"])
def test_sound_that_damage_has_swallowed_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    path = encode(tmp_path / name, "libopus", rate=48000, seconds=4)
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half : half + 500] = bytes(500)
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING, "avatarwire.audio"):
        chunks, format_ = read(path)
        heard_ms = format_.ms(sum(map(len, chunks)))
    assert heard_ms < 3500
    (told,) = re.findall(r"(\d\.\d\d) s of its sound are missing", caplog.text)
    assert 1000 * float(told) == pytest.approx(4000 - heard_ms, abs=100)
