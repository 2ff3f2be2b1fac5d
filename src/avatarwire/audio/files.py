"""Sound files: 16-bit WAV by the standard library alone, all else through the ``audio`` extra."""

import io
import shlex
import struct
import sys
import wave
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Protocol, TypeAlias

from avatarwire.audio.contents import kind_of_content
from avatarwire.audio.formats import SAMPLE_BYTES, PcmFormat
from avatarwire.audio.sources import is_one_piece, pieces_of
from avatarwire.codec import pcm_bytes
from avatarwire.errors import AudioFormatError, MissingExtraError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["read", "write_wav"]

FilePath: TypeAlias = str | PathLike[str]
Sound: TypeAlias = "FilePath | IO[bytes] | Iterable[Buffer] | Buffer"

PCM = 1
EXTENSIBLE = 0xFFFE
FMT_BYTES = 40
#: A length from here on, 10 hours at 24 kHz, that is not there is one that nobody knew: whoever
#: writes to a pipe cannot go back to fill it in, and puts 0 or one of several large numbers.
UNKNOWN_BYTES = 0x7000_0000
UNKNOWN_32 = 0xFFFF_FFFF
#: The most that is taken in of a compressed file from a pipe, where FFmpeg could not seek.
MAX_GATHERED_BYTES = 1 << 28
SKIP_BYTES = 1 << 16

# The first is little-endian, as is what the two for over 4 GB hold.
_RIFF, _BIG_ENDIAN, _LARGE = b"RIFF", b"RIFX", (b"RF64", b"BW64")
_NO_SOUND = "a WAV without any sound in it; record it again"
_ENCODINGS = {
    PCM: "PCM",
    2: "ADPCM",
    3: "floating point",
    6: "A-law",
    7: "mu-law",
    0x55: "MP3",
    EXTENSIBLE: "extensible",
}


def read(source: Sound) -> tuple[Iterator[bytes], PcmFormat]:
    """Open a sound file at its own rate, mono or stereo; more channels are mixed to stereo.

    A 16-bit PCM WAV needs nothing. Any other file that FFmpeg reads (another WAV, MP3, Opus, Ogg,
    FLAC, M4A, the sound of a video) needs the ``audio`` extra and comes out in 16 bits.

    The sound is read as the iterator advances; a file that is named is open only between the
    iterator's first step and its end or ``close()``. That a WAV is as long as it says is checked
    before this returns, unless it comes through a pipe; other damage beyond the start is an error
    when the iterator reaches it. A WAV that was written to a pipe has no length, or a made-up one:
    its sound goes on to the end. MP3 and Ogg do not tell their length: cut between two of their
    frames, they are a shorter file. What stands between frames and is no sound, such as the tags of
    MP3 files joined into one, is passed over, and told in the log.

    Args:
        source: a path, of a pipe too; a binary file or stream, which is read from where it stands
            and not closed; an iterable of pieces; or the file's bytes. What cannot seek is read
            once, a WAV of 16 bits as it comes, anything else whole before this returns: 256 MB at
            the most.

    Returns:
        the PCM in chunks of a second (the last may be shorter), and its format.

    Raises:
        AudioFormatError: no sound, or a broken file; from the iterator too.
        MissingExtraError: the file needs the extra, and it is not installed.
        OSError: the file cannot be read.
        TypeError: ``source`` is none of those.
    """
    if isinstance(source, str | PathLike):
        path = Path(source)
        if not path.exists() or path.is_file():
            return _read_file(path)
        return _read_stream(_Stream.opened(path))
    return _read_stream(_Stream.of(source))


def write_wav(path: FilePath, pcm: "Buffer", format: PcmFormat) -> None:  # noqa: A002
    """Write ``pcm`` as a 16-bit WAV.

    Raises:
        TypeError: ``pcm`` is not a buffer of bytes or of 16-bit little-endian integers.
        ValueError: ``pcm`` is not a whole number of samples of every channel.
        OSError: the file cannot be written.
    """
    samples = pcm_bytes(pcm)
    if len(samples) % format.frame_bytes:
        raise ValueError(f"{len(samples)} bytes is not a whole number of {format} samples")
    # Opened here: ``wave`` complains on stderr about a path that it cannot open.
    with Path(path).open("wb") as file, wave.open(file) as wav:
        wav.setnchannels(format.channels)
        wav.setsampwidth(SAMPLE_BYTES)
        wav.setframerate(format.sample_rate)
        wav.writeframes(samples)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Stream:
    """A source that can only be read forwards, with a file's ``read``; FFmpeg can read it again.

    Args:
        name: for the errors.
        pieces: what it consists of.
        file: what to close at the end.
    """

    def __init__(self, name: str, pieces: Iterable[object], file: BinaryIO | None = None) -> None:
        self.name = name
        self.kept = bytearray()
        self.keeps = True
        self._pieces = iter(pieces)
        self._file = file
        self._rest = memoryview(b"")

    @classmethod
    def opened(cls, path: Path) -> "_Stream":
        """Make one of a path, of a pipe as a rule."""
        file = path.open("rb")
        return cls(str(path), pieces_of(file), file)  # type: ignore[arg-type]

    @classmethod
    def of(cls, source: object) -> "_Stream":
        """Make one of anything that a path is not."""
        if is_one_piece(source):
            return cls("the sound", [source])
        pieces: object = pieces_of(source)  # type: ignore[arg-type]
        if not isinstance(pieces, Iterable):
            raise TypeError(
                "read takes a path, a binary file, bytes or an iterable of them, not"
                f" {type(source).__name__}"
            )
        name = getattr(source, "name", None)
        return cls(name if isinstance(name, str) else "the sound", pieces)

    def read(self, size: int, /) -> bytes:
        """Read so many bytes; fewer only at the end."""
        parts: list[memoryview] = []
        missing = size
        while missing > 0:
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._rest = self._checked(piece)
                continue
            # A view: copying the rest of a large piece for each second of it would take for ever.
            parts.append(self._rest[:missing])
            self._rest = self._rest[missing:]
            missing -= len(parts[-1])
        data = b"".join(parts)
        if self.keeps:
            self.kept += data
        return data

    def close(self) -> None:
        """Close what was opened for it."""
        if self._file is not None:
            self._file.close()

    def _checked(self, piece: object) -> memoryview:
        try:
            return memoryview(memoryview(piece).tobytes())  # type: ignore[arg-type]
        except TypeError:
            raise TypeError(
                f"{self.name} gives {type(piece).__name__}: open it in binary mode"
            ) from None


@dataclass(frozen=True, slots=True)
class _Wav:
    """What the header of a WAV says."""

    kind: bytes
    encoding: int
    channels: int
    sample_rate: int
    bits: int
    start_bytes: int
    riff_bytes: int
    promised_bytes: int

    @property
    def is_plain(self) -> bool:
        return (
            (self.encoding, self.bits) == (PCM, 8 * SAMPLE_BYTES)
            and self.channels in {1, 2}
            and self.sample_rate > 0
        )

    @property
    def swaps(self) -> bool:
        return self.kind == _BIG_ENDIAN

    def has_length(self, size_bytes: int | None) -> bool:
        """Return whether the length in the header can be true for a file of ``size_bytes``.

        None stands for a size that is not known. A length of 0 counts where the file says its own
        length; some writers put the length of the whole file, or one that is made up.
        """
        promised = self.promised_bytes
        if size_bytes is None:
            return 0 < promised < UNKNOWN_BYTES
        if promised == 0:
            return self.riff_bytes + 8 == size_bytes
        if self.start_bytes + promised <= size_bytes:
            return True
        return promised < UNKNOWN_BYTES and promised not in {size_bytes, size_bytes - 8}

    def __str__(self) -> str:
        # Not a PcmFormat: a broken header may hold zeros.
        layout = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")
        name = _ENCODINGS.get(self.encoding, f"encoding {self.encoding}")
        order = "big-endian " if self.swaps else ""
        return f"{self.bits}-bit {order}{name}, {self.sample_rate} Hz {layout}"


def _read_file(path: Path) -> tuple[Iterator[bytes], PcmFormat]:
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        wav = _parse_wav(str(path), file)
    if wav is None:
        return _decode(str(path), lambda: path.open("rb"))
    _check(str(path), wav, size_bytes, way_out=f", or keep what is there: {_ffmpeg(path)}")
    if not wav.is_plain:
        return _decode(str(path), lambda: path.open("rb"), wav)
    format_ = PcmFormat(wav.sample_rate, wav.channels)
    return _file_chunks(path, wav, format_, size_bytes), format_


def _read_stream(stream: _Stream) -> tuple[Iterator[bytes], PcmFormat]:
    try:
        wav = _parse_wav(stream.name, stream)
        if wav is not None and wav.is_plain:
            stream.keeps = False
            format_ = PcmFormat(wav.sample_rate, wav.channels)
            chunks = _stream_chunks(stream, wav, format_)
            next(chunks)  # begun, it closes the stream whatever becomes of it
            return chunks, format_
        content = _gathered(stream)
    except BaseException:
        stream.close()
        raise
    stream.close()
    if wav is not None:
        _check(stream.name, wav, len(content))
    return _decode(stream.name, lambda: io.BytesIO(content), wav)


def _gathered(stream: _Stream) -> bytes:
    """Return the whole file, from its beginning."""
    while stream.read(SKIP_BYTES):
        if len(stream.kept) > MAX_GATHERED_BYTES:
            raise AudioFormatError(
                f"{stream.name}: more than {MAX_GATHERED_BYTES >> 20} MB through a pipe; save it"
                " as a file first"
            )
    return bytes(stream.kept)


def _parse_wav(name: str, file: _Readable) -> _Wav | None:
    """Read the header; None: not a WAV.

    By hand, since the standard library's ``wave`` knows the extensible header, which 24-bit and
    many 16-bit files have, from Python 3.12 on only; and forwards, for pipes.
    """
    head = file.read(12)
    if not head:
        raise AudioFormatError(f"{name}: an empty file; record or copy it again")
    kind = head[:4]
    if kind not in {_RIFF, _BIG_ENDIAN, *_LARGE} or head[8:] != b"WAVE":
        return None
    order = ">" if kind == _BIG_ENDIAN else "<"
    (riff_bytes,) = struct.unpack(f"{order}I", head[4:8])
    fmt = b""
    large_bytes = 0
    start = 12
    ahead = b""
    while len(head := ahead + file.read(8 - len(ahead))) == 8:
        chunk, length = struct.unpack(f"{order}4sI", head)
        start += 8
        if chunk == b"data" and len(fmt) >= 16:
            encoding, channels, rate, _, _, bits = struct.unpack_from(f"{order}HHIIHH", fmt)
            if encoding == EXTENSIBLE and len(fmt) >= 26:
                (encoding,) = struct.unpack_from(f"{order}H", fmt, 24)
            promised = large_bytes if length == UNKNOWN_32 and large_bytes else length
            return _Wav(kind, encoding, channels, rate, bits, start, riff_bytes, promised)
        wanted = file.read(min(length, FMT_BYTES))
        if chunk == b"fmt ":
            fmt = wanted
        elif chunk == b"ds64" and len(wanted) >= 16:
            (large_bytes,) = struct.unpack_from("<Q", wanted, 8)
        _skip(file, length - len(wanted))
        # An odd length is followed by a zero, which some writers leave out.
        after = file.read(length % 2)
        ahead = after.strip(b"\0")
        start += length + len(after) - len(ahead)
    raise AudioFormatError(f"{name}: a WAV cut off within its header; copy it again")


def _skip(file: _Readable, size_bytes: int) -> None:
    while size_bytes > 0 and (skipped := len(file.read(min(size_bytes, SKIP_BYTES)))):
        size_bytes -= skipped


def _check(name: str, wav: _Wav, size_bytes: int, *, way_out: str = "") -> None:
    present_bytes = size_bytes - wav.start_bytes
    if wav.promised_bytes and present_bytes <= 0:
        raise AudioFormatError(
            f"{name}: a WAV cut off after its header, without any sound in it; copy it again"
        )
    if present_bytes > 0 and not wav.has_length(size_bytes):
        return
    if not wav.promised_bytes:
        raise AudioFormatError(f"{name}: {_NO_SOUND}")
    if present_bytes < wav.promised_bytes:
        raise AudioFormatError(f"{name}: {_truncated(present_bytes, wav)}{way_out}")


def _truncated(present_bytes: int, wav: _Wav) -> str:
    return (
        f"truncated, {present_bytes} of the {wav.promised_bytes} bytes of sound that its header"
        " names; copy it again"
    )


def _file_chunks(path: Path, wav: _Wav, format_: PcmFormat, size_bytes: int) -> Iterator[bytes]:
    # Opened here, not handed in: an iterator that nobody starts then holds no file open.
    with path.open("rb") as file:
        file.seek(wav.start_bytes)
        left = wav.promised_bytes if wav.has_length(size_bytes) else size_bytes - wav.start_bytes
        yield from _chunks(file, wav, format_, left)


def _stream_chunks(stream: _Stream, wav: _Wav, format_: PcmFormat) -> Iterator[bytes]:
    with closing(stream):
        yield b""
        present_bytes = 0
        most = wav.promised_bytes if wav.has_length(None) else sys.maxsize
        for chunk in _chunks(stream, wav, format_, most):
            present_bytes += len(chunk)
            yield chunk
        if not present_bytes:
            raise AudioFormatError(f"{stream.name}: {_NO_SOUND}")
        whole_bytes = wav.promised_bytes - wav.promised_bytes % format_.frame_bytes
        if present_bytes < whole_bytes and wav.has_length(wav.start_bytes + present_bytes):
            raise AudioFormatError(f"{stream.name}: {_truncated(present_bytes, wav)}")


def _chunks(file: _Readable, wav: _Wav, format_: PcmFormat, left: int) -> Iterator[bytes]:
    """Return whole samples of what the file holds from here on, ``left`` bytes at the most."""
    while chunk := file.read(min(left, format_.bytes_per_second)):
        left -= len(chunk)
        chunk = chunk[: len(chunk) - len(chunk) % format_.frame_bytes]
        if wav.swaps:
            samples = array("h", chunk)
            samples.byteswap()
            chunk = samples.tobytes()
        if chunk:
            yield chunk


def _decode(
    name: str, open_: Callable[[], BinaryIO], wav: _Wav | None = None
) -> tuple[Iterator[bytes], PcmFormat]:
    if wav is not None and wav.swaps:
        raise AudioFormatError(f"{name}: a WAV of {wav}; convert it to a little-endian one")
    try:
        from avatarwire.audio import _decoding  # noqa: PLC0415 - heavy
    except ModuleNotFoundError as exc:
        with open_() as file:
            what = kind_of_content(file.read(2048)) if wav is None else str(wav)
        raise MissingExtraError(
            f"reading {name} ({what or 'an unknown kind of file'})", "audio"
        ) from exc
    format_ = _decoding.probe(name, open_)
    return _decoding.chunks(name, open_, format_), format_


def _ffmpeg(path: Path) -> str:
    target = path.with_name(f"{path.stem}-mended.wav")
    return f"ffmpeg -i {shlex.quote(str(path))} -c:a pcm_s16le {shlex.quote(str(target))}"
