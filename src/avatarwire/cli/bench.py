"""``avatarwire bench``: how fast the codec is here, beside whatever else is installed."""

import contextlib
import importlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from avatarwire.bench import (
    CANDIDATES,
    WORKLOADS,
    Group,
    Line,
    Workload,
    machine,
    made,
    measured,
    workload,
)
from avatarwire.bench.plot import bars, micros
from avatarwire.cli.output import shown
from avatarwire.cli.users_code import UsersCodeError, split

__all__ = ["bench"]

FULL_S, QUICK_S = 60, 15
#: Of a ratio: above it the machine was too busy to tell.
UNCERTAIN = 0.1
#: Bytes; a copy of less says nothing about the memory.
COPIED = 1000
#: Columns of a table in a file.
WIDTH = 100


@click.command()
@click.argument(
    "groups", nargs=-1, type=click.Choice([it.name for it in WORKLOADS]), metavar="[GROUP]..."
)
@click.option(
    "--with",
    "others",
    metavar="MODULE:CLASS",
    multiple=True,
    help="A codec of your own, which takes part; may be repeated.",
)
@click.option("--quick", is_flag=True, help=f"Take {QUICK_S} s of CPU time, not {FULL_S}.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, nothing else.")
@click.option(
    "--plot",
    metavar="OUT.svg",
    type=click.Path(dir_okay=False),
    help="Draw the figures as bars.",
)
@click.option("--list", "listed", is_flag=True, help="List the groups, and measure nothing.")
def bench(
    groups: Sequence[str],
    others: Sequence[str],
    *,
    quick: bool,
    as_json: bool,
    plot: str | None,
    listed: bool,
) -> int:
    """Compare the codec with what else is installed, by GROUP; without one, all of them.

    Every candidate's bytes are checked first; wrong ones are told, and the exit code is 1.
    """
    if listed:
        for it in WORKLOADS:
            click.echo(f"{it.name:18} {it.title}")
        return 0
    if plot is not None and not Path(plot).absolute().parent.is_dir():
        raise click.ClickException(f"cannot write {plot}: its folder does not exist")
    candidates, missing = made(CANDIDATES)
    candidates += map(_made_by_user, others)
    chosen = [workload(name) for name in dict.fromkeys(groups)] or list(WORKLOADS)
    # A pipe has no width that a table would have to keep to.
    console = Console() if Console().is_terminal else Console(width=WIDTH)
    seconds = QUICK_S if quick else FULL_S
    found = _measure(chosen, candidates, seconds, None if as_json else console)
    if plot is not None:
        _draw(plot, found)
    if as_json:
        click.echo(json.dumps(_values(found, candidates, missing), indent=2))
    else:
        _show(console, found, candidates, missing)
    wrong = [name for group in found for name in group.faults]
    return 1 if wrong else 0


def _made_by_user(spelling: str) -> Any:  # noqa: ANN401
    """Make a candidate of ``module:Class``."""
    try:
        module, name = split(spelling, "module:Class")
    except UsersCodeError as exc:
        raise _refused(f"{exc}.") from exc
    try:
        candidate = getattr(importlib.import_module(module), name)()
    except Exception as exc:
        raise _refused(f"{spelling} cannot be made: {type(exc).__name__}: {exc}") from exc
    if not isinstance(getattr(candidate, "name", None), str):
        raise _refused(f"{spelling} has no name: give the class a name of its own.")
    if not any(hasattr(candidate, it.name) for it in WORKLOADS):
        names = ", ".join(it.name for it in WORKLOADS)
        raise _refused(f"{spelling} has no operation; there are: {names}.")
    return candidate


def _refused(why: str) -> click.BadParameter:
    return click.BadParameter(why, param_hint="'--with'")


def _measure(
    chosen: Sequence[Workload], candidates: Sequence[Any], seconds: float, console: Console | None
) -> list[Group]:
    found: list[Group] = []
    with contextlib.ExitStack() as stack:
        show = (
            _bar(stack, console, seconds) if console is not None and console.is_terminal else None
        )
        share_s = seconds / len(chosen)
        for at, it in enumerate(chosen):
            tell = _teller(show, it.name, at * share_s, share_s)
            found.append(measured(it, candidates, seconds=share_s, on_round=tell))
    return found


def _bar(
    stack: contextlib.ExitStack, console: Console, seconds: float
) -> Callable[[str, float], None]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} s"),
    )
    # Drawn from here, between rounds: a thread of its own would be measured too.
    progress = stack.enter_context(
        Progress(*columns, console=console, auto_refresh=False, transient=True)
    )
    task = progress.add_task("", total=seconds)

    def show(name: str, done_s: float) -> None:
        progress.update(task, description=f"{name:18}", completed=done_s, refresh=True)

    return show


def _teller(
    show: Callable[[str, float], None] | None, name: str, begun_s: float, share_s: float
) -> Callable[[], None]:
    """Return what is called after each round, and draws ten times a second."""
    if show is None:
        return lambda: None
    start_s = time.process_time()
    next_s = 0.0

    def tell() -> None:
        nonlocal next_s
        now_s = time.process_time()
        if now_s >= next_s:
            next_s = now_s + 0.1
            show(name, begun_s + min(share_s, now_s - start_s))

    return tell


def _draw(path: str, groups: list[Group]) -> None:
    where = f"{machine.python()}, {machine.system()}, {machine.cpu()}"
    try:
        Path(path).write_text(bars(groups, title="avatarwire bench", subtitle=where), "utf-8")
    except OSError as exc:
        raise click.ClickException(f"cannot write {path}: {exc.strerror}") from exc


def _values(
    groups: list[Group], candidates: Sequence[Any], missing: dict[str, str]
) -> dict[str, Any]:
    return {
        "cpu": machine.cpu(),
        "python": machine.python(),
        "system": machine.system(),
        "versions": machine.versions(candidates),
        "missing": sorted(missing),
        "groups": [
            {
                "name": group.workload.name,
                "title": group.workload.title,
                "bytes": group.workload.size,
                "copy_s": group.copy_s,
                "candidates": [_line(group, line) for line in group.lines],
                "wrong": group.faults,
                "failed": group.failures,
            }
            for group in groups
        ],
    }


def _line(group: Group, line: Line) -> dict[str, Any]:
    return {
        "name": line.name,
        "is_bound": line.is_bound,
        "seconds": line.seconds,
        "ratio": line.ratio,
        "uncertainty": line.uncertainty,
        "spread": line.spread,
        "bytes_per_s": group.workload.size / line.seconds,
        "copy_share": group.copy_s / line.seconds,
        "threads": line.threads,
    }


def _show(
    console: Console, groups: list[Group], candidates: Sequence[Any], missing: dict[str, str]
) -> None:
    _print(console, Text(f"{machine.python()}, {machine.system()}, {machine.cpu()}"))
    versions = machine.versions(candidates)
    _print(console, Text(", ".join(f"{name} {number}" for name, number in versions.items())))
    for group in groups:
        _print(console, _table(group))
        for name, fault in group.faults.items():
            text = Text.assemble(
                (f"{shown(name)}: wrong", "bold red"), f", not timed: {shown(fault)}"
            )
            _print(console, text)
        for name, why in group.failures.items():
            _print(console, Text(f"{shown(name)} cannot do it here: {shown(why)}", "yellow"))
    if missing:
        _print(console, Text(f"Not installed: {'; '.join(sorted(missing))}", "dim"))
    worst = max((line.uncertainty for group in groups for line in group.lines), default=0)
    if worst > UNCERTAIN:
        warning = f"This machine is too busy to tell: ratios are uncertain by up to {worst:.0%}."
        _print(console, Text(warning, "bold yellow"))


def _print(console: Console, what: Table | Text) -> None:
    if console.is_terminal:
        console.print(what)
        return
    # A table fills each line up with spaces, which would stay in a file.
    with console.capture() as captured:
        console.print(what, soft_wrap=isinstance(what, Text))
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def _table(group: Group) -> Table:
    size = group.workload.size
    table = Table(
        title=Text.assemble((group.workload.name, "bold"), f"  {group.workload.title}"),
        title_justify="left",
        title_style="",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("", no_wrap=True)
    threads = sorted({count for line in group.lines for count in line.threads})
    for head in ("µs", "ratio", "±", "MB/s", "of a copy", *(f"{it} threads" for it in threads)):
        table.add_column(head, justify="right", no_wrap=True)
    is_moving = size >= COPIED
    for at, line in enumerate(group.lines):
        style = "dim" if line.is_bound else "" if at else "bold cyan"
        table.add_row(
            f"({shown(line.name)})" if line.is_bound else shown(line.name),
            micros(line.seconds),
            f"{line.ratio:.2f}x",
            f"{line.uncertainty:.0%}",
            f"{size / line.seconds / 1e6:,.0f}" if is_moving else "",
            f"{group.copy_s / line.seconds:.0%}" if is_moving else "",
            *(f"{line.threads[it]:.1f}x" if it in line.threads else "" for it in threads),
            style=style,
        )
    return table
