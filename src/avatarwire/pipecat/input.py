"""The input of an avatar's transport: what the user says, types, and does."""

import asyncio
import logging

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    LLMMessagesAppendFrame,
    StartFrame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.transports.base_input import BaseInputTransport
from pipecat.utils.time import time_now_iso8601

from avatarwire._tasks import begin_later
from avatarwire.errors import AvatarwireError
from avatarwire.pipecat.connection import Connection
from avatarwire.pipecat.params import AvatarParams
from avatarwire.session import Conversation

__all__ = ["AvatarInputTransport"]

logger: logging.Logger = logging.getLogger("avatarwire.pipecat")

USER = "user"


class AvatarInputTransport(BaseInputTransport):
    """Hears and reads the user, where the avatar's platform carries the user.

    What the user types interrupts the bot, and is appended to the context and answered. Where the
    platform recognises speech, what it recognises comes as transcriptions.

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
        self._listening: asyncio.Task[None] | None = None
        self._recognised: str | None = None

    async def start(self, frame: StartFrame) -> None:
        """Have the avatar's session run, and listen."""
        await super().start(frame)
        try:
            await self._connection.start(self)
        except AvatarwireError as exc:
            logger.debug("nothing to hear: %s", exc)  # the output tells
            return
        await self.set_transport_ready(frame)
        if self._avatar.audio_in_stream_on_start:
            await self._start_audio_in_streaming()

    async def stop(self, frame: EndFrame) -> None:
        """Listen no more; what the bot says is still heard."""
        await super().stop(frame)
        await self._close()

    async def cancel(self, frame: CancelFrame) -> None:
        """Listen no more."""
        await super().cancel(frame)
        await self._close()

    async def cleanup(self) -> None:
        """Leave nothing behind."""
        await super().cleanup()
        await self._close()

    async def _start_audio_in_streaming(self) -> None:
        session = self._connection.session
        if (
            self._listening is None
            and self._avatar.audio_in_enabled
            and isinstance(session, Conversation)
        ):
            self._listening = begin_later(self._listen(session), name="avatarwire pipecat listen")

    async def _listen(self, session: Conversation) -> None:
        try:
            async for pcm in session.user_audio(self.sample_rate):
                await self.push_audio_frame(InputAudioRawFrame(pcm, self.sample_rate, 1))
        except (AvatarwireError, ValueError) as exc:  # it has ended meanwhile; or the rate
            await self.push_error(f"the user is not heard: {exc}", exception=exc)

    async def _close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
            self._listening = None
        await self._connection.release(self)

    # What the platform tells; the names are those of a listener's methods.

    async def on_text_input(self, text: str, request_id: str) -> None:
        """Have what the user typed answered, instead of what is being said."""
        self._connection.request_id = request_id
        if request_id == self._recognised:
            return  # it has come as a transcription
        await self.broadcast_interruption()
        await self.push_frame(
            LLMMessagesAppendFrame(messages=[{"role": "user", "content": text}], run_llm=True)
        )

    async def on_voice_start(self, request_id: str) -> None:
        """Pass on that the user speaks; the platform has stopped the avatar."""
        self._connection.user_speaks(request_id)
        await self.broadcast_frame(UserStartedSpeakingFrame)
        await self.broadcast_interruption()

    async def on_voice_finish(self, request_id: str) -> None:
        """Pass on that the user has stopped."""
        del request_id
        await self.broadcast_frame(UserStoppedSpeakingFrame)

    async def on_asr_partial(self, text: str, request_id: str, seq: int) -> None:
        """Pass on what is recognised so far."""
        del request_id, seq
        await self.push_frame(InterimTranscriptionFrame(text, USER, time_now_iso8601()))

    async def on_asr_final(self, text: str, request_id: str) -> None:
        """Pass on what was recognised."""
        self._recognised = request_id
        await self.push_frame(TranscriptionFrame(text, USER, time_now_iso8601(), finalized=True))

    async def on_interrupt(self, request_id: str | None, scope: str | None) -> None:
        """Stop the bot: the platform has stopped the avatar."""
        del request_id, scope
        await self.broadcast_interruption()
