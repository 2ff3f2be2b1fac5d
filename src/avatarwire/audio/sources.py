"""What sound is taken from: an iterable of pieces, or a file or stream that is read in pieces."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, TypeVar

__all__ = ["is_one_piece", "pieces_of"]

Piece = TypeVar("Piece")

READ_BYTES = 65_536


def is_one_piece(source: object) -> bool:
    """Return whether this is one piece of sound (or text), and no iterable of pieces."""
    if isinstance(source, str):
        return True
    try:
        memoryview(source).release()  # type: ignore[arg-type]
    except (TypeError, ValueError, BufferError):
        return False
    return True


def pieces_of(
    source: AsyncIterable[Piece] | Iterable[Piece],
) -> AsyncIterable[Piece] | Iterable[Piece]:
    """Return what to iterate over for the pieces of ``source``.

    That is ``source`` itself, unless it can be read: files, and the streams of processes and of
    HTTP clients, iterate over lines, and sound has none.
    """
    if not callable(getattr(source, "read", None)):
        return source
    readable: Any = source
    if isinstance(source, AsyncIterable):
        return _read_async(readable.read)
    return _read(readable.read)


async def _read_async(read: Callable[[int], Awaitable[Any]]) -> AsyncIterator[Any]:
    while piece := await read(READ_BYTES):
        yield piece


def _read(read: Callable[[int], Any]) -> Iterator[Any]:
    return iter(lambda: read(READ_BYTES), b"")
