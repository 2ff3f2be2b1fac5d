"""Times a 40 ms chunk from 24 to 16 kHz; the absolute times are this machine's.

    .venv/bin/python benchmarks/resample.py

The other column is the loop that programs write by hand: linear interpolation between neighbours.
It filters nothing, so that what the lower rate cannot hold aliases. Equal work it is not.
"""

import math
from array import array

from ratios import best_times

from avatarwire.audio import Resampler

RATE_IN, RATE_OUT, CHUNK_MS = 24000, 16000, 40
COUNT = RATE_IN * CHUNK_MS // 1000
CHUNK = array(
    "h", (round(9000 * math.sin(2 * math.pi * 440 * at / RATE_IN)) for at in range(COUNT))
).tobytes()


def by_hand(pcm: bytes) -> bytes:
    """Resample a chunk as many programs do."""
    samples = array("h", pcm)
    last = len(samples) - 1
    out = array("h")
    for index in range(len(samples) * RATE_OUT // RATE_IN):
        position = index * RATE_IN / RATE_OUT
        at = int(position)
        part = position - at
        out.append(int(samples[at] * (1 - part) + samples[min(at + 1, last)] * part))
    return out.tobytes()


def main() -> None:
    """Print the table."""
    resampler = Resampler(rate_in=RATE_IN, rate_out=RATE_OUT)
    times = best_times(
        {"Resampler": lambda: resampler.push(CHUNK), "a Python loop": lambda: by_hand(CHUNK)}
    )
    print(f"| {CHUNK_MS} ms, {RATE_IN} to {RATE_OUT} Hz | µs here |\n|---|--:|")
    for name, seconds in times.items():
        print(f"| {name} | {seconds * 1e6:.1f} |")


if __name__ == "__main__":
    main()
