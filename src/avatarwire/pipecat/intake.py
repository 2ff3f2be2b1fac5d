"""What of a pipeline's sound is spoken: what fits, and is not of a turn that was interrupted."""

from pipecat.frames.frames import OutputAudioRawFrame, TTSAudioRawFrame
from pipecat.utils.utils import obj_id

from avatarwire.audio import PcmFormat, Resampler

__all__ = ["Intake"]


class Intake:
    """Drops and counts what is out of date, and makes mono of the rest.

    Attributes:
        dropped_ms: how much sound was dropped.
    """

    def __init__(self) -> None:
        self.dropped_ms: float = 0.0
        self._is_stale = False  # speech is, until the next turn begins
        self._stale_before = 0  # and so is every chunk that was made before this one
        self._mono: tuple[PcmFormat, Resampler] | None = None
        self._refused: tuple[int, int] | None = None  # rate and channels, told already

    def turn_begins(self) -> None:
        """Take what comes."""
        self._is_stale = False

    def interrupted(self) -> None:
        """Take nothing more of this turn."""
        self._is_stale = True
        self._stale_before = obj_id()

    def is_stale(self, frame: OutputAudioRawFrame) -> bool:
        """Say whether a frame is speech of a turn that was interrupted; it is counted then."""
        is_speech = isinstance(frame, TTSAudioRawFrame)
        return self._is_dropped(frame, is_speech and self._is_stale)

    def is_stale_chunk(self, chunk: OutputAudioRawFrame) -> bool:
        """Say the same of what the framework has made of frames that were taken."""
        return self._is_dropped(chunk, chunk.id < self._stale_before) or self.is_stale(chunk)

    def _is_dropped(self, frame: OutputAudioRawFrame, is_stale: bool) -> bool:
        is_dropped = is_stale and frame.interruptible
        if is_dropped:
            self.drop(frame)
        return is_dropped

    def drop(self, frame: OutputAudioRawFrame) -> None:
        """Count a frame that is not spoken."""
        format_ = PcmFormat(frame.sample_rate, frame.num_channels)
        self.dropped_ms += format_.ms(len(frame.audio))

    def make_mono(self, frame: OutputAudioRawFrame) -> None:
        """Make a frame mono.

        Raises:
            ValueError: its format is none that can be spoken; where that has a length, it is
                counted.
        """
        if frame.num_channels == 1 and frame.sample_rate > 0:
            return
        format_ = PcmFormat(frame.sample_rate, frame.num_channels)
        if self._mono is None or self._mono[0] != format_:
            rate = format_.sample_rate
            try:
                converter = Resampler(rate_in=rate, rate_out=rate, channels_in=format_.channels)
            except ValueError:
                self.drop(frame)
                raise
            self._mono = format_, converter
        frame.audio, frame.num_channels = self._mono[1].push(frame.audio), 1

    def is_news(self, refused: OutputAudioRawFrame) -> bool:
        """Say whether a format that is refused has not been told of."""
        format_ = refused.sample_rate, refused.num_channels
        is_news, self._refused = format_ != self._refused, format_
        return is_news
