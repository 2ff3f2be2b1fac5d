"""The codec beside the published SDK 0.2.2, in one process.

Run ``make .seeds/liveavatar-0.2.2 .seeds/akool-0.1.8`` once, then this file; ``--check`` fails when
a ratio is under its floor. The workloads are those of the list, by the names of their floors.
"""

import platform
import sys
from collections.abc import Callable
from importlib.metadata import version

import seeds  # noqa: F401 - for the published SDK
from ratios import Ratio, best_times, floors, ratio_of, report

from avatarwire.bench import workload
from avatarwire.bench.candidates import Avatarwire, LiveAvatarSdk

PLACES = 4


def measure() -> list[Ratio]:
    """Time everything and pair it."""
    limits = floors("codec")
    at_most = limits.pop("pcm_into_copy")
    ours, theirs = Avatarwire(), LiveAvatarSdk()
    ratios = [ratio_of(name, ours, theirs, floor) for name, floor in limits.items()]
    return [*ratios, _to_a_copy(ours, at_most)]


def copy_of(source: bytes) -> Callable[[], None]:
    """Return what copies bytes into a buffer."""
    target = memoryview(bytearray(len(source)))

    def copy() -> None:
        target[:] = source

    return copy


def _to_a_copy(ours: Avatarwire, at_most: float) -> Ratio:
    # Where a buffer lies decides up to a tenth of a copy's time: both sides get several.
    cases = [workload("pcm_into").cases()[0] for _ in range(PLACES)]
    calls = {f"ours {at}": ours.pcm_into(*case) for at, case in enumerate(cases)}
    calls |= {f"copy {at}": copy_of(pcm) for at, (pcm, _) in enumerate(cases)}
    times = best_times(calls)
    ours_s, copy_s = (
        min(times[f"{side} {at}"] for at in range(PLACES)) for side in ("ours", "copy")
    )
    title = "1 s of PCM to frames in one buffer, to one copy of as many bytes"
    return Ratio(title, ours_s, copy_s, at_most, at_most=True)


if __name__ == "__main__":
    print(
        f"Python {platform.python_version()}, {platform.machine()}, "
        f"liveavatar-channel-sdk 0.2.2, websockets {version('websockets')}\n"
    )
    sys.exit(report(measure, theirs="seed"))
