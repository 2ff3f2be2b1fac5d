"""Adds a line to ``results/history.jsonl``, what the guards measure now, and draws all lines.

Run it with ``make history`` at a release, or for a change that moved something: a line holds the
ratios to the published SDKs and the instruction counts, and on what they were measured.
"""

import json
import logging
import subprocess
import sys
import time
from pathlib import Path

import guard_akool
import guard_codec
import guard_instructions
import guard_sending
import matplotlib as mpl
from matplotlib.figure import Figure
from report import RESULTS

import avatarwire
from avatarwire.bench import machine

HISTORY = RESULTS / "history.jsonl"
NOTES = """\
# History

Each point is what the guards measured at one commit, a line of [history.jsonl](history.jsonl):
ratios to the published SDKs, which hold across machines. The lines also hold the instructions of a
call, which hold for one build of an interpreter. A ratio under its floor fails the change that
brings it there.

![Ratios to the published SDKs, commit by commit](history.svg)
"""


def entry() -> dict[str, object]:
    """Measure, and return a line."""
    logging.disable(logging.INFO)  # the published client logs every message
    ratios = {
        ratio.name: round(ratio.value, 2)
        for guard in (guard_codec, guard_sending, guard_akool)
        for ratio in guard.measure()
    }
    commit = subprocess.run(
        ["git", "rev-parse", "--short=9", "HEAD"],  # noqa: S607
        cwd=RESULTS,
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        "date": time.strftime("%Y-%m-%d"),
        "version": avatarwire.__version__,
        "commit": commit.stdout.strip(),
        "python": machine.python(),
        "cpu": machine.cpu(),
        "ratios": ratios,
        "instructions": {guard_instructions.machine(): guard_instructions.counts()},
    }


def draw(lines: list[dict[str, object]], path: Path) -> None:
    """Draw how the ratios went, a colour each."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "history", "font.size": 9})
    figure = Figure(figsize=(9, 6), layout="constrained")
    axis = figure.subplots()
    marks = [f"{line['date']}\n{line['commit']}" for line in lines]
    names = dict.fromkeys(name for line in lines for name in line["ratios"])
    for name in names:
        axis.plot(marks, [line["ratios"].get(name) for line in lines], marker="o", label=name)
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    axis.grid(axis="y", alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title("Times as fast as the published SDK (higher is better)", loc="left")
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Append a line, and write the page."""
    with HISTORY.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry()) + "\n")
    lines = [json.loads(line) for line in HISTORY.read_text("utf-8").splitlines()]
    (RESULTS / "history.md").write_text(NOTES, "utf-8")
    draw(lines, RESULTS / "history.svg")
    print(lines[-1])


if __name__ == "__main__":
    sys.exit(main())
