"""The output of an avatar's transport: what the bot says, as the avatar's turns of speech."""

import asyncio
import logging
import time

from pipecat.frames.frames import (
    BotSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
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

from avatarwire._tasks import begin_later
from avatarwire.audio import PcmFormat
from avatarwire.errors import AvatarwireError
from avatarwire.pipecat.connection import Connection
from avatarwire.pipecat.held_stop import Behind, HeldStop
from avatarwire.pipecat.intake import Intake
from avatarwire.pipecat.params import AvatarParams
from avatarwire.pipecat.speech import Speech

__all__ = ["AvatarOutputTransport"]

logger: logging.Logger = logging.getLogger("avatarwire.pipecat")

#: Sound that is no speech has no end of its own: so long after the last of it, it is over.
IDLE_S = 0.5


class AvatarOutputTransport(BaseOutputTransport):
    """Speaks the sound of a pipeline.

    The bot has started when the avatar is heard, and has stopped when the end was heard; sound goes
    downstream when it has been heard, so that a recorder behind it holds no more. Speech that goes
    on before the last of it was heard is one turn.

    Args:
        connection: to the avatar's session.
        params: the transport's.
    """

    def __init__(
        self, connection: Connection, params: AvatarParams, name: str | None = None
    ) -> None:
        super().__init__(params, name=name)
        self._connection = connection
        self._avatar = params
        self._intake = Intake()
        self._stop = HeldStop(self._queue, self._left_s)
        self._speech: Speech | None = None
        self._begun_s = 0.0
        self._has_spoken = False  # something, since the last end of speech
        self._is_heard = False  # the turn
        self._starts = False  # the bot, as soon as it is heard
        self._is_told = False  # that the bot speaks
        self._telling: asyncio.Task[None] | None = None
        self._passing_on = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None
        self._idling: asyncio.Task[None] | None = None
        self._is_user_speaking = False

    @property
    def dropped_ms(self) -> float:
        """How much sound was of turns that had been interrupted, or had ended otherwise."""
        return self._intake.dropped_ms

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
                await super().process_frame(frame, direction)
                await self._interrupted()  # what has slipped in while the queues were emptied
                return
            case OutputAudioRawFrame():
                if not await self._admit(frame):
                    return
            case TTSStartedFrame():
                self._intake.turn_begins()
            case TTSStoppedFrame() if self._has_spoken:
                await self._stop.hold(frame)
                return
            case EndFrame():
                await self._stop.now()
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
                self._stop.past()
            case Behind(frame=None):
                return
            case Behind(frame=inner) if inner is not None:
                frame = inner
        await super().push_frame(frame, direction)

    async def write_transport_frame(self, frame: Frame) -> None:
        """Take note that the sound before a mark has been written."""
        if isinstance(frame, Behind):
            self._stop.written()

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Speak a frame; it goes downstream when it has been heard, and not now."""
        if self._intake.is_stale_chunk(frame):  # it had left the queue already
            return False
        try:
            speech = self._speech or self._begin()
            is_taken = await speech.write(frame)
        except TimeoutError:
            logger.warning("the platform takes no sound: the turn is given up")
            self._intake.drop(frame)
            return False
        except ValueError as exc:  # a rate that cannot be converted: none will be
            self._intake.drop(frame)
            await self.push_error(
                f"the pipeline's sound cannot be spoken: {exc}; set audio_out_sample_rate",
                exception=exc,
                force_treat_as_permanent=True,
            )
            return False
        if not is_taken:
            self._intake.drop(frame)
            return False
        if not isinstance(frame, TTSAudioRawFrame | SpeechOutputAudioRawFrame):
            self._end_when_idle(speech)
        for heard in speech.heard():
            await self.push_frame(heard)
        return False

    # What comes in

    async def _admit(self, frame: OutputAudioRawFrame) -> bool:
        """Make a frame fit, unless it is of a turn that was interrupted."""
        if self._intake.is_stale(frame):
            return False
        try:
            self._intake.make_mono(frame)
        except ValueError as exc:
            if self._intake.is_news(frame):
                await self.push_error(f"sound that cannot be spoken: {exc}", exception=exc)
            return False
        if isinstance(frame, TTSAudioRawFrame):
            self._has_spoken = True
        await self._stop.go_on()
        return not self._intake.is_stale(frame)  # it may have been interrupted meanwhile

    async def _queue(self, frame: Frame) -> None:
        """Put a frame behind the sound that has come."""
        await super().process_frame(frame, FrameDirection.DOWNSTREAM)

    def _left_s(self) -> float:
        speech = self._speech
        return 0.0 if speech is None or speech.is_over else speech.left_s

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
        self._is_heard = True
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
        self._stop.drop()
        self._intake.interrupted()
        self._has_spoken = False
        speech, self._speech = self._speech, None
        if speech is not None:
            speech.interrupt()
        return speech

    async def _interrupted(self) -> None:
        """Stop what is said, and pass on what was heard of it."""
        if self._speech is not None and self._speech.must_be_heard:
            self._intake.interrupted()
            return
        speech = self._interrupt()
        if speech is not None:
            await self._pass_on_rest(speech)

    async def _wait_heard(self) -> None:
        """Complete the turn, and wait until it has been heard."""
        self._stop.past()
        self._has_spoken = False
        speech = self._speech
        if speech is None:
            self._starts = False
            return
        speech.finish()
        await self._pass_on_rest(speech)

    async def _pass_on_rest(self, speech: Speech) -> None:
        """Pass on what else was heard of a turn, when it has ended; an interruption may end it."""
        playout = await speech.wait_playout()
        async with self._passing_on:
            if speech.is_passed_on:
                return
            speech.is_passed_on = True
            if self._speech is speech:
                self._speech = None
            if playout.played_ms:
                self._started()
            self._starts = self._is_heard = False
            if self._telling is not None:
                await self._telling
            for heard in speech.rest(playout):
                await super().push_frame(heard)

    # The end of sound that is no speech

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
