"""Every workload by every candidate that is installed, for pytest-benchmark.

A group is a workload, a parameter a candidate. The tool times one function after the other, so that
a busy moment would fall on one side of a ratio only. Here the candidates of a group are measured
together, by turns, when the first of them is asked for; what the tool's clock tells in a round is
what that candidate's round took.
"""

from typing import TYPE_CHECKING, Any

import pytest

from avatarwire.bench import CANDIDATES, WORKLOADS, Group, made, measured, workload

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS_PER_GROUP = 1.5
CANDIDATES_HERE, _ = made(CANDIDATES)
RESULTS: dict[str, Group] = {}


class Replay:
    """A clock that goes on by the rounds of one candidate."""

    __name__ = "cpu_time_by_turns"

    def __init__(self) -> None:
        self._now_s = 0.0
        self._rounds: Iterator[float] = iter(())

    def __call__(self) -> float:
        """Return the time, in seconds."""
        return self._now_s

    def load(self, rounds: list[float]) -> None:
        """Take what was measured."""
        self._rounds = iter(rounds)

    def go_on(self) -> None:
        """Let the time of one round go by."""
        self._now_s += next(self._rounds)


REPLAYS = {
    (work.name, candidate.name): Replay()
    for work in WORKLOADS
    for candidate in CANDIDATES_HERE
    if hasattr(candidate, work.name)
}


def _group(name: str) -> Group:
    if name not in RESULTS:
        RESULTS[name] = measured(workload(name), CANDIDATES_HERE, seconds=SECONDS_PER_GROUP)
    return RESULTS[name]


@pytest.mark.parametrize(
    ("work", "candidate"),
    [
        pytest.param(*pair, marks=pytest.mark.benchmark(group=pair[0], timer=replay))
        for pair, replay in REPLAYS.items()
    ],
)
def test_workload(work: str, candidate: str, benchmark: Any) -> None:  # noqa: ANN401
    """Replay the rounds of one candidate; its bytes are right, or there are none."""
    group, replay = _group(work), REPLAYS[work, candidate]
    assert candidate not in group.faults, group.faults[candidate]
    assert candidate not in group.failures, group.failures[candidate]
    (line,) = (line for line in group.lines if line.name == candidate)
    benchmark.extra_info |= {
        "ratio": line.ratio,
        "uncertainty": line.uncertainty,
        "is_bound": line.is_bound,
        "bytes": group.workload.size,
        "copy_s": group.copy_s,
        "threads": dict(line.threads),
    }
    replay.load(line.rounds)
    benchmark.pedantic(replay.go_on, rounds=len(line.rounds))
