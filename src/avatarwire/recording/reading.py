"""A recording, read again; also one that was not brought to its end."""

import base64
import contextlib
import wave
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from avatarwire import _json
from avatarwire.audio import PcmFormat
from avatarwire.recording.records import TIMELINE, VERSION, Record

__all__ = ["Recording", "RecordingError"]

MESSAGES = frozenset({"text", "audio", "image", "binary"})


class RecordingError(ValueError):
    """A folder that holds no recording, or one of another version."""


class Recording:
    """The records and the sound of one folder.

    A line that is cut short, as the last one of a process that was killed, is passed over.

    Args:
        path: the folder.

    Raises:
        RecordingError: it holds no recording that can be read.

    Attributes:
        path: the folder.
        snapshot: the first record.
        records: the others, in the order of the file.
        broken_lines: how many lines are no records.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path: Path = Path(path)
        lines = self._lines()
        self.broken_lines: int = 0
        self.records: list[Record] = list(self._parsed(lines))
        if not self.records or self.records[0]["kind"] != "snapshot":
            raise RecordingError(
                f"{self.path / TIMELINE} is no recording: it begins with no snapshot"
            )
        self.snapshot: Record = self.records.pop(0)
        version = self.snapshot.get("version")
        if version != VERSION:
            raise RecordingError(
                f"{self.path} is of version {version!r}, and this reads version {VERSION}:"
                " install another avatarwire"
            )
        self._wavs: dict[str, tuple[PcmFormat, memoryview]] = {}

    @property
    def length_s(self) -> float:
        """How long it is."""
        last = max((record["t"] for record in self.records), default=0.0)
        heard = self.path / "heard.wav"
        if heard.exists():
            with _opened(heard) as wav:
                last = max(last, wav.getnframes() / wav.getframerate())
        return float(last)

    @property
    def session_id(self) -> str:
        """The first session's id; empty when there was none."""
        named = [self.snapshot["session"], *(record.get("session") for record in self.records)]
        return next((str(name) for name in named if name), "")

    def messages(self) -> Iterator[Record]:
        """Yield the records of messages on the wire."""
        return (record for record in self.records if record["kind"] in MESSAGES)

    def message(self, record: Record) -> str | bytes | None:
        """Return a message as it was on the wire, but for keys; None: it was not kept."""
        if record["kind"] == "text":
            return _text(record)
        if "base64" in record:
            return base64.b64decode(record["base64"])
        if "wav" not in record:
            return None
        pcm = self.sound(record)
        if "path" in record:
            value = _filled(record["json"], record["path"], base64.b64encode(pcm).decode())
            return _json.dumps(value).decode()
        return bytes.fromhex(record.get("head", "")) + pcm

    def sound(self, record: Record) -> bytes:
        """Return the sound that a record refers to, as far as it is there."""
        format_, pcm = self.wav(record["wav"])
        start = record["at"] * format_.frame_bytes
        return bytes(pcm[start : start + record["n"] * format_.frame_bytes])

    def wav(self, name: str) -> tuple[PcmFormat, memoryview]:
        """Return a WAV's format and sound; no sound when there is no such file.

        Raises:
            RecordingError: it is no WAV.
        """
        if name not in self._wavs:
            # A name is a file of this folder, whatever a record says.
            path = self.path / f"{Path(name).name}.wav"
            if path.exists():
                with _opened(path) as wav:
                    format_ = PcmFormat(wav.getframerate(), wav.getnchannels())
                    pcm = memoryview(wav.readframes(wav.getnframes()))
            else:
                format_, pcm = PcmFormat(self.snapshot["rates"].get(name, 16000)), memoryview(b"")
            self._wavs[name] = format_, pcm
        return self._wavs[name]

    def _lines(self) -> list[bytes]:
        try:
            return (self.path / TIMELINE).read_bytes().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            raise RecordingError(
                f"{self.path} holds no recording: there is no {TIMELINE} in it"
            ) from None

    def _parsed(self, lines: list[bytes]) -> Iterator[Record]:
        for line in lines:
            try:
                record: Any = _json.loads(line)
            except ValueError:
                record = None
            if isinstance(record, dict) and {"t", "ts", "kind"} <= record.keys():
                yield record
            else:
                self.broken_lines += 1


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[wave.Wave_read]:
    try:
        with path.open("rb") as file, wave.open(file) as wav:
            yield wav
    except (wave.Error, EOFError) as exc:
        raise RecordingError(f"{path} is no WAV: {exc}") from exc


def _text(record: Record) -> str | None:
    if "json" in record:
        return _json.dumps(record["json"]).decode()
    text = record.get("text")
    return text if isinstance(text, str) else None


def _filled(value: Any, path: list[str], sound: str) -> Any:  # noqa: ANN401 - any JSON
    """Return JSON with sound in its place."""
    if not path:
        return sound
    if not isinstance(value, Mapping):
        return value
    return {**value, path[0]: _filled(value.get(path[0]), path[1:], sound)}
