"""The folder of a recording: records by lines, sound in WAVs, no more of it than was allowed."""

import contextlib
import logging
from pathlib import Path
from typing import BinaryIO

from avatarwire import _json
from avatarwire.audio import PcmFormat
from avatarwire.recording.heard import Piece
from avatarwire.recording.records import TIMELINE, Record
from avatarwire.recording.wav import GrowingWav

__all__ = ["Folder"]

logger: logging.Logger = logging.getLogger("avatarwire.recording")


class Folder:
    """A sink that writes files.

    Args:
        path: the folder; it is made.
        max_bytes: how much is written at the most, sound and records together; silence in
            ``heard.wav`` counts, whether the file system keeps it or not.

    Raises:
        FileExistsError: there is a recording already.
        OSError: it cannot be made.

    Attributes:
        is_full: nothing more is written.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.is_full: bool = False
        self._path = path
        self._max_bytes = max_bytes
        self._written_bytes = 0
        self._wavs: dict[str, GrowingWav] = {}
        self._counts: dict[str, int] = {}
        path.mkdir(parents=True, exist_ok=True)
        try:
            self._lines: BinaryIO = (path / TIMELINE).open("xb")
        except FileExistsError:
            raise FileExistsError(
                f"{path} holds a recording already: name another folder"
            ) from None

    def record(self, record: Record) -> None:
        """Write a record."""
        line = _json.dumps(record) + b"\n"
        if self._has_room(len(line), record):
            self._lines.write(line)

    def sound(self, wav: str, pcm: bytes, format_: PcmFormat) -> tuple[str, int] | None:
        """Write sound; another format begins another file: ``sent-2.wav``."""
        file = self._wavs.get(wav)
        if not self._has_room(len(pcm)):
            return None
        if file is None or file.format != format_:
            if file is not None:
                file.close()
            file = self._wavs[wav] = self._new_wav(wav, format_)
        return self._name(wav), file.append(pcm)

    def heard(self, piece: Piece, format_: PcmFormat) -> None:
        """Write what was heard, in its place."""
        file = self._wavs.get("heard")
        if file is None:
            file = self._wavs["heard"] = self._new_wav("heard", format_)
        end_bytes = piece.at * format_.frame_bytes + len(piece.pcm)
        if self._has_room(max(0, end_bytes - file.samples * format_.frame_bytes)):
            file.put(piece.at, piece.pcm)

    def flush(self) -> None:
        """Make the files what was written so far."""
        self._lines.flush()
        for wav in self._wavs.values():
            wav.flush()

    def close(self, length_s: float) -> None:
        """Close the files; what was heard lasts to the end.

        Raises:
            OSError: they cannot be written; they are closed nevertheless.
        """
        with contextlib.ExitStack() as stack:
            stack.callback(self._lines.close)
            for wav in self._wavs.values():
                stack.callback(wav.close)
            heard = self._wavs.get("heard")
            if heard is not None and not self.is_full:
                heard.lengthen(round(length_s * heard.format.sample_rate))

    def _new_wav(self, wav: str, format_: PcmFormat) -> GrowingWav:
        self._counts[wav] = self._counts.get(wav, 0) + 1
        return GrowingWav(self._path / f"{self._name(wav)}.wav", format_)

    def _name(self, wav: str) -> str:
        count = self._counts[wav]
        return wav if count == 1 else f"{wav}-{count}"

    def _has_room(self, size_bytes: int, record: Record | None = None) -> bool:
        if self.is_full:
            return False
        self._written_bytes += size_bytes
        if self._written_bytes <= self._max_bytes:
            return True
        self.is_full = True
        logger.warning(
            "the recording in %s has reached its %d bytes: nothing more is written",
            self._path,
            self._max_bytes,
        )
        now = {name: record[name] for name in ("t", "ts")} if record is not None else {}
        self._lines.write(
            _json.dumps({"t": 0.0, "ts": 0.0, **now, "kind": "life", "change": "full"})
        )
        self._lines.write(b"\n")
        return False
