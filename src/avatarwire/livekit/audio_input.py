"""What the user says to the avatar, as the frames of a LiveKit agent."""

from typing import TYPE_CHECKING

from livekit import rtc
from livekit.agents.voice.io import AudioInput

from avatarwire.session import Conversation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["AvatarAudioInput"]


class AvatarAudioInput(AudioInput):
    """Hears the user through a session whose platform sends the user's voice.

    It begins to listen when it is first asked for a frame, which takes a session that runs, and
    ends with the session. What is said while the framework has it detached is dropped.

    Args:
        session: the avatar's.
        sample_rate: of the frames, in Hz, 4000 to 192000.
    """

    def __init__(self, session: Conversation, *, sample_rate: int = 24000) -> None:
        super().__init__(label="avatarwire")
        self._session = session
        self._sample_rate = sample_rate
        self._heard: AsyncIterator[bytes] | None = None
        self._is_attached = True

    async def __anext__(self) -> rtc.AudioFrame:
        """Return the next frame.

        Raises:
            NotConnectedError, SessionLostError: there is no session to listen to.
            StopAsyncIteration: the session has ended.
        """
        if self._heard is None:
            self._heard = self._session.user_audio(self._sample_rate)
        while True:
            pcm = await anext(self._heard)
            if self._is_attached:
                return rtc.AudioFrame(pcm, self._sample_rate, 1, len(pcm) // 2)

    def on_attached(self) -> None:
        """Listen."""
        self._is_attached = True

    def on_detached(self) -> None:
        """Let what is said pass."""
        self._is_attached = False
