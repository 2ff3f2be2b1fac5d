"""The two codes of telephony (ITU-T G.711), as 16-bit samples. Decoding needs nothing."""

from typing import TYPE_CHECKING

from avatarwire.codec import pcm_bytes
from avatarwire.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

__all__ = ["decode_alaw", "decode_ulaw", "encode_ulaw"]


def decode_ulaw(data: "Buffer") -> bytes:
    """Decode µ-law (PCMU), as telephones of North America and Japan use it.

    Args:
        data: one byte a sample, 8 kHz as a rule, in any pieces; stereo stays interleaved.

    Returns:
        The same samples as 16-bit little-endian PCM: twice as many bytes.

    Raises:
        TypeError: ``data`` is no buffer of bytes.
    """
    return _decode(data, _ULAW_LOW, _ULAW_HIGH)


def decode_alaw(data: "Buffer") -> bytes:
    """Decode A-law (PCMA), as telephones elsewhere use it; like ``decode_ulaw``."""
    return _decode(data, _ALAW_LOW, _ALAW_HIGH)


def encode_ulaw(pcm: "Buffer") -> bytes:
    """Encode µ-law (PCMU): half as many bytes, and hours of sound in a moment.

    Args:
        pcm: 16-bit little-endian samples; stereo stays interleaved.

    Raises:
        TypeError: ``pcm`` is not a buffer of bytes or of 16-bit little-endian integers.
        ValueError: half a sample is among it.
        MissingExtraError: the ``audio`` extra is not installed.
    """
    samples = pcm_bytes(pcm)
    if len(samples) % 2:
        raise ValueError(f"{len(samples)} bytes is not a whole number of samples")
    try:
        from avatarwire.audio._companding import ulaw_of  # noqa: PLC0415 - heavy
    except ModuleNotFoundError as exc:
        raise MissingExtraError("companding", "audio") from exc
    return ulaw_of(samples)


def _decode(data: "Buffer", low: bytes, high: bytes) -> bytes:
    try:
        view = memoryview(data)
    except TypeError:
        raise TypeError(f"data must be bytes, not {type(data).__name__}") from None
    with view:
        if view.format.lstrip("@=<>!") not in {"B", "b", "c"}:
            raise TypeError(f'data must be one byte a sample, not "{view.format}" items')
        codes = view.tobytes()
    pcm = bytearray(2 * len(codes))
    pcm[::2] = codes.translate(low)
    pcm[1::2] = codes.translate(high)
    return bytes(pcm)


def _from_ulaw(code: int) -> int:
    code ^= 0xFF  # sent inverted, so that silence has many ones
    magnitude = (((code & 15) << 3) + 132 << (code >> 4 & 7)) - 132
    return -magnitude if code & 0x80 else magnitude


def _from_alaw(code: int) -> int:
    code ^= 0x55  # sent with every other bit inverted
    segment = code >> 4 & 7
    magnitude = ((code & 15) << 4) + 8
    if segment:
        magnitude = magnitude + 256 << segment - 1
    return magnitude if code & 0x80 else -magnitude


def _table(sample: "Callable[[int], int]") -> tuple[bytes, bytes]:
    samples = b"".join(sample(code).to_bytes(2, "little", signed=True) for code in range(256))
    return samples[::2], samples[1::2]


_ULAW_LOW, _ULAW_HIGH = _table(_from_ulaw)
_ALAW_LOW, _ALAW_HIGH = _table(_from_alaw)
