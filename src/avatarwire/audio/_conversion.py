"""The arithmetic of the resampler; it needs the ``audio`` extra."""

import numpy as np
import soxr

__all__ = ["Conversion"]

Samples = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

# soxr's name for 16-bit precision. Its better settings hold back nearly twice as much sound, and
# add only what lies above three quarters of the band: 6 kHz of 8 at a rate of 16 kHz.
QUALITY = "LQ"


class Conversion:
    """Resamples whole samples of PCM; soxr's stream, and the mixing around it.

    In soxr's own 16-bit mode a random dither makes every run different, hence the floats.
    """

    def __init__(self, rate_in: int, rate_out: int, channels_in: int, channels_out: int) -> None:
        self._mixes = channels_in > channels_out
        self._doubles = channels_in < channels_out
        self._channels = min(channels_in, channels_out)
        self._stream = (
            None
            if rate_in == rate_out
            else soxr.ResampleStream(rate_in, rate_out, self._channels, "float32", QUALITY)
        )

    def push(self, pcm: bytes | memoryview, *, last: bool = False) -> bytes:
        samples: Samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        if self._mixes:
            samples = (samples[0::2] + samples[1::2]) * np.float32(0.5)
        elif self._channels == 2:
            samples = samples.reshape(-1, 2)
        if self._stream is not None:
            samples = self._stream.resample_chunk(samples, last)
        np.rint(samples, out=samples)
        np.clip(samples, -32768, 32767, out=samples)
        whole = samples.astype("<i2")
        return (whole.repeat(2) if self._doubles else whole).tobytes()

    def flush(self) -> bytes:
        rest = self.push(b"", last=True)
        if self._stream is not None:
            self._stream.clear()
        return rest
