"""The folder of a recording: records by lines, sound in WAVs, no more of it than was allowed."""

import contextlib
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from avatarwire import _json
from avatarwire.audio import PcmFormat
from avatarwire.recording.heard import Piece
from avatarwire.recording.records import TIMELINE, Record
from avatarwire.recording.wav import GrowingWav

__all__ = ["Folder", "Room", "create", "safe_name"]

logger: logging.Logger = logging.getLogger("avatarwire.recording")


def safe_name(session_id: str) -> str:
    """Return what the files of a session are called after.

    Some platforms let the client choose the id, so it is no name to trust: whatever is no letter,
    digit, ``_`` or ``-`` becomes ``_``.
    """
    return re.sub(r"[^0-9A-Za-z_-]", "_", session_id)[:100]


def create(directory: Path, name: str, make: Callable[[Path], object], suffix: str = "") -> Path:
    """Make a file or a folder; return its path.

    Where the name is taken it is called ``name.2`` and so on.

    Args:
        directory: where; it exists.
        name: its name.
        make: makes it, and raises ``FileExistsError`` where there is one. Only the file system
            knows which names are one, as upper and lower case can be.
        suffix: what follows the name and its number.

    Raises:
        OSError: it cannot be made.
    """
    path = directory / f"{name}{suffix}"
    number = 1
    while True:
        try:
            make(path)
        except FileExistsError:
            number += 1
            path = directory / f"{name}.{number}{suffix}"
        else:
            return path


class Room:
    """How much may be written, by all folders together that share it.

    Args:
        max_bytes: so much at the most.

    Attributes:
        max_bytes: the same.
        is_full: nothing more may be written.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes: int = max_bytes
        self.is_full: bool = False
        self._taken_bytes = 0

    def take(self, size_bytes: int) -> bool:
        """Return whether so much more may be written."""
        if not self.is_full:
            self._taken_bytes += size_bytes
            self.is_full = self._taken_bytes > self.max_bytes
        return not self.is_full


class Folder:
    """A sink that writes files, which are open only while they grow: there may be many sessions.

    Args:
        path: the folder; it is made.
        room: how much is written at the most, sound and records together; silence in
            ``heard.wav`` counts, whether the file system keeps it or not.

    Raises:
        FileExistsError: there is a recording already.
        OSError: it cannot be made.
    """

    def __init__(self, path: Path, room: Room) -> None:
        self._path = path
        self._room = room
        self._is_told_full = False
        self._ended_s: float | None = None  # while the session is not connected any more
        self._has_grown = False  # since ``flush`` was called
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
            self._write(line)
        match record:
            case {"kind": "life", "change": "ended", "t": ended_s}:
                self._ended_s = ended_s
            case {"kind": "life", "change": "connected"}:
                self._ended_s = None

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
        has_grown, self._has_grown = self._has_grown, False
        if not has_grown:
            self._close()
            return
        self._lines.flush()
        for wav in self._wavs.values():
            wav.flush()

    def close(self, length_s: float) -> None:
        """Close the files; what was heard lasts to the end, of the session or of the recording.

        Raises:
            OSError: they cannot be written; they are closed nevertheless.
        """
        with contextlib.ExitStack() as stack:
            stack.callback(self._close)
            heard = self._wavs.get("heard")
            if heard is not None and not self._room.is_full:
                end_s = length_s if self._ended_s is None else self._ended_s
                heard.lengthen(round(end_s * heard.format.sample_rate))

    def _close(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self._lines.close)
            for wav in self._wavs.values():
                stack.callback(wav.close)

    def _write(self, line: bytes) -> None:
        if self._lines.closed:
            self._lines = (self._path / TIMELINE).open("ab")
        self._lines.write(line)

    def _new_wav(self, wav: str, format_: PcmFormat) -> GrowingWav:
        self._counts[wav] = self._counts.get(wav, 0) + 1
        return GrowingWav(self._path / f"{self._name(wav)}.wav", format_)

    def _name(self, wav: str) -> str:
        count = self._counts[wav]
        return wav if count == 1 else f"{wav}-{count}"

    def _has_room(self, size_bytes: int, record: Record | None = None) -> bool:
        if self._is_told_full:
            return False
        self._has_grown = True
        if self._room.take(size_bytes):
            return True
        self._is_told_full = True
        logger.warning(
            "the recording in %s has reached its %d bytes: nothing more is written",
            self._path,
            self._room.max_bytes,
        )
        now = {name: record[name] for name in ("t", "ts")} if record is not None else {}
        last = {"t": 0.0, "ts": 0.0, **now, "kind": "life", "change": "full"}
        self._write(_json.dumps(last) + b"\n")
        return False
