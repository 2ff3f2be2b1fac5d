"""Sound by other means: NumPy, the resamplers, and the standard library."""

import heapq
import math
import os
import sys
import warnings
from array import array
from collections.abc import Callable
from importlib import import_module
from typing import Any

from avatarwire.bench.candidates.masking import wire
from avatarwire.bench.reference import Fields
from avatarwire.bench.workloads import Call

__all__ = ["Audioop", "Heap", "Numpy", "PythonLoop", "Samplerate", "Scipy", "Soxr"]


class Numpy:
    """NumPy, all frames of a second at once."""

    name = "NumPy"
    distributions: tuple[str, ...] = ("numpy",)

    def __init__(self) -> None:
        self._np: Any = import_module("numpy")

    def _framed(self, pcm: bytes) -> Any:  # noqa: ANN401
        """Return a call whose result has a row a frame."""
        np = self._np

        def call() -> Any:  # noqa: ANN401
            sound = np.frombuffer(pcm, np.uint8).reshape(-1, 1920)
            seq = np.arange(len(sound), dtype=np.uint32)
            rows = np.empty((len(sound), 1929), np.uint8)
            first = 0x4000 | (seq == 0).astype(np.uint32) << 12 | seq
            rows[:, 0:2] = first.astype(">u2").view(np.uint8).reshape(-1, 2)
            middle = (seq * 40) << 12 | 1 << 10 | 960 >> 2
            rows[:, 2:6] = middle.astype(">u4").view(np.uint8).reshape(-1, 4)
            rows[:, 6] = (960 & 3) << 6
            rows[:, 7:9] = 1920 >> 8, 1920 & 0xFF
            rows[:, 9:] = sound
            return rows

        return call

    def pcm_frames(self, pcm: bytes) -> Call:
        """Make all, and a message of each."""
        framed = self._framed(pcm)
        return lambda: [row.tobytes() for row in framed()]

    def pcm_into(self, pcm: bytes, out: bytearray) -> Call:
        """Make all, and put them into the buffer."""
        framed = self._framed(pcm)
        target = self._np.frombuffer(out, self._np.uint8).reshape(-1, 1929)

        def call() -> None:
            target[:] = framed()

        return call

    def pcm_websocket(self, pcm: bytes) -> Call:
        """Make all, and mask them at once, each by a key of its own."""
        np, framed = self._np, self._framed(pcm)

        def call() -> Any:  # noqa: ANN401
            rows = framed()
            wires = np.empty((len(rows), 8 + 1929), np.uint8)
            wires[:, :4] = 0x82, 0xFE, 1929 >> 8, 1929 & 0xFF
            keys = np.frombuffer(os.urandom(4 * len(rows)), np.uint8).reshape(-1, 4)
            wires[:, 4:8] = keys
            np.bitwise_xor(rows, np.tile(keys, 483)[:, :1929], out=wires[:, 8:])
            return wires.tobytes()

        return call

    def message_mask(self, message: bytes) -> Call:
        """XOR with the key, repeated."""
        np = self._np

        def call() -> bytes:
            key = os.urandom(4)
            keys = np.frombuffer(key * (len(message) // 4 + 1), np.uint8)[: len(message)]
            return wire(key, message, (np.frombuffer(message, np.uint8) ^ keys).tobytes())

        return call

    def level(self, pcm: bytes) -> Call:
        """Measure in double precision."""
        np = self._np

        def call() -> tuple[float, float]:
            samples = np.frombuffer(pcm, "<i2").astype(np.float64)
            rms = math.sqrt(np.dot(samples, samples) / len(samples))
            return rms / 32768, float(np.abs(samples).max()) / 32768

        return call


class Audioop:
    """``audioop``, which left the standard library in 3.13."""

    name = "audioop"
    distributions: tuple[str, ...] = ()

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self._audioop: Any = import_module("audioop")

    def level(self, pcm: bytes) -> Call:
        """Measure; its root mean square is a whole number."""
        rms, peak = self._audioop.rms, self._audioop.max
        return lambda: (rms(pcm, 2) / 32768, peak(pcm, 2) / 32768)


class PythonLoop:
    """A loop over the samples."""

    name = "Python loop"
    distributions: tuple[str, ...] = ()

    def level(self, pcm: bytes) -> Call:
        """Measure as a program without a codec does."""

        def call() -> tuple[float, float]:
            samples = array("h", pcm)
            if sys.byteorder == "big":
                samples.byteswap()
            square = 0
            for sample in samples:
                square += sample * sample
            low, high = min(samples), max(samples)
            return math.sqrt(square / len(samples)) / 32768, max(-low, high) / 32768

        return call


class Heap:
    """``heapq``: frames wait until the newest is a window ahead; losses go unnoticed."""

    name = "heapq by hand"
    distributions: tuple[str, ...] = ()

    def jitter(self, frames: list[Fields], window_ms: int) -> Call:
        """Push all through a heap."""

        def call() -> list[Fields]:
            heap: list[tuple[int, Fields]] = []
            released = []
            newest = 0
            for frame in frames:
                heapq.heappush(heap, (frame.timestamp, frame))
                newest = max(newest, frame.timestamp)
                while heap[0][0] + window_ms < newest:
                    released.append(heapq.heappop(heap)[1])
            while heap:
                released.append(heapq.heappop(heap)[1])
            return released

        return call


class _Resampler:
    """What works on whole arrays, a second at once: no stream, no seams."""

    library: str

    def __init__(self) -> None:
        self._np: Any = import_module("numpy")
        self._library: Any = import_module(self.library)

    def resampled(self) -> Callable[[Any], Any]:
        """Return what takes an array of floats to another."""
        raise NotImplementedError

    def resample(self, pcm: bytes) -> Call:
        """Convert, and round."""
        np, resampled = self._np, self.resampled()

        def call() -> Any:  # noqa: ANN401
            out = resampled(np.frombuffer(pcm, "<i2").astype(np.float32))
            return np.clip(np.rint(out), -32768, 32767).astype("<i2").tobytes()

        return call


class Soxr(_Resampler):
    """soxr, one call for all: what this package streams by."""

    name = "soxr, one call"
    distributions: tuple[str, ...] = ("soxr", "numpy")
    library = "soxr"

    def resampled(self) -> Callable[[Any], Any]:
        """Return its high quality."""
        soxr = self._library
        return lambda samples: soxr.resample(samples, 24000, 16000, "HQ")


class Scipy(_Resampler):
    """SciPy's polyphase filter."""

    name = "SciPy resample_poly"
    distributions: tuple[str, ...] = ("scipy", "numpy")
    library = "scipy.signal"

    def resampled(self) -> Callable[[Any], Any]:
        """Return its default window."""
        signal = self._library
        return lambda samples: signal.resample_poly(samples, 2, 3)


class Samplerate(_Resampler):
    """libsamplerate."""

    name = "samplerate sinc_medium"
    distributions: tuple[str, ...] = ("samplerate", "numpy")
    library = "samplerate"

    def resampled(self) -> Callable[[Any], Any]:
        """Return its middle quality."""
        samplerate = self._library
        return lambda samples: samplerate.resample(samples, 2 / 3, "sinc_medium")
