"""What a recording says: its turns, and what went wrong, with where to look."""

from dataclasses import dataclass, field
from typing import Any

from avatarwire.recording.reading import Recording
from avatarwire.recording.records import Record

__all__ = ["Findings", "Problem", "TurnFound", "findings"]

NORMAL_CLOSURE = 1000
SPEAKING = frozenset({"SPEAKING", "PROMPT_SPEAKING"})
#: What is in every record of a turn.
_OF_EACH = frozenset({"t", "ts", "kind", "turn", "change"})
#: Later than half of the usual lead, sound may be missed.
LATE_MS = 200


@dataclass(slots=True)
class TurnFound:
    """One turn of speech.

    Attributes:
        turn_id: its response id.
        opened_s: when it was opened; None: before the recording began.
        ended_s: when it ended; None: the recording ended first.
        facts: what its end says: the fields of a ``Playout``, as far as they are known.
        started_s: when it began to be heard.
        runs: what was heard of it, from and to, in seconds.
        changes: all that happened to it: when, and what.
    """

    turn_id: str
    opened_s: float | None = None
    ended_s: float | None = None
    facts: Record = field(default_factory=dict)
    started_s: float | None = None
    runs: list[tuple[float, float]] = field(default_factory=list)
    changes: list[tuple[float, str]] = field(default_factory=list)
    silent_after_ms: float | None = None
    confirmed_after_ms: float | None = None

    @property
    def reason(self) -> str:
        """How it ended; empty while it has not."""
        return str(self.facts.get("reason", ""))

    @property
    def heard_s(self) -> float:
        """How much of it was heard."""
        return sum(end - begin for begin, end in self.runs)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to look at.

    Attributes:
        at_s: when.
        words: what.
    """

    at_s: float
    words: str


@dataclass(slots=True)
class Findings:
    """All of it.

    Attributes:
        length_s: how long the recording is.
        turns: in the order of their beginning.
        problems: in the order of time.
        messages: how many were sent and received, by direction and kind.
        bytes: of those, by direction.
        gaps: between connections: from when, and how long.
        states: of the avatar: since when.
        stats: the last counts.
    """

    length_s: float = 0.0
    turns: list[TurnFound] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    messages: dict[tuple[str, str], int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    gaps: list[tuple[float, float | None]] = field(default_factory=list)
    states: list[tuple[float, str]] = field(default_factory=list)
    stats: dict[str, Any] = field(default_factory=dict)


def findings(recording: Recording) -> Findings:
    """Return what a recording says."""
    found = Findings(length_s=recording.length_s)
    turns: dict[str, TurnFound] = {}
    for record in recording.records:
        match record["kind"]:
            case "turn":
                _turn(found, turns, record)
            case "life":
                _life(found, record)
            case "stats":
                found.stats = record["stats"]
            case _:
                _message(found, record)
    found.turns = list(turns.values())
    _interrupts(found)
    if recording.broken_lines:
        words = f"{recording.broken_lines} lines are cut short: the process may have been killed"
        found.problems.append(Problem(found.length_s, words))
    late_ms = found.stats.get("lateness_max_ms", 0)
    if late_ms > LATE_MS:
        words = f"sound left up to {late_ms:.0f} ms late: something held the event loop"
        found.problems.append(Problem(found.length_s, words))
    for cause, count in found.stats.get("dropped", {}).items():
        found.problems.append(Problem(found.length_s, f"dropped: {count} {cause}"))
    found.problems.sort(key=lambda problem: problem.at_s)
    return found


def _turn(found: Findings, turns: dict[str, TurnFound], record: Record) -> None:
    name = record["turn"]
    change, t = record["change"], record["t"]
    turn = turns.get(name)
    if turn is None or (change == "opened" and turn.ended_s is not None):
        if turn is not None:  # a platform may give a name twice
            turns[f"{name}@{turn.opened_s}"] = turns.pop(name)
        turn = turns[name] = TurnFound(name)
    if change == "heard":
        turn.runs.append(
            (record["at"] / record["rate"], (record["at"] + record["n"]) / record["rate"])
        )
        return
    turn.changes.append((t, change))
    if change == "opened":
        turn.opened_s = t
    elif change == "started":
        turn.started_s = t
    elif change == "underrun":
        words = f"turn {name[:8]} ran out of sound for {record.get('underrun_ms', 0):.0f} ms"
        found.problems.append(Problem(t, words))
    elif change == "ended":
        _end(found, turn, record)


def _end(found: Findings, turn: TurnFound, record: Record) -> None:
    name, t = turn.turn_id[:8], record["t"]
    turn.ended_s = t
    turn.facts = {key: value for key, value in record.items() if key not in _OF_EACH}
    if turn.reason in {"failed", "lost", "timed_out"}:
        found.problems.append(Problem(t, f"turn {name} {turn.reason.replace('_', ' ')}"))
    if turn.facts.get("underruns"):
        lacking = f"{turn.facts['underruns']} times, {turn.facts.get('underrun_ms', 0):.0f} ms"
        found.problems.append(Problem(t, f"turn {name} ran out of sound {lacking} in all"))
    if turn.facts.get("stale_frames"):
        words = f"{turn.facts['stale_frames']} frames of turn {name} came after its interrupt"
        found.problems.append(Problem(t, words))


def _life(found: Findings, record: Record) -> None:
    t = record["t"]
    match record["change"]:
        case "gap":
            found.gaps.append((t, None))
            found.problems.append(Problem(t, f"the connection was lost: {_closing(record)}"))
        case "connected" if found.gaps and found.gaps[-1][1] is None:
            begun = found.gaps[-1][0]
            found.gaps[-1] = (begun, t - begun)
        case "state":
            found.states.append((t, str(record.get("state"))))
        case "ended" if record.get("code") != NORMAL_CLOSURE:
            found.problems.append(Problem(t, f"the session ended: {_closing(record)}"))
        case "full":
            found.problems.append(
                Problem(t, "the recording reached max_bytes: what follows is missing")
            )
        case "lost_events":
            words = f"{record.get('count')} events were not recorded: the disk was too slow"
            found.problems.append(Problem(t, words))


def _closing(record: Record) -> str:
    return f"close code {record.get('code')} {record.get('reason', '')}".rstrip()


def _message(found: Findings, record: Record) -> None:
    direction, kind = record.get("dir", "recv"), record["kind"]
    found.messages[direction, kind] = found.messages.get((direction, kind), 0) + 1
    found.bytes[direction] = found.bytes.get(direction, 0) + record.get("bytes", 0)
    name = record.get("name", "")
    if name == "error":
        found.problems.append(Problem(record["t"], f"an error was {_way(direction)}"))
    data = record.get("json")
    if name == "session.state" and isinstance(data, dict) and isinstance(data.get("data"), dict):
        found.states.append((record["t"], str(data["data"].get("state"))))


def _way(direction: str) -> str:
    return "sent" if direction == "send" else "received"


def _interrupts(found: Findings) -> None:
    """Find how long it took from each interrupt until there was silence, and word of it."""
    for turn in found.turns:
        if turn.reason != "interrupted" or turn.ended_s is None:
            continue
        last = max((end for _, end in turn.runs), default=turn.ended_s)
        turn.silent_after_ms = max(0.0, last - turn.ended_s) * 1000
        for t, state in found.states:
            if t >= turn.ended_s and state not in SPEAKING:
                turn.confirmed_after_ms = (t - turn.ended_s) * 1000
                break
