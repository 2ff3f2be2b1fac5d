"""Sound files, for commands."""

import sys

import click

from avatarwire.audio import PcmFormat, converter_between, read
from avatarwire.errors import AudioFormatError, MissingExtraError

__all__ = ["USER_FORMAT", "converted", "load"]

#: How a platform sends what the user says.
USER_FORMAT = PcmFormat(16000)


def load(file: str) -> tuple[bytes, PcmFormat]:
    """Read a whole sound file; ``-`` is the standard input.

    Raises:
        click.ClickException: it cannot be read or decoded; one line says why.
    """
    try:
        chunks, format_ = read(sys.stdin.buffer if file == "-" else file)
        return b"".join(chunks), format_
    except (AudioFormatError, MissingExtraError) as exc:
        raise click.ClickException(str(exc)) from exc
    except OSError as exc:
        raise click.ClickException(f"cannot read {file}: {exc.strerror}") from exc


def converted(pcm: bytes, source: PcmFormat, target: PcmFormat) -> bytes:
    """Give sound in another format.

    Raises:
        click.ClickException: that takes an extra which is not installed.
    """
    try:
        converter = converter_between(source, target)
    except MissingExtraError as exc:
        raise click.ClickException(str(exc)) from exc
    return pcm if converter is None else converter.push(pcm) + converter.flush()
