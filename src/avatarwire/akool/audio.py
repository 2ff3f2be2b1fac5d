"""Sound as Akool takes it: 16-bit little-endian PCM, 16 kHz mono, checked before it is sent."""

import sys
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import TYPE_CHECKING

from avatarwire.akool.exceptions import AudioStreamError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["checked_size_bytes", "whole_samples"]

SAMPLE_BYTES = 2
_NATIVE = "<" if sys.byteorder == "little" else ">"
_FORMATS = {"B", "b", "c", "<h", "<H"}


def checked_size_bytes(audio_data: "Buffer") -> int:
    """Give the size of some sound.

    Raises:
        AudioStreamError: empty, not whole samples, or not a contiguous buffer of bytes or of 16-bit
            little-endian integers.
    """
    # Most sound is bytes, which need no look inside.
    size_bytes = len(audio_data) if type(audio_data) is bytes else _size_bytes(audio_data)
    if not size_bytes:
        raise AudioStreamError("audio_data is empty: send nothing instead")
    if size_bytes % SAMPLE_BYTES:
        raise AudioStreamError(
            f"audio_data must be whole 16-bit samples, not {size_bytes} bytes: keep the odd byte"
            " for the next call, or use send_audio_stream"
        )
    return size_bytes


async def whole_samples(
    audio_chunks: "Iterable[Buffer] | AsyncIterable[Buffer]",
) -> AsyncGenerator[bytes, None]:
    """Give the same sound in chunks of whole samples, none of them empty.

    Raises:
        AudioStreamError: not an iterable of sound, or half a sample at its end.
    """
    half = b""
    async for chunk in _each(audio_chunks):
        _size_bytes(chunk)
        pcm = half + bytes(chunk) if half else bytes(chunk)
        half = pcm[len(pcm) & ~1 :]
        if half:
            pcm = pcm[:-1]
        if pcm:
            yield pcm
    if half:
        raise AudioStreamError("the audio ends with half a 16-bit sample, which was not sent")


async def _each(
    audio_chunks: "Iterable[Buffer] | AsyncIterable[Buffer]",
) -> "AsyncGenerator[Buffer, None]":
    if isinstance(audio_chunks, AsyncIterable):
        async for chunk in audio_chunks:
            yield chunk
    elif isinstance(audio_chunks, Iterable) and not isinstance(
        audio_chunks, bytes | bytearray | memoryview | str
    ):
        for chunk in audio_chunks:
            yield chunk
    else:
        raise AudioStreamError(
            "audio_chunks must be an iterable of sound, not"
            f" {type(audio_chunks).__name__}: send_audio takes one piece"
        )


def _size_bytes(audio_data: "Buffer") -> int:
    try:
        view = memoryview(audio_data)
    except TypeError:
        raise AudioStreamError(
            f"audio_data must be bytes or another buffer, not {type(audio_data).__name__}"
        ) from None
    with view:
        format_ = view.format
        if len(format_) == 1 or format_[0] in "@=":
            format_ = format_[-1] if format_[-1] in "Bbc" else _NATIVE + format_[-1]
        if format_ not in _FORMATS:
            raise AudioStreamError(
                f'audio_data must hold bytes or 16-bit little-endian integers, not "{view.format}"'
                " items: scale floats to ±32767 and convert first"
            )
        if not view.contiguous:
            raise AudioStreamError("audio_data must be contiguous: make a copy of it first")
        return view.nbytes
