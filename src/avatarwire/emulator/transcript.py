"""What a session received and sent, and how it is written down."""

import base64
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from avatarwire.audio import PcmFormat, write_wav

__all__ = ["Entry", "record"]

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


def record(
    session_id: str,
    runs: Sequence[tuple[PcmFormat, bytes]],
    transcript: Sequence[Entry],
    directory: Path,
) -> None:
    """Write what a session received; a full disk must not take the platform down."""
    # Some platforms let the client choose its id, which is no name to trust.
    name = re.sub(r"[^0-9A-Za-z_-]", "_", session_id)[:100]
    try:
        for number, (format_, pcm) in enumerate(runs, start=1):
            # One WAV holds one format; a session that changed it has a numbered file for each.
            suffix = f"-{number}" if len(runs) > 1 else ""
            write_wav(directory / f"{name}{suffix}.wav", pcm, format_)
        lines = [json.dumps(line) for line in _lines(transcript)]
        path = directory / f"{name}.jsonl"
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    except OSError as exc:
        log.warning("session %s was not recorded: %s", name, exc)
    else:
        log.info("%s recorded in %s", name[:8], directory)


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
