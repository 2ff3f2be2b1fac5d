"""Sound at another sample rate, without aliasing and without seams between chunks."""

from typing import TYPE_CHECKING, SupportsIndex

from avatarwire.audio.formats import PcmFormat
from avatarwire.codec import pcm_bytes
from avatarwire.errors import MissingExtraError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Resampler", "converter_between"]

MIN_RATE = 4000
MAX_RATE = 192000


class Resampler:
    """Turns a stream of 16-bit little-endian PCM into another rate, mono or stereo.

    The output is the same bytes however the input is cut, a byte at a time included; after
    ``flush()`` it is as long as the input to the nearest sample. Nothing is shifted in time. What
    would alias is at least 90 dB down; the band is flat (0.3 dB) up to three quarters of the lower
    rate's, 6 kHz at 16 kHz.

    Conversion holds back a little sound, as much at most: 21 ms between 16, 24 and 48 kHz, 22 ms
    from 44.1 kHz to those below, 62 ms from 8 to 16 kHz; more at the ends of the range.
    ``delay_ms`` tells how much at the moment.

    Equal rates and channels pass through and need nothing; all else needs the ``audio`` extra.
    One stream, one thread at a time.

    Args:
        rate_in: samples a second of what is pushed, in Hz, 4000 to 192000.
        rate_out: samples a second of what comes out, in Hz, 4000 to 192000.
        channels_in: 1, or 2 for interleaved stereo.
        channels_out: 1 or 2. Stereo becomes mono as the mean of both channels, mono stereo as
            twice the same.

    Raises:
        ValueError: a rate or a number of channels outside its range.
        MissingExtraError: the extra is needed and not installed.
    """

    def __init__(
        self, *, rate_in: int, rate_out: int, channels_in: int = 1, channels_out: int = 1
    ) -> None:
        for name, rate in (("rate_in", rate_in), ("rate_out", rate_out)):
            if not isinstance(rate, SupportsIndex) or not MIN_RATE <= rate <= MAX_RATE:
                raise ValueError(
                    f"{name} must be a whole number of Hz from {MIN_RATE} to {MAX_RATE}, "
                    f"not {rate!r}"
                )
        for name, channels in (("channels_in", channels_in), ("channels_out", channels_out)):
            if channels not in {1, 2}:
                raise ValueError(f"{name} must be 1 or 2, not {channels!r}")
        self._in = PcmFormat(rate_in, channels_in)
        self._out = PcmFormat(rate_out, channels_out)
        self._pending = b""
        self._taken_bytes = self._given_bytes = 0
        if self._in == self._out:
            self._conversion = None
            return
        try:
            from avatarwire.audio._conversion import Conversion  # noqa: PLC0415 - heavy
        except ModuleNotFoundError as exc:
            raise MissingExtraError("resampling", "audio") from exc
        self._conversion = Conversion(
            self._in.sample_rate, self._out.sample_rate, channels_in, channels_out
        )

    @property
    def pending_bytes(self) -> int:
        """Bytes of a sample whose rest has not been pushed yet: 0 to 3."""
        return len(self._pending)

    @property
    def delay_ms(self) -> float:
        """Sound that has been pushed and has not come out yet, in milliseconds."""
        return max(0.0, self._in.ms(self._taken_bytes) - self._out.ms(self._given_bytes))

    def push(self, pcm: "Buffer") -> bytes:
        """Take the next PCM, of any length, and return what is ready; it may be empty.

        Raises:
            TypeError: ``pcm`` is not a buffer of bytes or of 16-bit little-endian integers.
        """
        data = self._pending + pcm_bytes(pcm)
        odd = len(data) % self._in.frame_bytes
        self._pending = data[len(data) - odd :]
        if odd:
            data = data[:-odd]
        if self._conversion is None or not data:
            return data
        self._taken_bytes += len(data)
        out = self._conversion.push(data)
        self._given_bytes += len(out)
        return out

    def flush(self) -> bytes:
        """Return what is held back; the next push begins another stream.

        An incomplete sample at the end is dropped; ``pending_bytes`` tells beforehand.
        """
        self._pending = b""
        self._taken_bytes = self._given_bytes = 0
        return b"" if self._conversion is None else self._conversion.flush()


def converter_between(source: PcmFormat, target: PcmFormat) -> Resampler | None:
    """Return the converter of one format into the other, or None when they are the same.

    Raises:
        ValueError: a rate or a number of channels outside its range.
        MissingExtraError: conversion is needed and its extra is not installed.
    """
    if source == target:
        return None
    return Resampler(
        rate_in=source.sample_rate,
        rate_out=target.sample_rate,
        channels_in=source.channels,
        channels_out=target.channels,
    )
