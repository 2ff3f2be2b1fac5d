"""The user's sound as a recogniser wants it: in order, decoded, at one rate."""

import logging
from collections.abc import Sequence
from typing import Self

from avatarwire.audio import (
    Beginning,
    OpusDecoder,
    PcmFormat,
    Resampler,
    converter_between,
)
from avatarwire.audio.formats import SAMPLE_BYTES
from avatarwire.codec import AudioFrame, Gap, JitterBuffer
from avatarwire.codec.header import FRAME_RATES, OPUS, PCM
from avatarwire.errors import AudioFormatError
from avatarwire.streaming import Lane

__all__ = ["UserAudio"]

logger: logging.Logger = logging.getLogger("avatarwire.liveavatar")

#: Ten seconds of 40 ms frames: longer is stale for a recogniser.
LANE_FRAMES = 250
#: The most silence that is put where one gap is. A peer that counts anew claims any amount, and
#: no connection loses more than this and lives.
MAX_CONCEALED_MS = 2000
_ASK_THE_PLATFORM = "the frames' headers say PCM: ask the platform what it sends"


class UserAudio:
    """Iterates over the user's sound as 16-bit little-endian mono PCM.

    Frames are put in order, and duplicates dropped; they leave as soon as they are next, or when
    ``window_ms`` of later sound has come. Nothing is paced. PCM may begin with any frame; Opus is
    decoded a packet at a time. Other rates and stereo are converted. Opus and conversion need the
    ``audio`` extra; what is missing is raised by the iteration.

    Example::

        async for pcm in agent.user_audio():
            recogniser.feed(pcm)

    The iteration ends with the session, after what was still held back. A consumer that is more
    than 250 frames behind loses the oldest ones, and they are counted.

    Args:
        sample_rate: of what comes out, in Hz, 4000 to 192000.
        window_ms: how long a missing frame is waited for, in milliseconds of sound, 200 to 500.
        conceal: put silence where frames are missing, so that time goes on: two seconds for one
            gap at the most. What is missing beyond that is counted (``unconcealed_ms``).

    Raises:
        ValueError: an argument outside its range.

    Attributes:
        bad_frames: frames that could not be decoded, that end with half a sample (it is dropped),
            or whose header makes no sense.
        unconcealed_ms: what was missing in gaps of more than two seconds, beyond those, in
            milliseconds; only with ``conceal``.
    """

    def __init__(
        self, sample_rate: int = 16000, *, window_ms: int = 200, conceal: bool = False
    ) -> None:
        Resampler(rate_in=sample_rate, rate_out=sample_rate)  # refuses a rate out of range
        self._format = PcmFormat(sample_rate)
        self._conceal = conceal
        self._jitter = JitterBuffer(window_ms=window_ms)
        self._lane: Lane[AudioFrame | Gap] = Lane(LANE_FRAMES)
        self._decoder: OpusDecoder | None = None
        self._resampler: Resampler | None = None
        self._source: tuple[int, int] | None = None
        self._is_closed = False
        self._is_drained = False
        self._beginning = Beginning("the user's audio", logger, advice=_ASK_THE_PLATFORM)
        self.bad_frames: int = 0
        self.unconcealed_ms: int = 0

    @property
    def lost_frames(self) -> int:
        """Frames that never came, or came after they were waited for."""
        return self._jitter.lost

    @property
    def late_frames(self) -> int:
        """Frames that came after they had been given up."""
        return self._jitter.late

    @property
    def duplicate_frames(self) -> int:
        """Frames that came twice."""
        return self._jitter.duplicates

    @property
    def dropped_frames(self) -> int:
        """Frames (and gaps) that were dropped because the consumer was too far behind."""
        return self._lane.dropped

    def push(self, frame: AudioFrame) -> None:
        """Take a frame in."""
        self._queue(self._jitter.push(frame))

    def hear(self, frames: Sequence[AudioFrame]) -> int:
        """Take frames in, as the session does; return how many were dropped for them."""
        dropped_before = self._lane.dropped
        for frame in frames:
            self._queue(self._jitter.push(frame))
        return self._lane.dropped - dropped_before

    def close(self) -> None:
        """End the iteration, after what is still held back."""
        if not self._is_closed:
            self._is_closed = True
            self._queue(self._jitter.flush())
            self._lane.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._is_drained:
            lane = self._lane
            try:
                item = lane.take() if lane else await lane.get()
            except StopAsyncIteration:
                self._is_drained = True
                pcm = self._tail()
            else:
                pcm = self._pcm(item)
            if pcm:
                return pcm
        raise StopAsyncIteration

    def _queue(self, items: list[AudioFrame | Gap]) -> None:
        lane = self._lane
        dropped_before = lane.dropped
        lane.extend(items)
        if lane.dropped > dropped_before == 0:
            logger.warning(
                "user_audio() is consumed slower than the user speaks: the oldest frames are"
                " dropped and counted (dropped_frames)"
            )

    def _pcm(self, item: AudioFrame | Gap) -> bytes:
        if isinstance(item, Gap):
            if not self._conceal:
                return b""
            samples = self._concealed_ms(item) * self._format.sample_rate // 1000
            # What conversion holds back comes from before the gap.
            return self._tail() + bytes(samples * self._format.frame_bytes)
        if item.codec == OPUS:
            return self._tail_of_pcm() + self._decoded(item)
        if item.codec == PCM and item.sample_rate < len(FRAME_RATES):
            return self._tail_of_opus() + self._converted(item)
        self._bad("its header names a codec or a rate without a meaning")
        return b""

    def _concealed_ms(self, gap: Gap) -> int:
        beyond_ms = gap.duration_ms - MAX_CONCEALED_MS
        if beyond_ms <= 0:
            return gap.duration_ms
        if not self.unconcealed_ms:
            logger.warning(
                "%d ms of the user's audio are missing at once: %d ms of silence are put there, and"
                " the rest is counted (unconcealed_ms; told once)",
                gap.duration_ms,
                MAX_CONCEALED_MS,
            )
        self.unconcealed_ms += beyond_ms
        return MAX_CONCEALED_MS

    def _converted(self, frame: AudioFrame) -> bytes:
        channels = frame.channel + 1
        source = (frame.sample_rate, channels)
        tail = b""
        if source != self._source:
            tail = self._tail_of_pcm()
            self._source = source
            self._resampler = converter_between(
                PcmFormat(FRAME_RATES[frame.sample_rate], channels), self._format
            )
        pcm = frame.payload
        half_bytes = len(pcm) % (SAMPLE_BYTES * channels)
        if half_bytes:
            # Kept, it would shift all that follows by a byte, which is noise.
            self._bad("it ends with half a sample", what="cut")
            pcm = pcm[:-half_bytes]
        if not self._beginning.is_known:
            self._beginning.look_at(pcm)
        return tail + (pcm if self._resampler is None else self._resampler.push(pcm))

    def _decoded(self, frame: AudioFrame) -> bytes:
        # A key frame begins a stream, or begins it anew after a loss.
        tail = self._tail_of_opus() if frame.key else b""
        if self._decoder is None:
            self._decoder = OpusDecoder(self._format.sample_rate, 1)
        try:
            return tail + self._decoder.decode(frame.payload)
        except AudioFormatError as exc:
            self._bad(str(exc))
            return tail

    def _tail(self) -> bytes:
        return self._tail_of_pcm() + self._tail_of_opus()

    def _tail_of_pcm(self) -> bytes:
        resampler, self._resampler, self._source = self._resampler, None, None
        return b"" if resampler is None else resampler.flush()

    def _tail_of_opus(self) -> bytes:
        decoder, self._decoder = self._decoder, None
        return b"" if decoder is None else decoder.flush()

    def _bad(self, why: str, *, what: str = "passed over") -> None:
        self.bad_frames += 1
        if self.bad_frames == 1:
            logger.warning("a frame of the user's audio is %s: %s (told once)", what, why)
