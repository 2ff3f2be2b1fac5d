"""A WAV file that can be read at any time while it grows."""

import struct
from pathlib import Path
from typing import BinaryIO

from avatarwire.audio import PcmFormat

__all__ = ["GrowingWav"]

HEAD_BYTES = 44
#: What the length of a chunk can say.
MOST_BYTES = 0xFFFF_FFFF - HEAD_BYTES


class GrowingWav:
    """A 16-bit WAV whose header is right whenever ``flush`` returns, also if the process is killed.

    What is left out between two pieces is silence; most file systems keep none of it. A file that
    was closed is opened again when more is written.

    Args:
        path: the file; it is made anew.
        format_: what is written.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, path: Path, format_: PcmFormat) -> None:
        self.format = format_
        self._path = path
        self._file: BinaryIO = path.open("wb")
        self._size_bytes = 0
        self.flush()

    @property
    def samples(self) -> int:
        """How long it is, in samples of every channel."""
        return self._size_bytes // self.format.frame_bytes

    def append(self, pcm: bytes) -> int:
        """Write at the end; return the index of the first sample."""
        at = self.samples
        self.put(at, pcm)
        return at

    def put(self, at: int, pcm: bytes) -> None:
        """Write from sample ``at`` on.

        Raises:
            OSError: it cannot be written, or is longer than a WAV can be.
        """
        start_bytes = at * self.format.frame_bytes
        if start_bytes + len(pcm) > MOST_BYTES:
            raise OSError(f"a WAV holds {MOST_BYTES} bytes at the most")
        self._reopen()
        self._file.seek(HEAD_BYTES + start_bytes)
        self._file.write(pcm)
        self._size_bytes = max(self._size_bytes, start_bytes + len(pcm))

    def lengthen(self, samples: int) -> None:
        """Have it end in silence, so many samples from its beginning, unless it is longer."""
        size_bytes = min(samples * self.format.frame_bytes, MOST_BYTES)
        if size_bytes > self._size_bytes:
            self._reopen()
            self._file.truncate(HEAD_BYTES + size_bytes)
            self._size_bytes = size_bytes

    def flush(self) -> None:
        """Make the file what was written so far."""
        if self._file.closed:
            return
        size_bytes, format_ = self._size_bytes, self.format
        self._file.seek(0)
        self._file.write(
            struct.pack(
                "<4sI4s4sIHHIIHH4sI",
                b"RIFF",
                HEAD_BYTES - 8 + size_bytes,
                b"WAVE",
                b"fmt ",
                16,
                1,
                format_.channels,
                format_.sample_rate,
                format_.bytes_per_second,
                format_.frame_bytes,
                16,
                b"data",
                size_bytes,
            )
        )
        self._file.flush()

    def close(self) -> None:
        """Write what is left, and close the file."""
        try:
            self.flush()
        finally:
            self._file.close()

    def _reopen(self) -> None:
        if self._file.closed:
            self._file = self._path.open("r+b")
