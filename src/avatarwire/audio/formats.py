"""What a run of PCM bytes means."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["FRAME_RATES", "PcmFormat", "pcm_view"]

#: What an audio frame's ``sample_rate`` field says, in Hz, by its value (protocol section 5).
FRAME_RATES = (16000, 24000, 48000)

SAMPLE_BYTES = 2


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """16-bit little-endian PCM, channels interleaved.

    Attributes:
        sample_rate: samples a second of each channel, in Hz.
        channels: 1 for mono, 2 for stereo.
    """

    sample_rate: int
    channels: int = 1

    def __post_init__(self) -> None:
        if self.sample_rate < 1 or self.channels < 1:
            raise ValueError(
                f"a format has a positive rate and channel count, not {self.sample_rate} Hz "
                f"and {self.channels}"
            )

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return SAMPLE_BYTES * self.channels

    @property
    def bytes_per_second(self) -> int:
        """Bytes of one second of sound."""
        return self.sample_rate * self.frame_bytes

    def ms(self, size_bytes: int) -> float:
        """Give the duration of ``size_bytes`` of sound in milliseconds."""
        return size_bytes * 1000 / self.bytes_per_second

    def __str__(self) -> str:
        layout = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")
        return f"{self.sample_rate} Hz {layout}"


def pcm_view(pcm: "Buffer") -> memoryview:
    """Give PCM to read in place; release it when done.

    Raises:
        TypeError: not a buffer, or one of floats.
    """
    try:
        view = memoryview(pcm)
    except TypeError:
        raise TypeError(
            f"pcm must be bytes or another buffer of 16-bit samples, not {type(pcm).__name__}"
        ) from None
    if view.format.lstrip("@=<>!") in {"e", "f", "d"}:
        view.release()
        raise TypeError("pcm must be 16-bit integers, not floats: scale to ±32767 first")
    return view
