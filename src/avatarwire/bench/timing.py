"""Times calls beside each other in one process, so that only their ratios count.

They take turns in short rounds, which are timed by this thread's CPU clock: what another program
takes from the machine is in no figure. It slows the memory and the core down besides, and that
falls on neighbouring rounds alike: a ratio is the median over pairs of them.
"""

import gc
import math
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from avatarwire.bench.workloads import Call

__all__ = ["ROUND_S", "Rounds", "best_times", "ratio", "speedups", "spread", "take_turns"]

#: Seconds per call, round by round.
Rounds: TypeAlias = list[float]

ROUND_S = 0.001
LEAST_ROUNDS = 5

# Windows counts a thread's CPU time in ticks of 16 ms.
_CLOCK = (
    time.thread_time
    if time.get_clock_info("thread_time").resolution < ROUND_S / 1000
    else time.perf_counter
)


def take_turns(
    calls: Mapping[str, Sequence[Call]],
    *,
    seconds: float,
    on_round: Callable[[], None] = lambda: None,
) -> dict[str, Rounds]:
    """Return the seconds per call of each, round by round.

    Args:
        calls: what to time, by name: the same work in several instances, whose memory lies in
            different places, which matters. They take turns too.
        seconds: how much CPU time all of it takes; each gets five rounds at least.
        on_round: is called after each round of all.
    """
    end_s = _CLOCK() + seconds
    counts = {name: _count(instances[0]) for name, instances in calls.items()}
    rounds: dict[str, Rounds] = {name: [] for name in calls}
    with _no_collection():
        done = 0
        while done < LEAST_ROUNDS or _CLOCK() < end_s:
            for name, instances in calls.items():
                rounds[name].append(_time(instances[done % len(instances)], counts[name]))
            done += 1
            on_round()
    return rounds


def ratio(rounds: Rounds, ours: Rounds) -> tuple[float, float]:
    """Return how many times ``ours`` the others are, and how uncertain that is, as a share of it.

    It is the median over rounds that stood together, with the half of its 95 % interval.
    """
    pairs = [other / own for other, own in zip(rounds, ours, strict=True)]
    low, middle, high = statistics.quantiles(pairs, n=4, method="inclusive")
    return middle, 1.57 * (high - low) / math.sqrt(len(pairs)) / middle


def spread(rounds: Rounds) -> float:
    """Return how far the middle half of the rounds lies apart, as a share of their median."""
    low, middle, high = statistics.quantiles(rounds, n=4, method="inclusive")
    return (high - low) / middle


def best_times(
    calls: Mapping[str, Call], *, rounds: int = 25, round_s: float = 0.004
) -> dict[str, float]:
    """Return the best seconds per call of each: those of the round that was disturbed least.

    Args:
        calls: what to time, by name.
        rounds: turns that each call gets.
        round_s: roughly how long one turn takes, in seconds.
    """
    counts = {name: _count(call, round_s) for name, call in calls.items()}
    best = dict.fromkeys(calls, float("inf"))
    with _no_collection():
        for _ in range(rounds):
            for name, call in calls.items():
                best[name] = min(best[name], _time(call, counts[name]))
    return best


def speedups(
    make: Callable[[], Call], counts: Sequence[int], *, rounds: int = 8
) -> dict[int, float]:
    """Return how many times the work of one thread several threads do in the same time.

    Args:
        make: makes a call; each thread has its own.
        counts: numbers of threads.
        rounds: turns that each number gets.
    """
    repeat = _count(make(), 4 * ROUND_S)
    best = dict.fromkeys((1, *counts), float("inf"))
    for _ in range(rounds):
        for threads in best:
            best[threads] = min(best[threads], _time_threads(make, threads, repeat))
    return {threads: threads * best[1] / best[threads] for threads in counts}


def _time_threads(make: Callable[[], Call], threads: int, repeat: int) -> float:
    """Return the seconds until all threads have done their work."""
    ready = threading.Barrier(threads + 1)
    failures: list[Exception] = []

    def work() -> None:
        try:
            call = make()
            call()
        except Exception as exc:
            failures.append(exc)
            ready.abort()
            return
        ready.wait()
        for _ in range(repeat):
            call()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        ready.wait()
    except threading.BrokenBarrierError:
        begun_s = 0.0
    else:
        begun_s = time.perf_counter()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
    return time.perf_counter() - begun_s


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector off meanwhile."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _count(call: Call, round_s: float = ROUND_S) -> int:
    """Return how often a call fits into a round; it warms up meanwhile."""
    call()
    count = 1
    while True:
        took_s = _time(call, count) * count
        if took_s >= round_s / 2:
            return max(1, round(count * round_s / took_s))
        count *= 2


def _time(call: Call, count: int) -> float:
    turns = range(count)
    start = _CLOCK()
    for _ in turns:
        call()
    return (_CLOCK() - start) / count
