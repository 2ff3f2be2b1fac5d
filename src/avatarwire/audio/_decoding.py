"""Any file that FFmpeg's libraries read, as PCM; it needs the ``audio`` extra."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import av
from av.container import InputContainer
from av.error import FFmpegError

from avatarwire.audio.formats import PcmFormat
from avatarwire.errors import AudioFormatError

if TYPE_CHECKING:
    from pathlib import Path

    from avatarwire.audio.files import Gathered

__all__ = ["chunks", "probe"]

# Containers whose headers tell the exact length; others have none, or an estimate.
_EXACT = {"flac", "w64", "aiff", "mov,mp4,m4a,3gp,3g2,mj2"}
# Compressed formats round their length to whole frames of up to 93 ms.
_ROUNDING_MS = 100


def probe(path: "Path | Gathered") -> PcmFormat:
    """Give the format in which ``chunks`` yields the file."""
    with path.open("rb") as file, _errors(path), _open(file) as container:
        for frame in container.decode(_stream(path, container)):
            # Not the header's: some kinds of AAC come out at twice the rate that it tells.
            return PcmFormat(frame.sample_rate, min(frame.layout.nb_channels, 2))
    raise AudioFormatError(f"{path}: without any sound in it; record it again")


def chunks(path: "Path | Gathered", format_: PcmFormat) -> Iterator[bytes]:
    """Decode the file to ``format_``, as ``probe`` gave it, a second at a time."""
    size = format_.bytes_per_second
    buffer = bytearray()
    total = 0
    with path.open("rb") as file, _errors(path), _open(file) as container:
        stream = _stream(path, container)
        for pcm in _pcm(path, container, format_):
            total += len(pcm)
            buffer += pcm
            while len(buffer) >= size:
                yield bytes(buffer[:size])
                del buffer[:size]
        if buffer:
            yield bytes(buffer)
        if container.format.name in _EXACT and stream.duration and stream.time_base:
            promised_ms = float(1000 * stream.duration * stream.time_base)
            if format_.ms(total) < promised_ms - _ROUNDING_MS:
                raise AudioFormatError(
                    f"{path}: truncated or damaged, {format_.ms(total) / 1000:.2f} of the "
                    f"{promised_ms / 1000:.2f} s that its header names; copy it again"
                )


def _open(file: BinaryIO) -> InputContainer:
    # A playlist must not make a sound file open others, or a connection.
    return av.open(file, "r", options={"protocol_whitelist": "none"})


def _stream(path: "Path | Gathered", container: InputContainer) -> av.AudioStream:
    if not container.streams.audio:
        what = "a video" if container.streams.video else container.format.long_name
        raise AudioFormatError(f"{path}: {what} without sound; choose a file that has some")
    return container.streams.audio[0]


def _pcm(path: "Path | Gathered", container: InputContainer, format_: PcmFormat) -> Iterator[bytes]:
    layout = "mono" if format_.channels == 1 else "stereo"
    resampler = av.AudioResampler("s16", layout, format_.sample_rate)
    shape = None
    for frame in container.decode(container.streams.audio[0]):
        now = (frame.sample_rate, frame.layout.name, frame.format.name)
        if shape not in {None, now}:
            raise AudioFormatError(
                f"{path}: changes from {shape} to {now} on the way; convert it to WAV first"
            )
        shape = now
        for part in resampler.resample(frame):
            # A plane may be longer than its samples.
            yield bytes(part.planes[0])[: part.samples * format_.frame_bytes]
    for part in resampler.resample(None):
        yield bytes(part.planes[0])[: part.samples * format_.frame_bytes]


@contextmanager
def _errors(path: "Path | Gathered") -> Iterator[None]:
    try:
        yield
    except FFmpegError as exc:
        raise AudioFormatError(
            f"{path}: not sound that can be read, or broken ({exc.strerror}); "
            "copy it again, or convert it to WAV"
        ) from exc
