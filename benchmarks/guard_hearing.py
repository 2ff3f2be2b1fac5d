"""Holds what it costs to hear to its floors.

Run it with ``--check`` to compare with ``floors.toml``, and with ``--uvloop`` on that event loop.
"""

import argparse
import platform
import sys
from importlib.metadata import version

from hearing import (
    CONNECTION,
    LIVE_SESSIONS,
    OURS,
    PICOWS,
    SEED,
    SIDES,
    USER_AUDIO,
    allow_files,
    measure,
)
from ratios import Ratio, floors, report

#: Which figure has which floor, beside picows and beside the published SDK.
FLOORS = {
    ("flood", OURS): "flood",
    ("flood", CONNECTION): "flood_connection",
    ("live", OURS): "live",
    ("live", USER_AUDIO): "live_user_audio",
    ("live", CONNECTION): "live_connection",
}
BESIDE_SEED = {("live", OURS): "live_to_seed"}


def main() -> int:
    """Measure, print the table and check it."""
    parser = argparse.ArgumentParser(description="Measure what it costs to hear.")
    parser.add_argument("--check", action="store_true", help="compare with floors.toml")
    parser.add_argument("--uvloop", action="store_true")
    options = parser.parse_args()
    names = [OURS, USER_AUDIO, CONNECTION, PICOWS, SEED] if options.check else list(SIDES)
    allow_files()
    print(
        f"Python {platform.python_version()}, {platform.machine()}, picows {version('picows')}, "
        f"websockets {version('websockets')}, aiohttp {version('aiohttp')}\n"
    )

    def ratios() -> list[Ratio]:
        limits = floors("hearing")
        found = []
        for title, sessions, kind in (
            ("flood", 1, "flood"),
            (f"live, {LIVE_SESSIONS} sessions", LIVE_SESSIONS, "live"),
        ):
            costs = measure(names, sessions, on_uvloop=options.uvloop)
            for other, keys, words in ((PICOWS, FLOORS, ""), (SEED, BESIDE_SEED, f" to {SEED}")):
                found += [
                    Ratio(
                        f"{title}: {name}{words}",
                        cost_s,
                        costs[other],
                        limits.get(keys.get((kind, name), ""), float("inf")),
                        at_most=True,
                    )
                    for name, cost_s in costs.items()
                    if name != other and (other == PICOWS or (kind, name) in keys)
                ]
        return found

    return report(ratios, theirs="the other")


if __name__ == "__main__":
    sys.exit(main())
