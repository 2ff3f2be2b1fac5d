"""The output of an avatar's transport: what the bot says, as the avatar's turns of speech."""

import asyncio
import logging
import time
from dataclasses import dataclass

from pipecat.frames.frames import (
    BotSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    DataFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    MetricsFrame,
    OutputAudioRawFrame,
    SpeechOutputAudioRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import TTFBMetricsData
from pipecat.pipeline.capabilities import BotCapabilities
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.utils.utils import obj_id

from avatarwire._tasks import begin_later
from avatarwire.audio import PcmFormat, Resampler
from avatarwire.errors import AvatarwireError
from avatarwire.pipecat.connection import Connection
from avatarwire.pipecat.params import AvatarParams
from avatarwire.pipecat.speech import Speech

__all__ = ["AvatarOutputTransport"]

logger: logging.Logger = logging.getLogger("avatarwire.pipecat")

#: So long before the end of the sound a turn is completed, unless more has come by then.
FINISH_EARLY_S = 0.15
#: Sound that is no speech has no end of its own: so long after the last of it, it is over.
IDLE_S = 0.5


@dataclass
class _Behind(DataFrame):
    """A frame, or a mark, that is to stay behind the sound before it.

    Parameters:
        frame: what goes on from here; None: nothing does.
    """

    frame: Frame | None = None


class AvatarOutputTransport(BaseOutputTransport):
    """Speaks the sound of a pipeline.

    The bot has started when the avatar is heard, and has stopped when the end was heard; sound goes
    downstream when it has been heard, so that a recorder behind it holds no more. Speech that goes
    on before the last of it was heard is one turn.

    Args:
        connection: to the avatar's session.
        params: the transport's.

    Attributes:
        dropped_ms: sound of turns that had been interrupted, or had ended otherwise.
    """

    def __init__(
        self, connection: Connection, params: AvatarParams, name: str | None = None
    ) -> None:
        super().__init__(params, name=name)
        self.dropped_ms: float = 0.0
        self._connection = connection
        self._avatar = params
        self._speech: Speech | None = None
        self._begun_s = 0.0
        self._has_spoken = False  # something, since the last end of speech
        self._is_stale = False  # what comes is of a turn that was interrupted
        self._stale_before = 0  # and so is what was made before this one
        self._is_heard = False  # the turn
        self._starts = False  # the bot, as soon as it is heard
        self._telling: asyncio.Task[None] | None = None
        self._is_told = False  # that the bot speaks
        self._stop: TTSStoppedFrame | None = None  # held back: more may come before it is heard
        self._stopping: asyncio.Task[None] | None = None
        self._all_written = asyncio.Event()
        self._takes_sound = asyncio.Event()
        self._takes_sound.set()
        self._idle: asyncio.TimerHandle | None = None
        self._idling: asyncio.Task[None] | None = None
        self._is_user_speaking = False
        self._mono: tuple[PcmFormat, Resampler] | None = None
        self._refused: tuple[int, int] | None = None  # rate and channels, told already

    @property
    def capabilities(self) -> BotCapabilities:
        """What the user gets: the avatar's voice, and its picture, which it sends itself."""
        return super().capabilities.override(BotCapabilities(video_out=True))

    async def start(self, frame: StartFrame) -> None:
        """Have the avatar's session run."""
        await super().start(frame)
        try:
            await self._connection.start(self)
        except AvatarwireError as exc:
            await self.push_error(
                f"no session with the avatar: {exc}", exception=exc, force_treat_as_permanent=True
            )
        await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        """End when all has been heard."""
        await super().stop(frame)
        await self._close()

    async def cancel(self, frame: CancelFrame) -> None:
        """End at once."""
        self._interrupt()
        await super().cancel(frame)
        await self._close()

    async def cleanup(self) -> None:
        """Leave nothing behind."""
        self._interrupt()
        await super().cleanup()
        await self._close()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Act on a frame; an interruption holds before anything else is done."""
        match frame:
            case InterruptionFrame():
                await self._interrupted()
                self._connection.tell_voice(self._is_user_speaking)
            case OutputAudioRawFrame():
                if not await self._admit(frame):
                    return
            case TTSStartedFrame():
                self._is_stale = False
            case TTSStoppedFrame() if self._has_spoken:
                await self._hold_back(frame)
                return
            case EndFrame():
                await self._stop_now()
            case UserStartedSpeakingFrame():
                self._is_user_speaking = True
                if self._speech is None:  # else an interruption follows, or nothing is to stop it
                    self._connection.tell_voice(True)
            case UserStoppedSpeakingFrame():
                self._is_user_speaking = False
                self._connection.tell_voice(False)
        await super().process_frame(frame, direction)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Pass a frame on; what says that the bot speaks waits until it does."""
        match frame:
            case BotStartedSpeakingFrame():
                self._starts = True
                self._tell_started()
                return
            case BotSpeakingFrame() if not self._is_told:
                return
            case BotStoppedSpeakingFrame() if direction is FrameDirection.DOWNSTREAM:
                await self._wait_heard()
                if not self._is_told:
                    return
            case BotStoppedSpeakingFrame():
                was_told, self._is_told = self._is_told, False
                if not was_told:
                    return
            case TTSStoppedFrame():
                self._takes_sound.set()
            case _Behind(frame=None):
                return
            case _Behind(frame=inner) if inner is not None:
                frame = inner
        await super().push_frame(frame, direction)

    async def write_transport_frame(self, frame: Frame) -> None:
        """Take note that the sound before a mark has been written."""
        if isinstance(frame, _Behind):
            self._all_written.set()

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Speak a frame; it goes downstream when it has been heard, and not now."""
        if frame.interruptible and frame.id < self._stale_before:
            self._drop(frame)  # it had left the queue when an interruption cleared that
            return False
        try:
            speech = self._speech or self._begin()
            is_taken = await speech.write(frame)
        except TimeoutError:
            logger.warning("the platform takes no sound: the turn is given up")
            self._drop(frame)
            return False
        except ValueError as exc:  # a rate that cannot be converted: none will be
            self._drop(frame)
            await self.push_error(
                f"the pipeline's sound cannot be spoken: {exc}; set audio_out_sample_rate",
                exception=exc,
                force_treat_as_permanent=True,
            )
            return False
        if not is_taken:
            self._drop(frame)
            return False
        if not isinstance(frame, TTSAudioRawFrame | SpeechOutputAudioRawFrame):
            self._end_when_idle(speech)
        for heard in speech.heard():
            await self.push_frame(heard)
        return False

    # What comes in

    async def _admit(self, frame: OutputAudioRawFrame) -> bool:
        """Make a frame fit, unless it is of a turn that was interrupted."""
        is_speech = isinstance(frame, TTSAudioRawFrame)
        if is_speech and self._is_stale and frame.interruptible:
            self._drop(frame)
            return False
        try:
            self._make_mono(frame)
        except ValueError as exc:
            refused = frame.sample_rate, frame.num_channels
            if refused != self._refused:
                self._refused = refused
                await self.push_error(f"sound that cannot be spoken: {exc}", exception=exc)
            return False
        if is_speech:
            self._has_spoken = True
        if self._stopping is not None:
            await self._go_on()
        await self._takes_sound.wait()
        return True

    def _make_mono(self, frame: OutputAudioRawFrame) -> None:
        format_ = PcmFormat(frame.sample_rate, frame.num_channels)
        if format_.channels == 1:
            return
        if self._mono is None or self._mono[0] != format_:
            rate = format_.sample_rate
            try:
                converter = Resampler(rate_in=rate, rate_out=rate, channels_in=format_.channels)
            except ValueError:
                self._drop(frame)
                raise
            self._mono = format_, converter
        frame.audio, frame.num_channels = self._mono[1].push(frame.audio), 1

    def _drop(self, frame: OutputAudioRawFrame) -> None:
        format_ = PcmFormat(frame.sample_rate, frame.num_channels)
        self.dropped_ms += format_.ms(len(frame.audio))

    # A turn

    def _begin(self) -> Speech:
        self._begun_s = time.monotonic()
        self._is_heard = False
        self._speech = Speech(
            self._connection,
            PcmFormat(self.sample_rate),
            lead_ms=self._avatar.lead_ms,
            buffer_ms=self._avatar.buffer_ms,
            on_started=self._started,
        )
        return self._speech

    def _started(self) -> None:
        self._is_heard = self._speech is not None
        self._tell_started()

    def _tell_started(self) -> None:
        """Tell that the bot speaks, when it does and is heard."""
        if self._starts and self._is_heard and not self._is_told:
            self._starts = False
            self._is_told = True
            latency_s = time.monotonic() - self._begun_s
            self._telling = begin_later(
                self._push_started(latency_s), name="avatarwire pipecat started"
            )

    async def _push_started(self, latency_s: float) -> None:
        down, up = BotStartedSpeakingFrame(), BotStartedSpeakingFrame()
        down.broadcast_sibling_id, up.broadcast_sibling_id = up.id, down.id
        await super().push_frame(down)
        await super().push_frame(up, FrameDirection.UPSTREAM)
        if self.metrics_enabled:
            data = TTFBMetricsData(processor=self.name, value=latency_s)
            await super().push_frame(MetricsFrame(data=[data]))

    def _interrupt(self) -> Speech | None:
        """Stop what is said, and take nothing more of it; return what was said."""
        self._stop = None
        if self._stopping is not None:
            self._stopping.cancel()
            self._stopping = None
        self._takes_sound.set()
        self._is_stale = True
        self._stale_before = obj_id()
        self._has_spoken = self._starts = self._is_heard = False
        speech, self._speech = self._speech, None
        if speech is not None:
            speech.interrupt()
        return speech

    async def _interrupted(self) -> None:
        """Stop what is said, and pass on what was heard of it."""
        if self._speech is not None and self._speech.must_be_heard:
            self._is_stale = True
            return
        speech = self._interrupt()
        if speech is not None:
            await self._pass_on_rest(speech)

    async def _wait_heard(self) -> None:
        """Complete the turn, and wait until it has been heard."""
        self._takes_sound.set()
        self._has_spoken = self._starts = False
        speech = self._speech
        if speech is not None:
            speech.finish()
            await speech.wait_playout()
            if self._speech is speech:  # and no interruption has seen to it
                self._speech = None
                self._is_heard = False
                await self._pass_on_rest(speech)

    async def _pass_on_rest(self, speech: Speech) -> None:
        playout = await speech.wait_playout()
        if self._telling is not None:
            await self._telling
        for heard in speech.rest(playout):
            await super().push_frame(heard)

    # Its end

    async def _hold_back(self, frame: TTSStoppedFrame) -> None:
        """Keep a turn open as long as more may come without a gap."""
        await self._go_on()
        self._stop = frame
        self._all_written.clear()
        await super().process_frame(_Behind(), FrameDirection.DOWNSTREAM)
        self._stopping = begin_later(self._stop_when_heard(), name="avatarwire pipecat stop")

    async def _go_on(self) -> None:
        """Have a turn go on whose end was held back."""
        if self._stopping is None:
            return
        self._stopping.cancel()
        self._stopping = None
        stop, self._stop = self._stop, None
        if stop is not None:
            await super().process_frame(_Behind(frame=stop), FrameDirection.DOWNSTREAM)

    async def _stop_when_heard(self) -> None:
        await self._all_written.wait()
        while self._speech is not None and not self._speech.is_over:
            left_s = self._speech.left_s - FINISH_EARLY_S
            if left_s <= 0:
                break
            await asyncio.sleep(left_s)
        self._stopping = None
        await self._stop_now()

    async def _stop_now(self) -> None:
        """Pass on the end that was held back."""
        if self._stopping is not None:
            self._stopping.cancel()
            self._stopping = None
        stop, self._stop = self._stop, None
        self._has_spoken = False
        if stop is not None:
            # What comes from here on belongs to the next turn, and waits for it.
            self._takes_sound.clear()
            await super().process_frame(stop, FrameDirection.DOWNSTREAM)

    def _end_when_idle(self, speech: Speech) -> None:
        if self._idle is not None:
            self._idle.cancel()
        loop = asyncio.get_running_loop()
        self._idle = loop.call_later(speech.left_s + IDLE_S, self._end_idle, speech)

    def _end_idle(self, speech: Speech) -> None:
        if self._speech is speech and not self._has_spoken:
            self._idling = begin_later(self._wait_heard(), name="avatarwire pipecat idle")

    async def _close(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        for task in (self._telling, self._idling):
            if task is not None:
                task.cancel()
        await self._connection.release(self)
