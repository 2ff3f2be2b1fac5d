"""What a run of PCM bytes means."""

from dataclasses import dataclass

from avatarwire._checks import whole_number

__all__ = ["PcmFormat", "whole_number"]

SAMPLE_BYTES = 2


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """16-bit little-endian PCM, channels interleaved.

    Attributes:
        sample_rate: samples a second of each channel, in Hz.
        channels: 1 for mono, 2 for stereo.

    Raises:
        TypeError: not a whole number; an integer of NumPy is one.
        ValueError: not a positive one.
    """

    sample_rate: int
    channels: int = 1

    def __post_init__(self) -> None:
        for name in ("sample_rate", "channels"):
            # The instance is frozen; an integer of NumPy shall be a plain one from here on.
            object.__setattr__(self, name, whole_number(name, getattr(self, name)))
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
        """Return the duration of ``size_bytes`` of sound in milliseconds."""
        return size_bytes * 1000 / self.bytes_per_second

    def __str__(self) -> str:
        layout = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")
        return f"{self.sample_rate} Hz {layout}"
