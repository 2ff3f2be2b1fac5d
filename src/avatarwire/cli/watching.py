"""What a monitor has been told of sessions, and how a terminal shows it."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from avatarwire.cli.output import shown
from avatarwire.monitor.feed import MOST_WATCHED

__all__ = ["Watched"]

#: So many levels stand beside each other, each the loudest of so many seconds.
LEVELS = 8
LEVEL_S = 0.25
#: A root mean square of speech rarely gets higher.
LOUDEST = 0.25
BARS = " ▁▂▃▄▅▆▇█"
ASCII_BARS = " .,:;=+*#"
#: What the table has beside its sessions: the title, the heads, a line for what is left out.
OTHER_LINES = 4


class Watched:
    """The sessions of one monitor."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Seen] = {}

    @property
    def wanted(self) -> list[str]:
        """Whose records are asked for: the newest."""
        return [*self._sessions][-MOST_WATCHED:]

    def take_list(self, lines: Sequence[Mapping[str, Any]]) -> bool:
        """Take the list of sessions; return whether others are wanted than before."""
        before, known = self.wanted, self._sessions
        self._sessions = {line["id"]: known.get(line["id"]) or _Seen() for line in lines}
        for line in lines:
            self._sessions[line["id"]].line = line
        return self.wanted != before

    def take_record(self, session_id: str, record: Mapping[str, Any], missed: int) -> None:
        """Take what has happened in a session."""
        seen = self._sessions.get(session_id)
        if seen is not None:
            seen.missed = missed
            seen.take(record)

    def table(self, title: str, *, height: int, now_s: float, ascii_only: bool) -> Table:
        """Return the newest sessions as a table.

        Args:
            title: what stands above it.
            height: how many lines there are.
            now_s: the time, in seconds since 1970.
            ascii_only: the terminal has no other characters.
        """
        count, missed = len(self._sessions), sum(seen.missed for seen in self._sessions.values())
        words = f"{title}  {count} session{'' if count == 1 else 's'}"
        if missed:
            words += f"  {missed} records missed"
        table = Table(
            title=words,
            title_justify="left",
            title_style="bold",
            box=None,
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        for head, width in (("session", 8), ("state", 13), ("user", LEVELS), ("avatar", LEVELS)):
            table.add_column(head, no_wrap=True, width=width)
        for head, width in (("turns", 5), ("sent s", 7), ("queue ms", 8), ("late ms", 7)):
            table.add_column(head, justify="right", no_wrap=True, width=width)
        table.add_column("holes", justify="right", no_wrap=True, width=5)
        room = max(1, height - OTHER_LINES)
        newest = [*self._sessions.values()][-room:]
        bars = ASCII_BARS if ascii_only else BARS
        for seen in newest:
            table.add_row(*seen.cells(now_s, bars))
        if count > len(newest):
            table.caption, table.caption_justify = f"and {count - len(newest)} before them", "left"
        return table


class _Seen:
    """What is known of one session."""

    def __init__(self) -> None:
        self.line: Mapping[str, Any] = {}
        self.missed = 0
        self._levels = {"avatar": _Levels(), "user": _Levels()}
        self._side = "platform"
        self._turn = ""
        self._turns = 0
        self._sent_ms = 0.0
        self._underruns = 0

    def take(self, record: Mapping[str, Any]) -> None:
        match record:
            case {"kind": "snapshot", "side": str(side)}:
                self._side = side
            case {"kind": "audio", "level": float(level), "dir": str(way)}:
                is_avatars = (way == "send") == (self._side == "client")
                self._levels["avatar" if is_avatars else "user"].put(record["ts"], level)
                if is_avatars:
                    self._sent_ms += 1000 * record["n"] / record["rate"]
            case {"kind": "turn", "change": "started" | "resumed"}:
                self._turn = "speaking"
            case {"kind": "turn", "change": "paused"}:
                self._turn = "paused"
            case {"kind": "turn", "change": "ended"}:
                self._turns += 1
                self._underruns += record.get("underruns", 0)
                self._turn = str(record.get("reason", "ended")).replace("_", " ")

    def cells(self, now_s: float, bars: str) -> list[Text]:
        line = self.line
        return [
            Text(shown(str(line.get("id", ""))[:8])),
            self._state(),
            Text(self._levels["user"].drawn(now_s, bars)),
            Text(self._levels["avatar"].drawn(now_s, bars)),
            Text(f"{line.get('turns', self._turns)}"),
            Text(f"{line.get('sent_ms', self._sent_ms) / 1000:.1f}"),
            Text(_number(line.get("queued_ms"))),
            Text(_number(line.get("late_ms"))),
            Text(f"{line.get('underruns', self._underruns)}"),
        ]

    def _state(self) -> Text:
        line = self.line
        if not line.get("is_connected"):
            return Text("over" if line.get("is_over") else "gap", style="red")
        words = str(line["state"]).lower() if "state" in line else self._turn or "connected"
        return Text(shown(words), style="green" if words == "speaking" else "")


class _Levels:
    """The loudest of each short while."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, float]] = deque(maxlen=LEVELS)

    def put(self, at_s: float, level: float) -> None:
        when = int(at_s / LEVEL_S)
        if self._kept and self._kept[-1][0] == when:
            level = max(level, self._kept.pop()[1])
        self._kept.append((when, level))

    def drawn(self, now_s: float, bars: str) -> str:
        last, kept = int(now_s / LEVEL_S), dict(self._kept)
        levels = (kept.get(when, 0.0) for when in range(last - LEVELS + 1, last + 1))
        top = len(bars) - 1
        return "".join(bars[min(top, round(top * (each / LOUDEST) ** 0.5))] for each in levels)


def _number(value: object) -> str:
    """Return a figure that not every side knows."""
    return f"{value:.0f}" if isinstance(value, int | float) else "-"
