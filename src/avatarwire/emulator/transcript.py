"""What a session received and sent, and how it is written down."""

import base64
import json
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from avatarwire.audio import PcmFormat, write_wav
from avatarwire.recording.files import create, safe_name

__all__ = ["Entry", "Recording", "printable"]

log: logging.Logger = logging.getLogger("avatarwire.emulator")


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of a session.

    Attributes:
        direction: as the platform sees it.
        kind: the WebSocket message type.
        data: str for text, bytes for binary.
        time_s: ``time.monotonic()`` when it was sent or had arrived.
    """

    direction: Literal["received", "sent"]
    kind: Literal["text", "binary"]
    data: str | bytes
    time_s: float


class Recording:
    """One session's files, which no other session writes to.

    A file whose name is taken, by another session or an earlier run, is left as it is; this one is
    then called ``name.2.wav`` and so on. Written again, a session's files are replaced.

    Args:
        directory: where the files go; it exists.
        session_id: what they are called after. Some platforms let the client choose it, so it
            is no name to trust: whatever is no letter, digit, ``_`` or ``-`` becomes ``_``.
    """

    def __init__(self, directory: Path, session_id: str) -> None:
        self._directory = directory
        self._name = safe_name(session_id)
        self._paths: dict[str, Path] = {}
        self._lock = threading.Lock()

    def write(self, runs: Sequence[tuple[PcmFormat, bytes]], transcript: Sequence[Entry]) -> None:
        """Write what a session received; a full disk must not take the platform down.

        Args:
            runs: its sound. One WAV holds one format; a session that changed it has a numbered
                file for each.
            transcript: its messages.
        """
        try:
            with self._lock:  # an earlier connection's may still be being written
                for number, (format_, pcm) in enumerate(runs, start=1):
                    suffix = f"-{number}" if len(runs) > 1 else ""
                    write_wav(self._path(f"{self._name}{suffix}", "wav"), pcm, format_)
                lines = [json.dumps(line) for line in _lines(transcript)]
                path = self._path(self._name, "jsonl")
                path.write_text("\n".join([*lines, ""]), encoding="utf-8")
        except OSError as exc:
            log.warning("session %s was not recorded: %s", self._name, exc)
        else:
            log.info("%s recorded in %s", self._name[:8], self._directory)

    def _path(self, name: str, kind: str) -> Path:
        """Return the path of that name, or the first like it that nobody has; it is now ours."""
        wanted = f"{name}.{kind}"
        if wanted not in self._paths:
            self._paths[wanted] = create(
                self._directory, name, lambda path: path.touch(exist_ok=False), f".{kind}"
            )
        return self._paths[wanted]


def printable(name: str) -> str:
    """Keep a client's words from breaking or filling a log line."""
    return name if name.isprintable() and len(name) <= 64 else ascii(name[:64])


def _lines(transcript: Sequence[Entry]) -> list[dict[str, Any]]:
    begun = transcript[0].time_s if transcript else 0.0
    lines: list[dict[str, Any]] = []
    for entry in transcript:
        line: dict[str, Any] = {
            "time_s": round(entry.time_s - begun, 4),
            "direction": entry.direction,
            "kind": entry.kind,
        }
        if isinstance(entry.data, bytes):
            line |= {"bytes": len(entry.data), "base64": base64.b64encode(entry.data).decode()}
        else:
            line["data"] = entry.data
        lines.append(line)
    return lines
