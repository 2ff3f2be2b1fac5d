"""Sound that comes in: the jitter buffer's cost a frame, and ``level`` beside a Python loop."""

import array
import math
import random
import sys
from collections.abc import Callable

from ratios import best_times

from avatarwire.codec import AudioFrame, JitterBuffer, level

RNG = random.Random(1)  # noqa: S311
COUNT = 1000
FRAME_MS = 40


def level_in_python(pcm: bytes) -> tuple[float, float]:
    """Measure as a program without the codec does: a loop over the samples."""
    samples = array.array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    square = 0
    for sample in samples:
        square += sample * sample
    low, high = min(samples), max(samples)
    peak = max(-low, high)
    return math.sqrt(square / len(samples)) / 32768, peak / 32768


def frames(jitter_ms: float) -> list[AudioFrame]:
    """Return frames of 24 kHz in the order in which they arrive."""
    sent = [
        AudioFrame(
            key=int(not number), seq=number, timestamp=number * FRAME_MS, sample_rate=1,
            samples=960, payload=RNG.randbytes(1920),
        )
        for number in range(COUNT)
    ]  # fmt: skip
    return sorted(sent, key=lambda frame: frame.timestamp + RNG.uniform(-jitter_ms, jitter_ms))


def pushing(arriving: list[AudioFrame]) -> Callable[[], object]:
    """Return a call that pushes them all."""
    buffer = JitterBuffer(window_ms=300)

    def call() -> None:
        buffer.reset()
        push = buffer.push
        for frame in arriving:
            push(frame)

    return call


def main() -> None:
    """Time everything, the jitter buffer per frame."""
    sound = RNG.randbytes(2 * 640)
    assert level(sound) == level_in_python(sound)
    times = best_times({"ours": lambda: level(sound), "loop": lambda: level_in_python(sound)})
    lots = best_times(
        {"in order": pushing(frames(0)), "jitter of ±150 ms": pushing(frames(150))}, rounds=10
    )
    print("| what | µs here |\n|---|--:|")
    for name, seconds in lots.items():
        print(f"| JitterBuffer.push, {name} | {seconds / COUNT * 1e6:.3f} |")
    print(f"| level of 40 ms at 16 kHz | {times['ours'] * 1e6:.3f} |")
    print(f"| the same in a Python loop | {times['loop'] * 1e6:.3f} |")
    print(f"\nlevel is {times['loop'] / times['ours']:.0f}x as fast as the loop.")


if __name__ == "__main__":
    main()
