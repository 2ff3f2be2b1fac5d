"""How the messages of an Akool session are read for a recording."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from pybase64 import b64decode

from avatarwire import _json
from avatarwire.audio import PcmFormat
from avatarwire.recording import Content, Wording
from avatarwire.recording.source import Side

__all__ = ["wording_of"]

FORMAT = PcmFormat(16000, 1)


def wording_of(
    side: Side,
    config: Any = None,  # noqa: ANN401 - a dataclass
    redacted: Callable[[str], str] = str,
) -> Wording:
    """Return how they are read.

    Args:
        side: whose session it is.
        config: its configuration; None: there is none.
        redacted: takes the session's keys and tokens out of text.
    """
    shown = (
        {}
        if config is None
        else {f.name: getattr(config, f.name) for f in fields(config) if f.repr}
    )
    return Wording(
        platform="akool",
        side=side,
        read=_read,
        redacted=redacted,
        configuration=shown,
        sent_rate=FORMAT.sample_rate,
    )


def _read(data: str | bytes) -> Content:
    try:
        value = _json.loads(data)
    except ValueError:  # what is no message is recorded nevertheless
        return Content("text" if isinstance(data, str) else "binary")
    if not isinstance(value, dict):
        return Content("text", value=value)
    match value:
        case {"type": "chat", "pld": {"audio": str(audio)}}:
            path: tuple[str, ...] = ("pld", "audio")
        case {"type": "audio_data", "data": str(audio)}:
            path = ("data",)
        case _:
            return Content("text", _name(value), value)
    try:
        pcm = b64decode(audio, validate=True)
    except ValueError:
        return Content("text", _name(value), value)
    holder = value if len(path) == 1 else value[path[0]]
    holder[path[-1]] = None
    if len(pcm) % FORMAT.frame_bytes:
        return Content("text", _name(value), value)
    return Content("audio", _name(value), value, pcm, FORMAT, path)


def _name(message: dict[str, Any]) -> str:
    """Return what a message is about: its command, event or status, else its type."""
    payload = message.get("pld")
    kind = message.get("type")
    if isinstance(payload, dict):
        for key in ("cmd", "event", "status"):
            if isinstance(payload.get(key), str):
                return f"{kind} {payload[key]}"
    return kind if isinstance(kind, str) else ""
