"""Times coroutines by the CPU that this process spends, kernel included."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Mapping


async def cpu_of(work: Callable[[], Awaitable[object]]) -> float:
    """Return the CPU seconds of one run.

    It ends with a short sleep in which the event loop writes what is still buffered.
    """
    gc.collect()
    start = time.process_time()
    await work()
    await asyncio.sleep(0.01)
    return time.process_time() - start


async def best_cpu(
    works: Mapping[str, Callable[[], Awaitable[object]]], *, units: int, rounds: int = 12
) -> dict[str, float]:
    """Return the least CPU seconds per unit of work of each; they take turns, round after round.

    Args:
        works: What to time, by name.
        units: How many units one run of each does.
        rounds: Turns that each gets.
    """
    best = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            best[name] = min(best[name], await cpu_of(work) / units)
    return best
