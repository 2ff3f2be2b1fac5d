"""Writes a group's results: a Markdown table and a plot under ``benchmarks/results/``."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from avatarwire.bench import CANDIDATES, made, measured, workload
from avatarwire.bench.machine import cpu
from avatarwire.bench.measuring import COPY
from avatarwire.bench.plot import micros

__all__ = ["COPY", "RESULTS", "Panel", "machine", "micros", "panel_of", "write"]

RESULTS = Path(__file__).with_name("results")

_OURS_COLOUR, _OTHER_COLOUR, _LIMIT_COLOUR = "#1f6feb", "#9aa4b2", "#d29922"


@dataclass(frozen=True, slots=True)
class Panel:
    """One comparison: what each candidate costs, in seconds.

    Attributes:
        title: what is compared, with its unit of work.
        costs: seconds by candidate; names that start with "avatarwire" are ours. Ratios refer to
            the first.
        limit: a candidate that does less than the job, as the bound on what can be had.
    """

    title: str
    costs: Mapping[str, float]
    limit: str = ""


def panel_of(name: str, *, limit: str = COPY) -> Panel:
    """Measure a group of the list, by every candidate that is installed.

    Args:
        name: the workload.
        limit: what does less than the job; one copy of as many bytes, unless it is a candidate.
    """
    candidates, _ = made(CANDIDATES)
    group = measured(workload(name), candidates, seconds=2)
    if group.faults or group.failures:
        raise RuntimeError(f"{name}: {group.faults | group.failures}")
    costs = {line.name: line.seconds for line in group.lines}
    if limit == COPY:
        costs[COPY] = group.copy_s
    return Panel(group.workload.title, costs, limit)


def write(group: str, title: str, panels: list[Panel], packages: list[str], notes: str) -> None:
    """Write and print the table of a group, and draw its plot.

    Args:
        group: name of the files.
        title: heading of both.
        panels: the comparisons.
        packages: distributions whose versions belong to the result.
        notes: what a reader must know to read the figures, in Markdown.
    """
    RESULTS.mkdir(exist_ok=True)
    text = f"# {title}\n\n{machine(packages)}\n\n{notes}\n\n"
    text += "\n\n".join(_table(panel) for panel in panels)
    text += f"\n\n![{title}, as bars]({group}.svg)\n"
    (RESULTS / f"{group}.md").write_text(text, "utf-8")
    _plot(RESULTS / f"{group}.svg", title, panels)
    print(text)


def machine(packages: list[str]) -> str:
    """Say on what the figures were measured, with the versions of some distributions."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores ({cpu()}); liveavatar-channel-sdk 0.2.2, "
        f"{versions}.\n\nRead the ratios: the times are one machine's."
    )


def _table(panel: Panel) -> str:
    first = next(iter(panel.costs.values()))
    lines = [f"| {panel.title} | µs here | to the first |", "|---|--:|--:|"]
    for name, cost in panel.costs.items():
        shown = f"**{name}**" if _is_ours(name) else name
        lines.append(f"| {shown} | {micros(cost)} | {cost / first:.2f}x |")
    return "\n".join(lines)


def _plot(path: Path, title: str, panels: list[Panel]) -> None:
    # Text stays text, and nothing in the file tells one run from the next but the figures.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": title, "font.size": 10})
    rows = [len(panel.costs) for panel in panels]
    figure = Figure(
        figsize=(9, 0.7 + sum(0.8 + 0.3 * count for count in rows)), layout="constrained"
    )
    figure.suptitle(f"{title} (shorter is better, log scale)", fontweight="bold")
    every = [cost * 1e6 for panel in panels for cost in panel.costs.values()]
    least, most = min(every), max(every)
    axes = figure.subplots(
        len(panels), 1, squeeze=False, sharex=True, height_ratios=[r + 1 for r in rows]
    )
    for axis, panel in zip(axes[:, 0], panels, strict=True):
        values = [cost * 1e6 for cost in panel.costs.values()]
        names = list(panel.costs)
        bars = axis.barh(names, values, color=[_colour(name, panel) for name in names])
        labels = [f"{micros(value * 1e-6)} µs  ({value / values[0]:.3g}x)" for value in values]
        axis.bar_label(bars, labels, padding=2)
        axis.set_title(panel.title, loc="left", fontsize=10)
        axis.set_xscale("log")
        axis.set_xlim(least / 2, most * 4 * (most / least) ** 0.25)  # room for the labels
        axis.minorticks_off()  # each would be an element of the file
        axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
        axis.xaxis.set_major_formatter("{x:g}")
        axis.grid(axis="x", alpha=0.3)
        axis.set_axisbelow(True)
    axes[-1, 0].set_xlabel("microseconds on one machine")
    figure.savefig(path, metadata={"Date": None})


def _colour(name: str, panel: Panel) -> str:
    if name == panel.limit:
        return _LIMIT_COLOUR
    return _OURS_COLOUR if _is_ours(name) else _OTHER_COLOUR


def _is_ours(name: str) -> bool:
    return name.startswith("avatarwire")
