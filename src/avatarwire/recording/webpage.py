"""One page that shows a recording, with its sound in it; it loads nothing."""

import base64
import hashlib
import sys
from array import array
from importlib import resources
from typing import Any

from avatarwire import _json
from avatarwire.audio import PcmFormat, converter_between, encode_ulaw, level
from avatarwire.errors import MissingExtraError
from avatarwire.recording.inspection import Findings, TurnFound, findings
from avatarwire.recording.reading import Recording
from avatarwire.recording.records import Record

__all__ = ["page"]

#: Waveforms are drawn from so many peaks in all, or so many a second.
MOST_PEAKS = 36_000
PEAKS_PER_S = 50
#: How much sound a piece has, in seconds; pieces without sound are left out.
PIECE_S = 10
#: Longer ones are embedded as a telephone has it, in one channel: the page has to open at once.
FINE_S = 600
COARSE_RATE = 8000
#: Two hours.
MOST_PIECES = 720
MOST_EVENTS = 50_000
MOST_WORDS = 2000


def page(recording: Recording) -> str:
    """Return the page, as HTML.

    Its sound stands behind all else, in an element for each piece: a browser draws what stands
    before it, and reads a piece when it is played.
    """
    found = findings(recording)
    sound = _sound(recording)
    pieces = sound.pop("pieces")
    data = {
        "snapshot": recording.snapshot,
        "session": recording.session_id,
        "length": found.length_s,
        "turns": [_turn(turn) for turn in found.turns],
        "problems": [{"t": each.at_s, "words": each.words} for each in found.problems],
        "states": found.states,
        "gaps": found.gaps,
        "counts": _counts(found),
        "events": _events(recording),
        "peaks": _peaks(recording),
        "sound": sound,
    }
    template = resources.files("avatarwire.recording").joinpath("page.html").read_text("utf-8")
    style = _between(template, "<style>", "</style>")
    script = _between(template, "<script>", "</script>")
    return (
        template.replace("{{style-hash}}", _hash(style))
        .replace("{{script-hash}}", _hash(script))
        # Within a script element nothing but its end means anything; JSON knows no "<" elsewhere.
        .replace("{{data}}", _json.dumps(data).decode().replace("<", "\\u003c"))
        .replace("{{sound}}", "\n".join(map(_element, pieces.items())))
    )


def _element(piece: tuple[str, list[str]]) -> str:
    index, channels = piece
    coded = _json.dumps(channels).decode()
    return f'<script type="application/json" id="sound-{index}">{coded}</script>'


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _between(text: str, start: str, end: str) -> str:
    begin = text.index(start) + len(start)
    return text[begin : text.index(end, begin)]


def _turn(turn: TurnFound) -> dict[str, Any]:
    return {
        "id": turn.turn_id,
        "opened": turn.opened_s,
        "started": turn.started_s,
        "ended": turn.ended_s,
        "reason": turn.reason,
        "facts": turn.facts,
        "runs": turn.runs,
        "changes": turn.changes,
        "silentAfterMs": turn.silent_after_ms,
        "confirmedAfterMs": turn.confirmed_after_ms,
    }


def _counts(found: Findings) -> list[tuple[str, str, int]]:
    return [(way, kind, count) for (way, kind), count in sorted(found.messages.items())]


def _events(recording: Recording) -> list[dict[str, Any]]:
    """Return what happened, but for sound and counts."""
    events: list[dict[str, Any]] = []
    for record in recording.records:
        if record["kind"] in {"stats", "audio"} or record.get("change") == "heard":
            continue
        if len(events) == MOST_EVENTS:
            break
        what = record.get("change") or record.get("name") or record["kind"]
        events.append(
            {
                "t": record["t"],
                "kind": record["kind"],
                "dir": record.get("dir", ""),
                "what": what,
                "words": _words(record),
            }
        )
    return events


def _words(record: Record) -> str:
    kept = {
        name: value
        for name, value in record.items()
        if name not in {"t", "ts", "kind", "dir", "name", "change", "base64"}
    }
    return _json.dumps(kept.get("json", kept)).decode()[:MOST_WORDS]


def _channels(recording: Recording) -> tuple[PcmFormat, "list[array[int]]"]:
    format_, pcm = recording.wav("heard")
    if format_.channels != 2:
        return format_, [array("h"), array("h")]
    stereo = array("h", bytes(pcm[: len(pcm) - len(pcm) % 4]))
    if sys.byteorder == "big":
        stereo.byteswap()
    return format_, [stereo[0::2], stereo[1::2]]


def _peaks(recording: Recording) -> dict[str, Any]:
    """Return the waveforms: for each step the highest sample, from 0 to 255."""
    format_, channels = _channels(recording)
    samples = len(channels[0])
    step = max(format_.sample_rate // PEAKS_PER_S, -(-samples // MOST_PEAKS))
    drawn = []
    for channel in channels:
        view = memoryview(channel).cast("B")
        peaks = bytes(
            min(255, round(level(view[at : at + 2 * step])[1] * 255))
            for at in range(0, 2 * samples, 2 * step)
        )
        drawn.append(base64.b64encode(peaks).decode())
    return {"step": step / format_.sample_rate, "user": drawn[0], "avatar": drawn[1]}


def _sound(recording: Recording) -> dict[str, Any]:
    """Return what was heard in mu-law pieces, those without sound left out."""
    format_, pcm = recording.wav("heard")
    is_long = len(pcm) > FINE_S * format_.bytes_per_second
    to = PcmFormat(COARSE_RATE, 1) if is_long else format_
    pieces: dict[str, list[str]] = {}
    try:
        converter = converter_between(format_, to)
        for index, at in enumerate(range(0, len(pcm), PIECE_S * format_.bytes_per_second)):
            piece = bytes(pcm[at : at + PIECE_S * format_.bytes_per_second])
            if piece.count(0) == len(piece):
                continue
            if converter is not None:
                piece = converter.push(piece) + converter.flush()
            coded = encode_ulaw(piece)
            pieces[str(index)] = [
                base64.b64encode(coded[channel :: to.channels]).decode()
                for channel in range(to.channels)
            ]
            if len(pieces) >= MOST_PIECES:
                return {
                    "rate": to.sample_rate,
                    "seconds": PIECE_S,
                    "pieces": pieces,
                    "isWhole": False,
                }
    except MissingExtraError:
        return {"rate": to.sample_rate, "seconds": PIECE_S, "pieces": {}, "isWhole": not pcm}
    return {"rate": to.sample_rate, "seconds": PIECE_S, "pieces": pieces, "isWhole": True}
