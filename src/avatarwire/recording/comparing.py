"""What two recordings say differently on the wire: ids, times and how sound is cut set aside."""

import difflib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from avatarwire import _json
from avatarwire.recording.reading import Recording
from avatarwire.recording.records import Record

__all__ = ["Difference", "differences"]

_ID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\b\d{10,}\b|\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8}\b"
)
#: What differs between any two sessions.
_TIMES = frozenset({"timestamp", "ts", "time", "seq"})
SHOWN = 300


@dataclass(frozen=True, slots=True)
class Difference:
    """A line that only one of them has.

    Attributes:
        sign: ``-`` for the first, ``+`` for the second.
        at_s: when it was said.
        direction: ``send`` or ``recv``.
        words: what was said.
    """

    sign: str
    at_s: float
    direction: str
    words: str


@dataclass(frozen=True, slots=True)
class _Line:
    at_s: float
    words: str


def differences(first: Recording, second: Recording) -> list[Difference]:
    """Return what only one of two recordings says, each direction by itself."""
    found = []
    for direction in ("send", "recv"):
        a, b = list(_lines(first, direction)), list(_lines(second, direction))
        matcher = difflib.SequenceMatcher(
            None, [line.words for line in a], [line.words for line in b], autojunk=False
        )
        for tag, a_from, a_to, b_from, b_to in matcher.get_opcodes():
            if tag != "equal":
                found += [
                    Difference("-", x.at_s, direction, x.words[:SHOWN]) for x in a[a_from:a_to]
                ]
                found += [
                    Difference("+", x.at_s, direction, x.words[:SHOWN]) for x in b[b_from:b_to]
                ]
    return found


def _lines(recording: Recording, direction: str) -> Iterator[_Line]:
    """Yield what was said in one direction; sound that follows sound is one line."""
    names: dict[str, str] = {}
    run: list[Record] = []
    for record in recording.messages():
        if record.get("dir") != direction:
            continue
        if record["kind"] == "audio":
            if run and run[-1].get("rate") != record.get("rate"):
                yield _sound(recording, run)
                run = []
            run.append(record)
            continue
        if run:
            yield _sound(recording, run)
            run = []
        yield _Line(record["t"], _words(recording, record, names))
    if run:
        yield _sound(recording, run)


def _sound(recording: Recording, run: list[Record]) -> _Line:
    samples = sum(record.get("n", 0) for record in run)
    rate = run[0].get("rate", 0)
    words = f"audio {samples / rate if rate else 0:.2f} s at {rate} Hz"
    if all("wav" in record for record in run):
        digest = hashlib.sha256()
        for record in run:
            digest.update(recording.sound(record))
        words += f", {digest.hexdigest()[:8]}"
    return _Line(run[0]["t"], words)


def _words(recording: Recording, record: Record, names: dict[str, str]) -> str:
    def named(found: re.Match[str]) -> str:
        return names.setdefault(found[0], f"<id {len(names) + 1}>")

    if "json" in record:
        said = _json.dumps(_timeless(record["json"])).decode()
        return f"{record.get('name', '')} {_ID.sub(named, said)}".strip()
    data = recording.message(record)
    if isinstance(data, bytes):
        return f"{record['kind']} {len(data)} bytes, {hashlib.sha256(data).hexdigest()[:8]}"
    if data is not None:
        return _ID.sub(named, data)
    return f"{record['kind']} {record.get('name', '')} {record.get('bytes', 0)} bytes".strip()


def _timeless(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {name: _timeless(each) for name, each in sorted(value.items()) if name not in _TIMES}
    if isinstance(value, list):
        return [_timeless(each) for each in value]
    return value
