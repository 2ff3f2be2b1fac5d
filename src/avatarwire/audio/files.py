"""Sound files: 16-bit PCM WAV in and out, by the standard library alone."""

import shlex
import struct
import wave
from collections.abc import Iterator
from os import PathLike, fspath
from pathlib import Path
from typing import TypeAlias

from avatarwire.audio.formats import SAMPLE_BYTES, PcmFormat
from avatarwire.errors import AudioFormatError

__all__ = ["read", "write_wav"]

FilePath: TypeAlias = str | PathLike[str]

SAMPLE_RATES = (16000, 24000, 48000)
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
    """Open a 16-bit PCM WAV at 16, 24 or 48 kHz, mono or stereo.

    The whole header, and that the file is as long as it says, is checked before this returns; the
    sound is read as the iterator advances.

    Returns:
        the PCM in chunks of a second (the last may be shorter), and its format.

    Raises:
        AudioFormatError: anything else than such a WAV; the text says what it is and what to do.
        OSError: the file cannot be read.
    """
    path = Path(path)
    return _chunks(path), _check(path)


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
    with path.open("rb") as file:
        try:
            wav = wave.open(file)  # noqa: SIM115 - it owns nothing; ``file`` is closed above
        except (wave.Error, EOFError) as exc:
            raise AudioFormatError(_describe(path)) from exc
        # ``wave`` stops at the first sample.
        present = path.stat().st_size - file.tell()
        rate, channels, width = wav.getframerate(), wav.getnchannels(), wav.getsampwidth()
        promised = wav.getnframes() * width * channels
    if width != SAMPLE_BYTES or rate not in SAMPLE_RATES or channels not in {1, 2}:
        raise AudioFormatError(_wrong(path, f"{8 * width}-bit PCM, {_shape(rate, channels)}"))
    if not promised:
        raise AudioFormatError(f"{path}: a WAV without any sound in it; record it again")
    if present < promised:
        raise AudioFormatError(
            f"{path}: truncated, {present} of the {promised} bytes of sound that its header names; "
            f"copy it again, or keep what is there: {_ffmpeg(path)}"
        )
    return PcmFormat(rate, channels)


def _describe(path: Path) -> str:
    """Say what a file that ``wave`` refused is."""
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        return f"{path}: an empty file; record or copy it again"
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return _describe_wav(path, head)
    if head[4:8] == b"ftyp":
        return _wrong(path, "MP4")
    names = (name for magic, name in _OTHER_FILES if head.startswith(magic))
    return _wrong(path, next(names, "an unknown kind of file"))


def _describe_wav(path: Path, head: bytes) -> str:
    chunk = head.find(b"fmt ", 12)
    if chunk < 0 or len(head) < chunk + 24:
        return f"{path}: a WAV cut off within its header; copy it again"
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", head, chunk + 8)
    if tag == 1 and head.find(b"data", chunk) < 0:
        return f"{path}: a WAV without its sound; copy it again"
    name = _ENCODINGS.get(tag, f"encoding {tag}")
    return _wrong(path, f"{bits}-bit {name}, {_shape(rate, channels)}")


def _shape(rate: int, channels: int) -> str:
    # Not a PcmFormat: a broken header may hold zeros.
    layout = {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
    return f"{rate} Hz {layout}"


def _wrong(path: Path, what: str) -> str:
    return (
        f"{path}: {what}, not a 16-bit PCM WAV at 16, 24 or 48 kHz, mono or stereo; "
        f"convert it: {_ffmpeg(path)}"
    )


def _ffmpeg(path: Path) -> str:
    target = path.with_name(f"{path.stem}-24k.wav")
    return (
        f"ffmpeg -i {shlex.quote(str(path))} -ar 24000 -ac 1 -c:a pcm_s16le "
        f"{shlex.quote(str(target))}"
    )
