"""Opus packets to PCM; it needs the ``audio`` extra."""

from typing import TYPE_CHECKING

from avatarwire.audio.resample import Resampler
from avatarwire.errors import AudioFormatError, MissingExtraError

if TYPE_CHECKING:
    from av import AudioCodecContext
    from typing_extensions import Buffer

__all__ = ["OpusDecoder"]

DECODED_RATE = 48000


class OpusDecoder:
    """Decodes one stream of Opus packets, one at a time, as they arrive.

    Mono and stereo packets both come out with the channels asked for. libopus decodes at 48 kHz;
    any other rate goes through a ``Resampler``, so that the PCM of one packet may be up to 21 ms
    shorter or longer than the packet, while the sum stays right.

    A packet is decoded at once; nothing is paced. Packets on a wire carry no pre-skip, so none is
    taken off: the encoder's look-ahead, 6.5 ms as a rule, stays at the start. For a lost packet
    nothing is made up: the sound that follows comes that much earlier.

    Args:
        sample_rate: of the PCM, in Hz, 4000 to 192000.
        channels: of the PCM, 1 or 2.

    Raises:
        ValueError: a rate or a number of channels outside its range.
        MissingExtraError: the extra is not installed.
    """

    def __init__(self, sample_rate: int = 16000, channels: int = 1) -> None:
        self._resampler = Resampler(
            rate_in=DECODED_RATE, rate_out=sample_rate, channels_in=channels, channels_out=channels
        )
        self._channels = channels
        self._decoder = _open(channels)

    def decode(self, packet: "Buffer") -> bytes:
        """Decode one packet to 16-bit little-endian PCM.

        Raises:
            AudioFormatError: not an Opus packet. A WebSocket damages nothing, so the sender most
                likely sends something else. The decoder is as before: the next packet decodes.
        """
        # Imported on construction; here it is a look-up.
        from av import Packet  # noqa: PLC0415 - heavy
        from av.error import FFmpegError  # noqa: PLC0415 - heavy

        data = memoryview(packet).tobytes()
        if not data:
            # libav would take it for the end of the stream.
            raise AudioFormatError("an empty Opus packet; send one packet at a time, whole")
        try:
            frames = self._decoder.decode(Packet(data))
        except FFmpegError as exc:
            raise AudioFormatError(
                f"{len(data)} bytes that are not an Opus packet; send raw packets, one at a time, "
                "without an Ogg or WebM container"
            ) from exc
        # A plane may be longer than its samples.
        pcm = (bytes(frame.planes[0])[: frame.samples * 2 * self._channels] for frame in frames)
        return self._resampler.push(b"".join(pcm))

    def flush(self) -> bytes:
        """Return what the resampler holds back and start anew, as at the end of a stream."""
        self._decoder.flush_buffers()
        return self._resampler.flush()

    def reset(self) -> None:
        """Forget the stream so far, as on a key frame after a gap; what is held back is dropped."""
        self.flush()


def _open(channels: int) -> "AudioCodecContext":
    try:
        from av import CodecContext  # noqa: PLC0415 - heavy
    except ModuleNotFoundError as exc:
        raise MissingExtraError("Opus", "audio") from exc
    # By its full name: FFmpeg's own decoder takes the channels from a header that packets lack.
    decoder = CodecContext.create("libopus", "r")
    decoder.sample_rate = DECODED_RATE
    decoder.layout = "mono" if channels == 1 else "stereo"
    decoder.open()
    return decoder
