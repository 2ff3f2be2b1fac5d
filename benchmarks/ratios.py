"""Times code beside other code in one process, so that only the ratios count."""

import gc
import sys
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

FLOORS = Path(__file__).with_name("floors.toml")


def best_times(
    calls: Mapping[str, Callable[[], object]], *, rounds: int = 25, round_s: float = 0.004
) -> dict[str, float]:
    """Return the best seconds per call of each.

    The calls take turns, round after round, so that a slow moment of the machine hits all of
    them; the best round of each is the one that was disturbed least.

    Args:
        calls: What to time, by name.
        rounds: Turns that each call gets.
        round_s: Roughly how long one turn takes, in seconds.
    """
    best = {}
    counts = {}
    for name, call in calls.items():
        call()
        best[name] = _time(call, 20)
        counts[name] = max(20, int(round_s / best[name]))
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, call in calls.items():
                best[name] = min(best[name], _time(call, counts[name]))
    finally:
        if was_enabled:
            gc.enable()
    return best


def _time(call: Callable[[], object], count: int) -> float:
    turns = range(count)
    start = time.perf_counter()
    for _ in turns:
        call()
    return (time.perf_counter() - start) / count


@dataclass(frozen=True, slots=True)
class Ratio:
    """One line of a table: how many times the cost of ``ours`` the cost of ``theirs`` is.

    With ``at_most`` the floor is a ceiling, and the ratio the other way round: ours to theirs.
    """

    name: str
    ours: float
    theirs: float
    floor: float
    at_most: bool = False

    @property
    def value(self) -> float:
        """The ratio."""
        return self.ours / self.theirs if self.at_most else self.theirs / self.ours

    @property
    def holds(self) -> bool:
        """Whether the ratio is on the right side of its floor."""
        return self.value <= self.floor if self.at_most else self.value >= self.floor


def floors(group: str) -> dict[str, float]:
    """Return the floors of a group of benchmarks."""
    table: dict[str, float] = tomllib.loads(FLOORS.read_text())[group]
    return table


def table(ratios: list[Ratio], *, theirs: str) -> str:
    """Return the ratios as a Markdown table; absolute times are this machine's."""
    lines = [
        f"| what | ours, µs here | {theirs}, µs here | ratio | floor |",
        "|---|--:|--:|--:|--:|",
    ]
    for ratio in ratios:
        sign = "≤ " if ratio.at_most else ""
        lines.append(
            f"| {ratio.name} | {ratio.ours * 1e6:.3f} | {ratio.theirs * 1e6:.3f} "
            f"| {ratio.value:.2f}x | {sign}{ratio.floor:g}x |"
        )
    return "\n".join(lines)


def report(measure: Callable[[], list[Ratio]], *, theirs: str) -> int:
    """Print the table; with ``--check`` return 1 when a ratio misses its floor three times.

    A busy machine spoils a whole measurement now and then, and some ratios lie less than a tenth
    above their floors: those that miss get two more chances.
    """
    ratios = measure()
    print(table(ratios, theirs=theirs))
    if "--check" not in sys.argv[1:]:
        return 0
    missed = {ratio.name for ratio in ratios if not ratio.holds}
    for _ in range(2):
        if not missed:
            break
        print(f"\nOnce more, for {', '.join(sorted(missed))}:\n")
        again = measure()
        print(table(again, theirs=theirs))
        missed &= {ratio.name for ratio in again if not ratio.holds}
    for name in sorted(missed):
        print(f"{name}: misses its floor", file=sys.stderr)
    return 1 if missed else 0
