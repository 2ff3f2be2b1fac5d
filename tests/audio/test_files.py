import io
import os
import shlex
import struct
import sys
import threading
import tracemalloc
import wave
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatarwire.audio import PcmFormat, files, read, write_wav
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


@pytest.mark.parametrize("length", [1, 3, 41, 70001])
def test_an_odd_chunk_may_lack_the_zero_that_follows_it(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.wav"
    odd = b"LIST" + struct.pack("<I", length) + b"a" * length
    whole = GOOD[:12] + odd + GOOD[12:36] + odd + GOOD[36:]
    path.write_bytes(whole)
    for source in (path, whole, io.BytesIO(whole)):
        chunks, format_ = read(source)
        assert (b"".join(chunks), format_) == (PCM, PcmFormat(24000))


def test_the_sample_in_the_repository() -> None:
    path = Path(__file__).parents[1] / "data" / "speech.wav"
    chunks, format_ = read(path)
    assert format_ == PcmFormat(24000)
    assert 3 < format_.ms(sum(map(len, chunks))) / 1000 < 7
    assert path.stat().st_size < 300_000
    with wave.open(str(path)) as wav:
        assert wav.getcomptype() == "NONE"


def wav(riff: int, data: int, sound: bytes = PCM, *, before: bytes = b"") -> bytes:
    """Give a WAV whose two lengths are what is said here."""
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 24000, 48000, 2, 16)
    head = b"RIFF" + struct.pack("<I", riff) + b"WAVE" + fmt + before
    return head + b"data" + struct.pack("<I", data) + sound


def rf64(sound: bytes, size: int, *, name: bytes = b"RF64", after: bytes = b"") -> bytes:
    ds64 = struct.pack("<4sIQQQI", b"ds64", 28, 0, size, 0, 0)
    return (
        name
        + wav(0xFFFF_FFFF, 0xFFFF_FFFF, sound)[4:12]
        + ds64
        + GOOD[12:40]
        + (b"\xff" * 4 + sound + after)
    )


def rifx(sound: bytes, *, bits: int = 16) -> bytes:
    swapped = array("h", sound)
    swapped.byteswap()
    fmt = struct.pack(">4sIHHIIHH", b"fmt ", 16, 1, 1, 24000, 48000, bits // 8, bits)
    body = b"WAVE" + fmt + b"data" + struct.pack(">I", len(sound)) + swapped.tobytes()
    return b"RIFX" + struct.pack(">I", len(body)) + body


LIST = b"LIST" + struct.pack("<I", 10) + b"INFOabcdef"
UNKNOWN = {
    "all ones": wav(0xFFFF_FFFF, 0xFFFF_FFFF),
    "all ones, after another chunk": wav(0xFFFF_FFFF, 0xFFFF_FFFF, before=LIST),
    "all ones but the header": wav(0xFFFF_FFFF, 0xFFFF_FFFF - 36),
    "the largest signed": wav(0x7FFF_FFFF, 0x7FFF_FFFF),
    "espeak-ng": wav(0x7FFF_F024, 0x7FFF_F000),
    "two thousand million": wav(2_000_000_036, 2_000_000_000),
    "zeros": wav(0, 0),
    "zero, and the header alone": wav(36, 0),
    "half a sample at the end": wav(0, 0, PCM + b"x"),
    "RF64 without a length": rf64(PCM, 0),
    "RF64 of all ones": rf64(PCM, 0xFFFF_FFFF_FFFF_FFFF),
}
KNOWN = {
    "as it should be": GOOD,
    "more behind it": GOOD + LIST,
    "RF64": rf64(PCM, len(PCM), after=LIST),
    "BW64": rf64(PCM, len(PCM), name=b"BW64"),
    "big-endian": rifx(PCM),
}


class Pipe:
    """What has ``read`` alone, and gives less than was asked for."""

    def __init__(self, content: bytes, piece_bytes: int) -> None:
        self._file = io.BytesIO(content)
        self._piece_bytes = piece_bytes

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, self._piece_bytes))


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


DOORS: dict[str, Callable[[bytes, Path], object]] = {
    "path": lambda content, path: path.write_bytes(content) and path,
    "bytes": lambda content, _: content,
    "samples": lambda content, _: array("B", content),
    "file": lambda content, _: io.BytesIO(content),
    "pipe": lambda content, _: Pipe(content, 7),
    "pieces": lambda content, _: pieces(content, 1000),
    "list with empty ones": lambda content, _: [b"", content[:3], b"", bytearray(content[3:])],
}
each_door = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)


@each_door
@pytest.mark.parametrize("content", [*UNKNOWN.values(), *KNOWN.values()], ids=[*UNKNOWN, *KNOWN])
def test_what_is_there_is_read_whatever_length_was_written(
    tmp_path: Path, door: Callable[[bytes, Path], object], content: bytes
) -> None:
    chunks, format_ = read(door(content, tmp_path / "a.wav"))
    parts = list(chunks)
    assert (b"".join(parts), format_) == (PCM, PcmFormat(24000))
    assert [len(part) for part in parts] == [48000, 48000]


def test_the_length_of_the_file_for_that_of_the_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    for wrong in (len(PCM) + 44, len(PCM) + 36):
        path.write_bytes(wav(0, wrong))
        assert b"".join(read(path)[0]) == PCM


@each_door
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (GOOD[:1044], "truncated, 1000 of the 96000 bytes"),
        (rifx(PCM)[:1044], "truncated, 1000 of the 96000 bytes"),
        (GOOD[:30], "cut off within its header"),
        (wav(0, 0, b""), "without any sound"),
    ],
)
def test_a_known_length_that_is_not_there_is_an_error_at_every_door(
    tmp_path: Path, door: Callable[[bytes, Path], object], content: bytes, words: str
) -> None:
    with pytest.raises(AudioFormatError, match=words):
        list(read(door(content, tmp_path / "a.wav"))[0])


def test_a_file_that_says_it_is_empty_plays_nothing_that_is_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(36 + len(LIST), 0, LIST))
    with pytest.raises(AudioFormatError, match="without any sound"):
        read(path)


@given(
    content=st.sampled_from([GOOD, rifx(PCM), rf64(PCM, len(PCM)), UNKNOWN["zeros"]]),
    cuts=st.lists(st.integers(0, len(GOOD)), max_size=9),
)
def test_where_the_pieces_end_makes_no_difference(content: bytes, cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(content)]
    chunks, _ = read([content[a:b] for a, b in pairwise(ends)])
    assert b"".join(chunks) == PCM


@given(st.binary(max_size=200).map(lambda noise: GOOD[:4] + noise[:4] + b"WAVE" + noise[4:]))
def test_noise_for_a_header_is_sound_or_an_error_of_the_file(content: bytes) -> None:
    with suppress(AudioFormatError):
        _, format_ = read(content)
        assert format_.sample_rate > 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
@pytest.mark.parametrize("content", [GOOD, UNKNOWN["all ones"], rifx(PCM)])
def test_a_named_pipe_is_read_and_closed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    chunks, format_ = read(path)
    assert (b"".join(chunks), format_) == (PCM, PcmFormat(24000))
    writer.join()  # and filterwarnings=error turns a leaked file into a failure


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_a_named_pipe_that_nobody_reads_on_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(GOOD[:1000],))
    writer.start()
    read(path)
    writer.join()


def test_a_file_of_the_callers_is_read_from_where_it_stands_and_not_closed() -> None:
    file = io.BytesIO(b"before" + GOOD)
    file.seek(6)
    assert b"".join(read(file)[0]) == PCM
    assert not file.closed


def test_a_pipe_is_read_as_it_comes() -> None:
    taken = 0

    def slowly() -> Iterator[bytes]:
        nonlocal taken
        for piece in pieces(UNKNOWN["zeros"], 1000):
            taken += 1
            yield piece

    chunks, _ = read(slowly())
    assert taken == 1
    next(chunks)
    assert taken == 49


def test_one_large_piece_is_not_copied_for_each_second_of_it() -> None:
    content = wav(0, 0, bytes(20_000_000))
    chunks, _ = read([content])
    next(chunks)
    tracemalloc.start()
    try:
        assert sum(map(len, chunks)) == 20_000_000 - 48000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_what_cannot_be_streamed_is_gathered_within_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "MAX_GATHERED_BYTES", 100_000)

    def endless() -> Iterator[bytes]:
        while True:
            yield b"OggS" + bytes(9996)

    with pytest.raises(AudioFormatError, match="through a pipe; save it as a file first"):
        read(endless())


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (5, "read takes a path, a binary file, bytes or an iterable of them, not int"),
        (None, "not NoneType"),
        (io.StringIO("RIFF"), "the sound gives str: open it in binary mode"),
        (["RIFF"], "the sound gives str"),
    ],
)
def test_what_is_no_sound_at_all_is_a_type_error(source: object, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        read(source)  # type: ignore[arg-type]


def test_big_endian_of_other_widths_says_what_to_do() -> None:
    with pytest.raises(
        AudioFormatError, match=r"24-bit big-endian PCM.*convert it to a little-end"
    ):
        read(rifx(PCM, bits=24))


def test_what_is_written_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, array("h", PCM), PcmFormat(24000))
    assert path.read_bytes() == GOOD
    with pytest.raises(TypeError, match="32-bit ones"):
        write_wav(path, array("i", PCM), PcmFormat(24000))
