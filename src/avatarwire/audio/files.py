"""Sound files: 16-bit WAV by the standard library alone, all else through the ``audio`` extra."""

import io
import shlex
import struct
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import BinaryIO, TypeAlias

from avatarwire.audio.formats import SAMPLE_BYTES, PcmFormat
from avatarwire.errors import AudioFormatError, MissingExtraError

__all__ = ["read", "write_wav"]

FilePath: TypeAlias = str | PathLike[str]

PCM = 1
EXTENSIBLE = 0xFFFE
FMT_BYTES = 40

_ENCODINGS = {
    PCM: "PCM",
    2: "ADPCM",
    3: "floating point",
    6: "A-law",
    7: "mu-law",
    0x55: "MP3",
    EXTENSIBLE: "extensible",
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


def read(source: FilePath | BinaryIO) -> tuple[Iterator[bytes], PcmFormat]:
    """Open a sound file at its own rate, mono or stereo; more channels are mixed to stereo.

    A 16-bit PCM WAV needs nothing. Any other file that FFmpeg reads (another WAV, MP3, Opus, Ogg,
    FLAC, M4A, the sound of a video) needs the ``audio`` extra and comes out in 16 bits.

    The sound is read as the iterator advances; the file is open only between the iterator's first
    step and its end or ``close()``. That a WAV is as long as it says is checked before this
    returns; other damage beyond the start is an error when the iterator reaches it. MP3 and Ogg do
    not tell their length: cut between two of their frames, they are a shorter file.

    Args:
        source: a path, of a pipe too, or a binary file such as ``sys.stdin.buffer``; what cannot
            seek is read whole before this returns.

    Returns:
        the PCM in chunks of a second (the last may be shorter), and its format.

    Raises:
        AudioFormatError: no sound, or a broken file; from the iterator too.
        MissingExtraError: the file needs the extra, and it is not installed.
        OSError: the file cannot be read.
    """
    path = _seekable(source)
    wav = _parse_wav(path)
    if wav is None:
        return _decode(path, _kind(path))
    _check(path, wav)
    if not wav.is_plain:
        return _decode(path, str(wav))
    format_ = PcmFormat(wav.sample_rate, wav.channels)
    return _chunks(path, wav, format_), format_


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


@dataclass(frozen=True, slots=True)
class Gathered:
    """What came through a pipe, which is read once and forwards; used in the place of a path.

    Attributes:
        name: for the errors.
        data: all of it.
    """

    name: str
    data: bytes

    def __str__(self) -> str:
        return self.name

    def open(self, _mode: str) -> BinaryIO:
        """Open it for reading."""
        return io.BytesIO(self.data)


def _seekable(source: FilePath | BinaryIO) -> Path | Gathered:
    if not isinstance(source, str | PathLike):
        return Gathered(str(getattr(source, "name", "the sound")), source.read())
    path = Path(source)
    if path.is_file() or path.is_dir() or not path.exists():
        return path
    return Gathered(str(path), path.read_bytes())


@dataclass(frozen=True, slots=True)
class _Wav:
    """What the header of a WAV says, and what there is."""

    encoding: int
    channels: int
    sample_rate: int
    bits: int
    start_bytes: int
    promised_bytes: int
    present_bytes: int

    @property
    def is_plain(self) -> bool:
        return (
            (self.encoding, self.bits) == (PCM, 8 * SAMPLE_BYTES)
            and self.channels in {1, 2}
            and self.sample_rate > 0
        )

    def __str__(self) -> str:
        # Not a PcmFormat: a broken header may hold zeros.
        layout = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")
        name = _ENCODINGS.get(self.encoding, f"encoding {self.encoding}")
        return f"{self.bits}-bit {name}, {self.sample_rate} Hz {layout}"


def _parse_wav(path: Path | Gathered) -> _Wav | None:
    """Read the header; None: not a WAV.

    By hand, since the standard library's ``wave`` knows the extensible header, which 24-bit and
    many 16-bit files have, from Python 3.12 on only.
    """
    size = len(path.data) if isinstance(path, Gathered) else path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if not head:
            raise AudioFormatError(f"{path}: an empty file; record or copy it again")
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        fmt = b""
        while len(head := file.read(8)) == 8:
            name, length = head[:4], int.from_bytes(head[4:], "little")
            start = file.tell()
            if name == b"data" and len(fmt) >= 16:
                encoding, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", fmt)
                if encoding == EXTENSIBLE and len(fmt) >= 26:
                    encoding = int.from_bytes(fmt[24:26], "little")
                return _Wav(encoding, channels, rate, bits, start, length, size - start)
            if name == b"fmt ":
                fmt = file.read(min(length, FMT_BYTES))
            file.seek(start + length + length % 2)
    raise AudioFormatError(f"{path}: a WAV cut off within its header; copy it again")


def _check(path: Path | Gathered, wav: _Wav) -> None:
    if not wav.promised_bytes:
        raise AudioFormatError(f"{path}: a WAV without any sound in it; record it again")
    if wav.present_bytes <= 0:
        raise AudioFormatError(
            f"{path}: a WAV cut off after its header, without any sound in it; copy it again"
        )
    if wav.present_bytes < wav.promised_bytes:
        raise AudioFormatError(
            f"{path}: truncated, {wav.present_bytes} of the {wav.promised_bytes} bytes of sound "
            f"that its header names; copy it again, or keep what is there: {_ffmpeg(path)}"
        )


def _chunks(path: Path | Gathered, wav: _Wav, format_: PcmFormat) -> Iterator[bytes]:
    # Opened here, not handed in: an iterator that nobody starts then holds no file open.
    with path.open("rb") as file:
        file.seek(wav.start_bytes)
        left = wav.promised_bytes - wav.promised_bytes % format_.frame_bytes
        while left and (chunk := file.read(min(left, format_.bytes_per_second))):
            left -= len(chunk)
            yield chunk


def _decode(path: Path | Gathered, kind: str) -> tuple[Iterator[bytes], PcmFormat]:
    try:
        from avatarwire.audio import _decoding  # noqa: PLC0415 - heavy
    except ModuleNotFoundError as exc:
        raise MissingExtraError(f"reading {path} ({kind})", "audio") from exc
    format_ = _decoding.probe(path)
    return _decoding.chunks(path, format_), format_


def _kind(path: Path | Gathered) -> str:
    """Say what a file is that is not a WAV."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        return "MP4"
    names = (name for magic, name in _OTHER_FILES if head.startswith(magic))
    return next(names, "an unknown kind of file")


def _ffmpeg(path: Path | Gathered) -> str:
    if isinstance(path, Gathered):
        return "ffmpeg -i INPUT -c:a pcm_s16le OUTPUT.wav"
    target = path.with_name(f"{path.stem}-mended.wav")
    return f"ffmpeg -i {shlex.quote(str(path))} -c:a pcm_s16le {shlex.quote(str(target))}"
