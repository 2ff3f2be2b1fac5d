"""The agent's voice as the avatar's: a segment of the framework is a turn of ours."""

import asyncio
import logging
import time
from functools import partial

from livekit import rtc
from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities

from avatarwire._tasks import begin_later
from avatarwire.audio import PcmFormat
from avatarwire.session import Conversation, SceneGate, Session, Utterance
from avatarwire.session.tasks import keep

__all__ = ["AvatarAudioOutput"]

logger: logging.Logger = logging.getLogger("avatarwire.livekit")


class AvatarAudioOutput(AudioOutput):
    """Speaks what a LiveKit agent says, on a session of any platform.

    Example::

        agent_session.output.audio = AvatarAudioOutput(agent)

    Each segment that the framework counts is one turn of speech, and is reported finished exactly
    once: when it has been heard, with ``interrupted`` when not all of it was, whatever the reason,
    and ``playback_position`` what was. That does not depend on the platform's word: the clock
    decides some seconds after the sound has ended.

    ``clear_buffer()`` and ``pause()`` hold at once. What is captured between ``clear_buffer()`` and
    the next ``flush()`` belongs to the segment that was stopped, and is dropped.

    Args:
        session: the avatar's; it may be started later.
        sample_rate: what the framework is to convert sound to, in Hz; None: any rate is taken as it
            comes, and converted without losing the end of a segment.
        lead_ms: how much sound may be ahead of playout.
        buffer_ms: how much may be queued before ``capture_frame`` waits.

    Attributes:
        request_id: what coming segments answer, where the platform knows requests; None: nothing
            in particular.
    """

    def __init__(
        self,
        session: Session,
        *,
        sample_rate: int | None = None,
        lead_ms: float = 400,
        buffer_ms: float = 2000,
    ) -> None:
        super().__init__(
            label="avatarwire",
            capabilities=AudioOutputCapabilities(pause=True),
            sample_rate=sample_rate,
        )
        self.request_id: str | None = None
        self._session = session
        # Asked once: it looks every method up.
        self._conversation = session if isinstance(session, Conversation) else None
        self._lead_ms = lead_ms
        self._buffer_ms = buffer_ms
        self._scene = SceneGate(session)
        self._captured: _Segment | None = None
        self._segments: list[_Segment] = []
        self._is_paused = False

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Take a frame in; wait while enough is queued, and no longer than the segment lasts.

        Raises:
            ValueError: a rate that cannot be converted, or another format than the segment has.
            MissingExtraError: the sound has to be converted and the extra is not installed.
        """
        segment = self._captured
        if segment is None:
            segment = self._begin(PcmFormat(frame.sample_rate, frame.num_channels))
            self._captured = segment
        # One more format for every frame would cost more than all the rest.
        elif (
            frame.sample_rate != segment.format.sample_rate
            or frame.num_channels != segment.format.channels
        ):
            format_ = PcmFormat(frame.sample_rate, frame.num_channels)
            raise ValueError(
                f"a segment of {segment.format} goes on with a frame of {format_}: flush() before"
                " the format changes, or give AvatarAudioOutput a sample_rate"
            )
        await super().capture_frame(frame)  # counts; it does not wait
        segment.captures += 1
        try:
            await segment.utterance.write(frame.data)
        finally:
            segment.captures -= 1
            if segment.all_captured is not None and not segment.captures:
                segment.all_captured.set()

    def flush(self) -> None:
        """Complete the segment."""
        super().flush()
        if self._captured is not None:
            self._captured.flush()
            self._captured = None

    def clear_buffer(self) -> None:
        """Stop playback at once, and drop what is queued."""
        for segment in self._segments:
            segment.clear()

    def pause(self) -> None:
        """Stop playback at once, and keep what has not been heard."""
        super().pause()
        self._is_paused = True
        for segment in self._segments:
            segment.utterance.pause()

    def resume(self) -> None:
        """Go on with the first sample that has not been heard."""
        super().resume()
        self._is_paused = False
        for segment in self._segments:
            segment.utterance.resume()

    def _begin(self, format_: PcmFormat) -> "_Segment":
        segment = _Segment(self, format_)
        make_stream = self._session.audio_stream
        if self._conversation is not None and self.request_id is not None:
            make_stream = partial(self._conversation.audio_stream, self.request_id)
        stream = make_stream(
            sample_rate=format_.sample_rate,
            channels=format_.channels,
            lead_ms=self._lead_ms,
            buffer_ms=self._buffer_ms,
            on_started=segment.started,
        )
        segment.utterance = Utterance(
            stream,
            behind=self._segments[-1].utterance if self._segments else None,
            ready=self._scene.wait,
            is_paused=self._is_paused,
        )
        self._segments.append(segment)
        keep(begin_later(self._report(segment), name="avatarwire livekit report"))
        return segment

    async def _report(self, segment: "_Segment") -> None:
        """Report the segment's end, when it has one and the framework can take it."""
        playout = await segment.utterance.wait_playout()
        # What wraps this output counts a segment when its first frame has been captured, and
        # expects no end of one that it may still capture for.
        await segment.flushed.wait()
        await segment.wait_captured()
        self._segments.remove(segment)
        if playout.played_ms:
            segment.started()
        segment.is_over = True
        self.on_playback_finished(
            playback_position=playout.played_ms / 1000,
            interrupted=playout.reason != "completed",
            synchronized_transcript=None,
        )


class _Segment:
    """One segment: what the framework calls for it, and what it has been told.

    Args:
        output: where it is told.
        format_: of its frames.

    Attributes:
        format: the same.
        utterance: what speaks it.
        captures: how many frames are being taken in.
        all_captured: set when it is none; None: nobody waits for that.
        flushed: no more of it comes, or what comes is dropped.
        is_over: its end has been reported.
    """

    def __init__(self, output: AvatarAudioOutput, format_: PcmFormat) -> None:
        self.format = format_
        self.utterance: Utterance
        self.captures = 0
        self.all_captured: asyncio.Event | None = None
        self.flushed = asyncio.Event()
        self.is_over = False
        self._output = output
        self._is_started = False

    async def wait_captured(self) -> None:
        if self.captures:
            self.all_captured = asyncio.Event()
            await self.all_captured.wait()

    def flush(self) -> None:
        self.utterance.finish()
        self.flushed.set()

    def clear(self) -> None:
        self.utterance.interrupt()
        self.flushed.set()

    def started(self) -> None:
        if not self._is_started and not self.is_over:
            self._is_started = True
            self._output.on_playback_started(created_at=time.time())
