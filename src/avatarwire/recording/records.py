"""The format: one JSON object a line, the first of them a snapshot; sound beside it in WAV files.

``schema()`` is its JSON Schema, and ``docs/reference/recording.md`` its description.
"""

import json
import platform
import sys
from collections.abc import Mapping
from importlib import resources
from typing import Any, TypeAlias

from avatarwire._version import __version__
from avatarwire.recording.masking import masked
from avatarwire.recording.source import Wording

__all__ = ["TIMELINE", "VERSION", "Record", "schema", "snapshot"]

Record: TypeAlias = dict[str, Any]

#: Of the format. Another number means that a reader of today's would misunderstand it.
VERSION = 1
#: The file of the records.
TIMELINE = "timeline.jsonl"


def schema() -> dict[str, Any]:
    """Return the JSON Schema of one record."""
    text = resources.files("avatarwire.recording").joinpath("schema.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def snapshot(
    wording: Wording,
    session_id: str | None,
    *,
    monotonic_s: float,
    unix_s: float,
    content: bool,
) -> Record:
    """Return the first record.

    Args:
        wording: of the session.
        session_id: the session's id, if it has one already.
        monotonic_s: the time of ``time.monotonic()`` that is 0 in the recording.
        unix_s: the same, in seconds since 1970.
        content: whether sound and words are recorded, or their lengths and levels alone.
    """
    return {
        "t": 0.0,
        "ts": unix_s,
        "kind": "snapshot",
        "version": VERSION,
        "platform": wording.platform,
        "side": wording.side,
        "session": session_id,
        "content": content,
        "versions": {
            "avatarwire": __version__,
            "python": platform.python_version(),
            "system": sys.platform,
        },
        "configuration": masked(_plain(wording.configuration), wording.redacted),
        "rates": {
            "sent": wording.sent_rate,
            "user": wording.user_rate,
            "heard": wording.sent_rate,
        },
        "clock": {"monotonic_s": monotonic_s, "unix_s": unix_s},
    }


def _plain(values: Mapping[str, object]) -> Record:
    """Return what JSON can hold, and the repr of the rest."""
    return {
        name: value if isinstance(value, str | int | float | bool | None) else repr(value)
        for name, value in values.items()
    }
