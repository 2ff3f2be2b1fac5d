"""Sound as Akool takes it: 16-bit little-endian PCM, 16 kHz mono, checked before it is sent."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from avatarwire.akool.exceptions import AudioStreamError
from avatarwire.audio import is_one_piece, pcm_bytes, pcm_view, pieces_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["checked_size_bytes", "whole_samples"]

SAMPLE_BYTES = 2


def checked_size_bytes(audio_data: "Buffer") -> int:
    """Return the size of some sound, checked.

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
    """Return the same sound in chunks of whole samples, none of them empty.

    Raises:
        AudioStreamError: not an iterable of sound, or half a sample at its end.
    """
    half = b""
    async for chunk in _each(audio_chunks):
        with _refused():
            pcm = half + pcm_bytes(chunk)
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
    if is_one_piece(audio_chunks) or not isinstance(audio_chunks, AsyncIterable | Iterable):
        raise AudioStreamError(
            "audio_chunks must be an iterable of sound, not"
            f" {type(audio_chunks).__name__}: send_audio takes one piece"
        )
    chunks = pieces_of(audio_chunks)
    if isinstance(chunks, AsyncIterable):
        async for chunk in chunks:
            yield chunk
    else:
        for chunk in chunks:
            yield chunk


def _size_bytes(audio_data: "Buffer") -> int:
    with _refused(), pcm_view(audio_data) as view:
        return view.nbytes


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError) as exc:
        raise AudioStreamError(f"audio_data: {exc}") from exc
