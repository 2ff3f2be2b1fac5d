"""A user who speaks: heard by the client's recogniser, or by the platform's."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable

from avatarwire.audio import PcmFormat
from avatarwire.codec import PcmFramer
from avatarwire.emulator.liveavatar.player import Player
from avatarwire.liveavatar.messages import Event, MessageBuilder

__all__ = ["USER_FORMAT", "User"]

USER_FRAME_MS = 40
USER_FORMAT = PcmFormat(16000, 1)
#: How long the microphone stays open: a turn found by its level ends in silence, not in nothing.
SILENCE_AFTER_S = 2


class User:
    """Says one thing, in real time, by absolute deadlines.

    Args:
        audio: what is said, as 16 kHz mono PCM; empty: nothing.
        transcript: its words, when the platform recognises speech; None: the client does.
    """

    def __init__(self, audio: bytes, transcript: str | None) -> None:
        self._audio = audio
        self._transcript = transcript

    def speech(
        self,
        post_event: Callable[[Event], None],
        post_frame: Callable[[bytes], None],
        player: Player,
    ) -> Awaitable[None] | None:
        """Return what says it; None when there is nothing to say."""
        if not self._audio:
            return None
        if self._transcript is None:
            return self._send_frames(post_frame)
        return self._recognise(self._transcript, post_event, player)

    async def _send_frames(self, post_frame: Callable[[bytes], None]) -> None:
        framer = PcmFramer(sample_rate=USER_FORMAT.sample_rate, frame_ms=USER_FRAME_MS)
        begun_s = asyncio.get_running_loop().time()
        frames = framer.frames(self._audio) + framer.flush()
        frames += framer.frames(bytes(SILENCE_AFTER_S * USER_FORMAT.bytes_per_second))
        for index, frame in enumerate(frames):
            await _sleep_until(begun_s + index * USER_FRAME_MS / 1000)
            post_frame(frame)

    async def _recognise(
        self, transcript: str, post_event: Callable[[Event], None], player: Player
    ) -> None:
        """Send what the platform's recogniser makes of it: its words, spread over the sound."""
        request_id = str(uuid.uuid4())
        begun_s = asyncio.get_running_loop().time()
        length_s = len(self._audio) / USER_FORMAT.bytes_per_second
        words = transcript.split()
        post_event(MessageBuilder.input_voice_start(request_id))
        player.listen()
        for count in range(1, len(words) + 1):
            await _sleep_until(begun_s + length_s * count / len(words))
            heard = " ".join(words[:count])
            post_event(MessageBuilder.input_asr_partial(request_id, heard, count))
        await _sleep_until(begun_s + length_s)
        post_event(MessageBuilder.input_voice_finish(request_id))
        post_event(MessageBuilder.input_asr_final(request_id, " ".join(words)))
        post_event(MessageBuilder.input_text(request_id, " ".join(words)))
        player.think()


async def _sleep_until(time_s: float) -> None:
    await asyncio.sleep(time_s - asyncio.get_running_loop().time())
