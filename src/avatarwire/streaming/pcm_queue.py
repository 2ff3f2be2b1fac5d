"""PCM that waits to be sent, in the pieces in which it came."""

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["PcmQueue"]


class PcmQueue:
    """Pieces in, other pieces out; no byte is copied that leaves in the piece it came in.

    Attributes:
        size_bytes: how much can be taken.
    """

    __slots__ = ("_chunks", "_head_bytes", "size_bytes")

    def __init__(self) -> None:
        self._chunks: deque[memoryview] = deque()
        self._head_bytes = 0  # how much of the first chunk is gone
        self.size_bytes: int = 0

    def put(self, pcm: bytes) -> None:
        """Add sound; it is kept by reference."""
        if pcm:
            self._chunks.append(memoryview(pcm))
            self.size_bytes += len(pcm)

    def take(self, size_bytes: int) -> bytes | memoryview:
        """Take so much off the front; there must be as much."""
        if not size_bytes:
            return b""
        self.size_bytes -= size_bytes
        start = self._head_bytes
        end = start + size_bytes
        head = self._chunks[0]
        if end < len(head):  # by far the most frequent, thousands of times a second
            self._head_bytes = end
            return head[start:end]
        pieces = []
        while size_bytes:
            piece = self._chunks[0][start : start + size_bytes]
            pieces.append(piece)
            size_bytes -= len(piece)
            start += len(piece)
            if start == len(self._chunks[0]):
                self._chunks.popleft()
                start = 0
        self._head_bytes = start
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def put_back(self, pcm: "Buffer") -> None:
        """Add sound at the front, such as what was taken and could not be sent."""
        chunks = self._chunks
        if self._head_bytes:
            chunks[0] = chunks[0][self._head_bytes :]
            self._head_bytes = 0
        chunks.appendleft(memoryview(bytes(pcm)))
        self.size_bytes += len(chunks[0])

    def forget_last(self, size_bytes: int) -> None:
        """Never give the last so many bytes; nothing may be added after this."""
        self.size_bytes -= size_bytes

    def clear(self) -> None:
        """Forget everything."""
        self._chunks.clear()
        self._head_bytes = self.size_bytes = 0
