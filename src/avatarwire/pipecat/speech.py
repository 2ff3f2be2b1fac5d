"""One turn of the avatar's speech, with the frames that it was made of."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from pipecat.frames.frames import OutputAudioRawFrame

from avatarwire.audio import PcmFormat
from avatarwire.pipecat.connection import Connection
from avatarwire.session import Conversation, Utterance
from avatarwire.streaming import Playout

__all__ = ["Speech"]

#: The framework hands over as much at a time, and the lead is to be whole in between.
BATCH_MS = 40
#: A write that takes longer means that the platform takes nothing; the framework's limit is 10 s.
WRITE_TIMEOUT_S = 5.0


class Speech:
    """Speaks frames, and gives them back when they have been heard.

    Args:
        connection: to the avatar's session.
        format_: of all frames.
        lead_ms: how much sound may be ahead of playout.
        buffer_ms: how much more may be queued.
        on_started: called when the listener begins to hear it.

    Attributes:
        is_passed_on: all that was heard of it has gone downstream.
    """

    def __init__(
        self,
        connection: Connection,
        format_: PcmFormat,
        *,
        lead_ms: float,
        buffer_ms: float,
        on_started: Callable[[], object],
    ) -> None:
        self.is_passed_on = False
        session = connection.session
        make_stream = session.audio_stream
        if connection.request_id is not None and isinstance(session, Conversation):
            make_stream = partial(session.audio_stream, connection.request_id)
        self._stream = make_stream(
            sample_rate=format_.sample_rate,
            channels=format_.channels,
            lead_ms=lead_ms,
            batch_ms=BATCH_MS,
            buffer_ms=buffer_ms,
            on_started=on_started,
        )
        self._utterance = Utterance(self._stream, ready=connection.scene.wait)
        self._format = format_
        self._taken_ms = 0.0
        self._unheard: deque[tuple[float, OutputAudioRawFrame]] = deque()

    async def write(self, frame: OutputAudioRawFrame) -> bool:
        """Speak a frame behind the others; False when the turn has ended.

        Raises:
            TimeoutError: the platform takes nothing; the turn has been given up.
        """
        try:
            if not await self._utterance.write(frame.audio, timeout=WRITE_TIMEOUT_S):
                return False
        except TimeoutError:
            self._utterance.interrupt()
            raise
        self._taken_ms += self._format.ms(len(frame.audio))
        self._unheard.append((self._taken_ms, frame))
        return True

    def heard(self) -> list[OutputAudioRawFrame]:
        """Return the frames that have been heard since this was asked last."""
        if not self._unheard:
            return []
        position_ms = self._stream.position_ms
        frames = []
        while self._unheard and self._unheard[0][0] <= position_ms + 0.5:
            frames.append(self._unheard.popleft()[1])
        return frames

    def rest(self, playout: Playout) -> list[OutputAudioRawFrame]:
        """Return what else was heard by the end, the last frame cut where it was stopped."""
        frames = self.heard()
        if self._unheard:
            end_ms, frame = self._unheard[0]
            heard_ms = playout.played_ms - (end_ms - self._format.ms(len(frame.audio)))
            samples = int(heard_ms * self._format.sample_rate / 1000)
            if samples > 0:
                frames.append(replace(frame, audio=frame.audio[: samples * 2]))
            self._unheard.clear()
        return frames

    @property
    def left_s(self) -> float:
        """How long what has been written is still heard, in seconds."""
        return max(0.0, (self._taken_ms - self._stream.position_ms) / 1000)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, however it did."""
        return self._utterance.is_over

    @property
    def must_be_heard(self) -> bool:
        """Whether some of what has not been heard may not be interrupted."""
        return any(not frame.interruptible for _, frame in self._unheard)

    def finish(self) -> None:
        """Complete the turn."""
        self._utterance.finish()

    def interrupt(self) -> None:
        """Stop it."""
        self._utterance.interrupt()

    async def wait_playout(self) -> Playout:
        """Wait until it has been heard, or has ended otherwise."""
        return await self._utterance.wait_playout()
