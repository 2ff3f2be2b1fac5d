"""Ratios of what was timed in one process, and the floors that they may not fall below."""

import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avatarwire.bench import best_times, workload

__all__ = ["FLOORS", "Ratio", "best_times", "floors", "ratio_of", "report"]

FLOORS = Path(__file__).with_name("floors.toml")
#: How often a ratio is measured at the most, before it is said to miss its floor.
TIMES = 6


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


def ratio_of(name: str, ours: Any, theirs: Any, floor: float) -> Ratio:  # noqa: ANN401
    """Time two candidates at a workload of the list.

    Args:
        name: the workload.
        ours: a candidate.
        theirs: another.
        floor: what the ratio may not fall below.
    """
    work = workload(name)
    calls = {
        "ours": getattr(ours, name)(*work.cases()[0]),
        "theirs": getattr(theirs, name)(*work.cases()[0]),
    }
    times = best_times(calls)
    return Ratio(work.title, times["ours"], times["theirs"], floor)


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
    """Print the table; with ``--check`` return 1 when a ratio always misses its floor.

    A busy machine spoils a whole measurement now and then, and some ratios lie less than a tenth
    above their floors: those that miss are measured again.
    """
    ratios = measure()
    print(table(ratios, theirs=theirs))
    if "--check" not in sys.argv[1:]:
        return 0
    missed = {ratio.name for ratio in ratios if not ratio.holds}
    for _ in range(TIMES - 1):
        if not missed:
            break
        print(f"\nOnce more, for {', '.join(sorted(missed))}:\n")
        again = measure()
        print(table(again, theirs=theirs))
        missed &= {ratio.name for ratio in again if not ratio.holds}
    for name in sorted(missed):
        print(f"{name}: misses its floor", file=sys.stderr)
    return 1 if missed else 0
