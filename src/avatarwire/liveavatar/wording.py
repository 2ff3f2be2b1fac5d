"""How the messages of a Live Avatar session are read for a recording."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from avatarwire import _json
from avatarwire.audio import PcmFormat
from avatarwire.codec import AudioFrame, FrameType, ImageFrame, frame_type
from avatarwire.codec.header import FRAME_RATES
from avatarwire.recording import Content, Wording
from avatarwire.recording.source import Side

__all__ = ["wording_of"]

HEAD_BYTES = 9
PCM_CODEC = 0
USUAL_RATE = 24000


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
    rate = shown.get("tts_sample_rate")
    return Wording(
        platform="liveavatar",
        side=side,
        read=_read,
        redacted=redacted,
        configuration=shown,
        sent_rate=rate if isinstance(rate, int) else USUAL_RATE,
    )


def _read(data: str | bytes) -> Content:
    try:
        return _read_text(data) if isinstance(data, str) else _read_binary(data)
    except ValueError:  # what is no event, or no frame, is recorded nevertheless
        return Content("text" if isinstance(data, str) else "binary")


def _read_text(data: str) -> Content:
    value = _json.loads(data)
    name = value.get("event") if isinstance(value, dict) else None
    return Content("text", name if isinstance(name, str) else "", value)


def _read_binary(data: bytes) -> Content:
    kind = frame_type(data)
    if kind is FrameType.AUDIO:
        frame = AudioFrame.unpack(data)
        facts: dict[str, object] = {"seq": frame.seq, "timestamp": frame.timestamp}
        if frame.codec != PCM_CODEC or frame.sample_rate >= len(FRAME_RATES):
            return Content("audio", facts={**facts, "codec": frame.codec})
        format_ = PcmFormat(FRAME_RATES[frame.sample_rate], frame.channel + 1)
        return Content(
            "audio", pcm=frame.payload, format=format_, head=data[:HEAD_BYTES], facts=facts
        )
    if kind is FrameType.IMAGE:
        image = ImageFrame.unpack(data)
        return Content("image", facts={"width": image.width, "height": image.height})
    return Content("binary", "external" if kind is FrameType.EXTERNAL else "")
