"""Checks candidates against the reference, and measures those that are right."""

import logging
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from avatarwire.bench.candidates import CandidateClass
from avatarwire.bench.timing import Rounds, ratio, speedups, spread, take_turns
from avatarwire.bench.workloads import Call, Workload

__all__ = ["Group", "Line", "checked", "made", "measured"]

COPY = "one copy"
THREADS = (2, 4)
INSTANCES = 4


@dataclass(frozen=True, slots=True)
class Line:
    """What one candidate needs for a workload.

    Attributes:
        name: the candidate.
        rounds: seconds per call, round by round.
        ratio: how many times the first candidate's time it is.
        uncertainty: how far the ratio may be off, as a share of it.
        is_bound: whether it does less than the job.
        threads: how many times the work of one thread so many do; empty where it was not tried.
    """

    name: str
    rounds: Rounds
    ratio: float
    uncertainty: float
    is_bound: bool
    threads: Mapping[int, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.rounds)

    @property
    def spread(self) -> float:
        """How far its rounds lie apart."""
        return spread(self.rounds)


@dataclass(frozen=True, slots=True)
class Group:
    """A workload, measured.

    Attributes:
        workload: it.
        lines: a line a candidate, ours first, bounds last.
        faults: what is wrong with the bytes of a candidate; it was not timed.
        failures: why a candidate could not do it.
        copy_s: how long one copy of as many bytes takes, in seconds.
    """

    workload: Workload
    lines: list[Line]
    faults: dict[str, str]
    failures: dict[str, str]
    copy_s: float


def made(classes: Sequence[CandidateClass]) -> tuple[list[Any], dict[str, str]]:
    """Make the candidates that are installed.

    Returns:
        Them, and why each of the others is missing.
    """
    candidates, missing = [], {}
    for kind in classes:
        try:
            candidates.append(kind())
        except ImportError as exc:
            name = getattr(kind, "name", repr(kind))
            missing[name] = str(exc)
    return candidates, missing


def checked(workload: Workload, candidate: Any) -> str | None:  # noqa: ANN401
    """Say what is wrong with a candidate's bytes; None: they are right.

    Whatever the candidate raises comes through.
    """
    for inputs in workload.cases():
        fault = workload.fault(getattr(candidate, workload.name)(*inputs)(), inputs)
        if fault is not None:
            return fault
    return None


def measured(
    workload: Workload,
    candidates: Sequence[Any],
    *,
    seconds: float,
    on_round: Callable[[], None] = lambda: None,
) -> Group:
    """Check and measure the candidates that have the operation.

    Args:
        workload: what to do.
        candidates: who can do it; the first of them that is right is what ratios are to.
        seconds: how much CPU time to spend.
        on_round: is called after each round.
    """
    able, faults, failures = [], {}, {}
    with _quiet():
        for candidate in candidates:
            if not hasattr(candidate, workload.name):
                continue
            try:
                fault = None if _is_bound(candidate) else checked(workload, candidate)
            except Exception as exc:
                failures[candidate.name] = f"{type(exc).__name__}: {exc}"
                continue
            if fault is None:
                able.append(candidate)
            else:
                faults[candidate.name] = fault
        calls = {it.name: _instances(workload, it) for it in able}
        calls[COPY] = [_copy(workload.size) for _ in range(INSTANCES)]
        rounds = take_turns(calls, seconds=seconds, on_round=on_round)
        threads = {it.name: _in_threads(workload, it) for it in able if workload.is_framing}
    copy = rounds.pop(COPY)
    first = next(iter(rounds.values()), copy)
    lines = [
        Line(
            it.name,
            rounds[it.name],
            *ratio(rounds[it.name], first),
            _is_bound(it),
            threads.get(it.name, {}),
        )
        for it in sorted(able, key=_is_bound)
    ]
    return Group(workload, lines, faults, failures, statistics.median(copy))


def _is_bound(candidate: Any) -> bool:  # noqa: ANN401
    return bool(getattr(candidate, "is_bound", False))


def _instances(workload: Workload, candidate: Any) -> list[Call]:  # noqa: ANN401
    operation = getattr(candidate, workload.name)
    return [operation(*workload.cases()[0]) for _ in range(INSTANCES)]


def _in_threads(workload: Workload, candidate: Any) -> dict[int, float]:  # noqa: ANN401
    # Made by each thread for itself: some refuse another thread than their first.
    return speedups(lambda: _instances(workload, candidate)[0], THREADS)


def _copy(size: int) -> Call:
    """Return what copies so many bytes, in the fastest way for their number."""
    source = bytes(size + 1)
    if size < 10_000:
        return lambda: source[1:]
    target = memoryview(bytearray(size + 1))

    def copy() -> None:
        target[:] = source

    return copy


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the published SDKs, which log each message, from doing so."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)
