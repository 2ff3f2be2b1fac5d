"""Sound files, for commands."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import click

from avatarwire.audio import PcmFormat, converter_between, read
from avatarwire.errors import AudioFormatError, MissingExtraError

__all__ = [
    "MAX_RATE",
    "MIN_RATE",
    "STANDARD_INPUT",
    "USER_FORMAT",
    "converted",
    "load",
    "load_raw",
]

#: How a platform sends what the user says.
USER_FORMAT = PcmFormat(16000)
#: What stands for it in the place of a file.
STANDARD_INPUT = "-"
#: Rates in Hz that every platform can be sent.
MIN_RATE, MAX_RATE = 4000, 192_000
#: Six hours at 24 kHz. A pipe may have no end, and all of its sound is held in memory.
MAX_SOUND_BYTES = 1 << 30
CHUNK_BYTES = 1 << 16


def load(file: str) -> tuple[bytes, PcmFormat]:
    """Read a whole sound file, or standard input where it is ``-``.

    Raises:
        click.ClickException: it cannot be read or decoded; one line says why.
    """
    try:
        chunks, format_ = read(_standard_input() if file == STANDARD_INPUT else file)
        return _joined(file, chunks), format_
    except (AudioFormatError, MissingExtraError) as exc:
        raise click.ClickException(str(exc)) from exc
    except OSError as exc:
        raise _unreadable(file, exc) from exc


def load_raw(file: str, sample_rate: int) -> tuple[bytes, PcmFormat]:
    """Read 16-bit little-endian mono PCM that has no header, from standard input where it is ``-``.

    Raises:
        click.ClickException: it cannot be read, or is no whole number of samples.
    """
    try:
        if file == STANDARD_INPUT:
            pcm = _joined(file, _chunks(_standard_input()))
        else:
            with Path(file).open("rb") as opened:
                pcm = _joined(file, _chunks(opened))
    except OSError as exc:
        raise _unreadable(file, exc) from exc
    if not pcm or len(pcm) % 2:
        raise click.ClickException(
            f"{file}: {len(pcm)} bytes are not 16-bit samples; leave out --raw for a sound file"
        )
    return pcm, PcmFormat(sample_rate)


def converted(pcm: bytes, source: PcmFormat, target: PcmFormat) -> bytes:
    """Return sound in another format.

    Raises:
        click.ClickException: that takes an extra which is not installed, or cannot be done.
    """
    try:
        converter = converter_between(source, target)
    except MissingExtraError as exc:
        raise click.ClickException(str(exc)) from exc
    except ValueError as exc:
        raise click.ClickException(
            f"sound of {source} cannot be sent ({exc}); convert the file to 16000 Hz first"
        ) from exc
    return pcm if converter is None else converter.push(pcm) + converter.flush()


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise click.ClickException("there is no standard input to read; name a file")
    if sys.stdin.isatty():
        raise click.UsageError("standard input is a terminal: pipe sound into it, or name a file.")
    return sys.stdin.buffer


def _chunks(file: BinaryIO) -> Iterable[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _joined(file: str, chunks: Iterable[bytes]) -> bytes:
    pcm = bytearray()
    for chunk in chunks:
        pcm += chunk
        if len(pcm) > MAX_SOUND_BYTES:
            raise click.ClickException(
                f"{file}: more than {MAX_SOUND_BYTES >> 20} MB of sound; cut it into several files"
            )
    return bytes(pcm)


def _unreadable(file: str, exc: OSError) -> click.ClickException:
    return click.ClickException(f"cannot read {file}: {exc.strerror or exc}")
