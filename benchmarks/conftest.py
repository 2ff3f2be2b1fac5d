"""What ``pytest benchmarks`` adds to the tables of pytest-benchmark: ratios to ours."""

import pytest
import seeds  # noqa: F401 - for the published SDKs
from test_workloads import CANDIDATES_HERE, RESULTS

from avatarwire.bench import machine
from avatarwire.bench.plot import micros


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a Markdown table a group: the medians, and the ratios of rounds that stood together."""
    if not RESULTS:
        return
    write = terminalreporter.write_line
    found = machine.versions(CANDIDATES_HERE)
    versions = ", ".join(f"{name} {it}" for name, it in found.items())
    write(f"\n{machine.python()}, {machine.system()}, {machine.cpu()}; {versions}.")
    for group in RESULTS.values():
        write(f"\n| {group.workload.title} | µs here | spread | to the first | ± |")
        write("|---|--:|--:|--:|--:|")
        for line in group.lines:
            name = f"({line.name})" if line.is_bound else line.name
            write(
                f"| {name} | {micros(line.seconds)} | {line.spread:.0%} "
                f"| {line.ratio:.2f}x | {line.uncertainty:.1%} |"
            )
        write(f"| (one copy of as many bytes) | {micros(group.copy_s)} | | | |")
