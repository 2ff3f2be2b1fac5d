"""Sound files: 16-bit WAV by the standard library alone, all else through the ``audio`` extra."""

import shlex
import struct
import wave
from collections.abc import Iterator
from os import PathLike, fspath
from pathlib import Path
from typing import TypeAlias

from avatarwire.audio.formats import SAMPLE_BYTES, PcmFormat
from avatarwire.errors import AudioFormatError, MissingExtraError

__all__ = ["read", "write_wav"]

FilePath: TypeAlias = str | PathLike[str]

CHUNK_SECONDS = 1

_ENCODINGS = {
    1: "PCM",
    2: "ADPCM",
    3: "floating point",
    6: "A-law",
    7: "mu-law",
    0x55: "MP3",
    0xFFFE: "extensible",
}
_OTHER_FILES = (
    (b"ID3", "MP3"),
    (b"\xff\xfb", "MP3"),
    (b"OggS", "Ogg"),
    (b"fLaC", "FLAC"),
    (b"RF64", "RF64 (a WAV over 4 GB)"),
    (b"FORM", "AIFF"),
    (b"\x1aE\xdf\xa3", "WebM or Matroska"),
)


def read(path: FilePath) -> tuple[Iterator[bytes], PcmFormat]:
    """Open a sound file at its own rate, mono or stereo; more channels are mixed to stereo.

    A 16-bit PCM WAV needs nothing, and that it is as long as it says is checked before this
    returns. Any other file that FFmpeg reads (another WAV, MP3, Ogg, Opus, FLAC, M4A, the sound of
    a video) needs the ``audio`` extra and is mixed to 16 bits; of those, damage beyond the start
    shows while the iterator advances. Either way the sound is read as the iterator advances; the
    file is open only between its first step and its end or ``close()``.

    Returns:
        the PCM in chunks of a second (the last may be shorter), and its format.

    Raises:
        AudioFormatError: no sound, or a broken file; from the iterator too.
        MissingExtraError: the file needs the extra, and it is not installed.
        OSError: the file cannot be read.
    """
    path = Path(path)
    try:
        format_ = _check(path)
    except wave.Error:
        return _decode(path)
    return _chunks(path), format_


def write_wav(path: FilePath, pcm: bytes | bytearray | memoryview, format: PcmFormat) -> None:  # noqa: A002
    """Write ``pcm`` as a 16-bit WAV.

    Raises:
        ValueError: ``pcm`` is not a whole number of samples of every channel.
        OSError: the file cannot be written.
    """
    size = memoryview(pcm).nbytes
    if size % format.frame_bytes:
        raise ValueError(f"{size} bytes is not a whole number of {format} samples")
    # Opened here: ``wave`` complains on stderr about a path that it cannot open.
    with Path(path).open("wb") as file, wave.open(file) as wav:
        wav.setnchannels(format.channels)
        wav.setsampwidth(SAMPLE_BYTES)
        wav.setframerate(format.sample_rate)
        wav.writeframes(pcm)


def _chunks(path: Path) -> Iterator[bytes]:
    # Opened here, not handed in: an iterator that nobody starts then holds no file open.
    with wave.open(fspath(path), "rb") as wav:
        while chunk := wav.readframes(CHUNK_SECONDS * wav.getframerate()):
            yield chunk


def _check(path: Path) -> PcmFormat:
    """Give the format of a 16-bit WAV; ``wave.Error``: it is something else."""
    with path.open("rb") as file:
        if not file.read(1):
            raise AudioFormatError(f"{path}: an empty file; record or copy it again")
        file.seek(0)
        try:
            wav = wave.open(file)  # noqa: SIM115 - it owns nothing; ``file`` is closed above
        except (wave.Error, EOFError) as exc:
            raise wave.Error from exc
        # ``wave`` stops at the first sample.
        present = path.stat().st_size - file.tell()
        rate, channels, width = wav.getframerate(), wav.getnchannels(), wav.getsampwidth()
        promised = wav.getnframes() * width * channels
    if not promised:
        raise AudioFormatError(f"{path}: a WAV without any sound in it; record it again")
    if present < promised:
        raise AudioFormatError(
            f"{path}: truncated, {present} of the {promised} bytes of sound that its header names; "
            f"copy it again, or keep what is there: {_ffmpeg(path)}"
        )
    if width != SAMPLE_BYTES or channels > 2:
        raise wave.Error
    return PcmFormat(rate, channels)


def _decode(path: Path) -> tuple[Iterator[bytes], PcmFormat]:
    try:
        from avatarwire.audio import _decoding  # noqa: PLC0415 - heavy
    except ModuleNotFoundError as exc:
        raise MissingExtraError(f"reading {path} ({_kind(path)})", "audio") from exc
    format_ = _decoding.probe(path)
    return _decoding.chunks(path, format_), format_


def _kind(path: Path) -> str:
    """Say what a file is that is no 16-bit WAV."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        chunk = head.find(b"fmt ", 12)
        if chunk < 0 or len(head) < chunk + 24:
            return "a WAV cut off within its header"
        tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", head, chunk + 8)
        return f"{bits}-bit {_ENCODINGS.get(tag, f'encoding {tag}')}, {_shape(rate, channels)}"
    if head[4:8] == b"ftyp":
        return "MP4"
    names = (name for magic, name in _OTHER_FILES if head.startswith(magic))
    return next(names, "an unknown kind of file")


def _shape(rate: int, channels: int) -> str:
    # Not a PcmFormat: a broken header may hold zeros.
    layout = {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
    return f"{rate} Hz {layout}"


def _ffmpeg(path: Path) -> str:
    target = path.with_name(f"{path.stem}-mended.wav")
    return f"ffmpeg -i {shlex.quote(str(path))} -c:a pcm_s16le {shlex.quote(str(target))}"
