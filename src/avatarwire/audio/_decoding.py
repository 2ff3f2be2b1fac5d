"""Any file that FFmpeg's libraries read, as PCM; it needs the ``audio`` extra."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError

from avatarwire.audio.formats import PcmFormat
from avatarwire.errors import AudioFormatError

__all__ = ["chunks", "probe"]

logger: logging.Logger = logging.getLogger("avatarwire.audio")

# Containers whose headers tell the exact length; others have none, or an estimate.
_EXACT = {"flac", "w64", "aiff", "mov,mp4,m4a,3gp,3g2,mj2"}
# Whose header tells the length where whoever wrote it could, and which is read on after damage.
_TIMED = "matroska,webm"
# More PCM than this, hours of it, is a length that whoever wrote to a pipe did not know.
_UNKNOWN_BYTES = 1 << 29
# Compressed formats round their length to whole frames of up to 93 ms.
_ROUNDING_MS = 100


def probe(name: str, open_file: Callable[[], BinaryIO]) -> PcmFormat:
    """Return the format in which ``chunks`` yields the file."""
    with open_file() as file, _errors(name), _open(file) as container:
        for frame in _frames(name, container):
            # Not the header's: some kinds of AAC come out at twice the rate that it tells.
            return PcmFormat(frame.sample_rate, min(frame.layout.nb_channels, 2))
    raise AudioFormatError(f"{name}: without any sound in it; record it again")


def chunks(name: str, open_file: Callable[[], BinaryIO], format_: PcmFormat) -> Iterator[bytes]:
    """Decode the file to ``format_``, as ``probe`` gave it, a second at a time."""
    size = format_.bytes_per_second
    buffer = bytearray()
    total = 0
    with open_file() as file, _errors(name), _open(file) as container:
        stream = _stream(name, container)
        for pcm in _pcm(name, container, format_):
            total += len(pcm)
            buffer += pcm
            while len(buffer) >= size:
                yield bytes(buffer[:size])
                del buffer[:size]
        if buffer:
            yield bytes(buffer)
        if container.format.name in _EXACT and stream.duration and stream.time_base:
            promised_ms = float(1000 * stream.duration * stream.time_base)
            if format_.ms(total) < promised_ms - _ROUNDING_MS < format_.ms(_UNKNOWN_BYTES):
                raise AudioFormatError(
                    f"{name}: truncated or damaged, {format_.ms(total) / 1000:.2f} of the "
                    f"{promised_ms / 1000:.2f} s that its header names; copy it again"
                )


def _open(file: BinaryIO) -> InputContainer:
    # A playlist must not make a sound file open others, or a connection.
    return av.open(_Anywhere(file), "r", options={"protocol_whitelist": "none"})


class _Anywhere:
    """A file in which every place can be sought; one where no file can be is its end.

    A damaged length leads there, and FFmpeg goes on with what it has when it finds nothing.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the file's own
        return getattr(self._file, name)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):
            return self._file.seek(0, os.SEEK_END)


def _stream(name: str, container: InputContainer) -> av.AudioStream:
    if not container.streams.audio:
        what = "a video" if container.streams.video else container.format.long_name
        raise AudioFormatError(f"{name}: {what} without sound; choose a file that has some")
    return container.streams.audio[0]


def _frames(name: str, container: InputContainer) -> Iterator[av.AudioFrame]:
    """Decode, and pass over what is between frames, as players do."""
    damage: InvalidDataError | None = None
    damaged = decoded = 0
    until_s, missing_s = None, 0.0
    for packet in container.demux(_stream(name, container)):
        try:
            frames = packet.decode()
        except InvalidDataError as exc:
            damage = exc
            damaged += 1
            continue
        for frame in frames:
            decoded += 1
            if frame.time is not None:
                missing_s += _gap_s(until_s, frame.time)
                until_s = frame.time + frame.samples / frame.sample_rate
            yield frame
    if damage is not None:
        if damaged > decoded:
            raise damage
        logger.warning("%s: %d piece(s) of it are no sound, and were passed over", name, damaged)
    if container.format.name == _TIMED and container.duration and not container.streams.video:
        missing_s += _gap_s(until_s, container.duration / av.time_base)
    if missing_s:
        # Some containers lose a page and all that is on it, and nothing else tells of that.
        logger.warning(
            "%s: %.2f s of its sound are missing; it is damaged, or was recorded with pauses",
            name,
            missing_s,
        )


def _gap_s(until_s: float | None, next_s: float) -> float:
    """Return what is missing between two times of a file; nothing where the times begin anew."""
    gap_s = 0.0 if until_s is None else next_s - until_s
    return gap_s if gap_s * 1000 > _ROUNDING_MS else 0.0


def _pcm(name: str, container: InputContainer, format_: PcmFormat) -> Iterator[bytes]:
    layout = "mono" if format_.channels == 1 else "stereo"
    resampler = None
    shape = None
    for frame in _frames(name, container):
        now = (frame.sample_rate, frame.layout.name, frame.format.name)
        if resampler is None or shape != now:
            # Files joined into one change on the way; what comes out does not.
            if resampler is not None:
                yield from _resampled(resampler, None, format_)
            resampler = av.AudioResampler("s16", layout, format_.sample_rate)
            shape = now
        yield from _resampled(resampler, frame, format_)
    if resampler is not None:
        yield from _resampled(resampler, None, format_)


def _resampled(
    resampler: av.AudioResampler, frame: av.AudioFrame | None, format_: PcmFormat
) -> Iterator[bytes]:
    for part in resampler.resample(frame):
        # A plane may be longer than its samples.
        yield bytes(part.planes[0])[: part.samples * format_.frame_bytes]


@contextmanager
def _errors(name: str) -> Iterator[None]:
    try:
        yield
    except FFmpegError as exc:
        raise AudioFormatError(
            f"{name}: not sound that can be read, or broken ({exc.strerror}); "
            "copy it again, or convert it to WAV"
        ) from exc
