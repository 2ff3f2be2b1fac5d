"""What a session can do besides when its platform carries the user, not the avatar alone."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, runtime_checkable

from avatarwire.session.session import Session
from avatarwire.streaming import AudioStream

__all__ = ["Conversation", "SceneGate"]

logger: logging.Logger = logging.getLogger("avatarwire.session")

#: How long speech waits for the user's browser; a framework gives up a write after ten seconds.
SCENE_TIMEOUT_S = 5.0


@runtime_checkable
class Conversation(Session, Protocol):
    """A session through which the user is heard and read, as ``AvatarAgent`` is."""

    def add_listener(self, listener: object) -> Callable[[], None]:
        """Call an object's methods for what the platform tells; return what ends it."""
        ...

    async def scene_ready(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait until the user's browser shows the avatar."""

    def user_audio(self, sample_rate: int = ...) -> AsyncIterator[bytes]:
        """Return an iterator over what the user says: 16-bit mono PCM."""
        ...

    def audio_stream(self, request_id: str | None = None, **options: Any) -> AudioStream:  # noqa: ANN401
        """Make one turn of speech that answers a request."""
        ...

    def response_stream(self, request_id: str) -> AbstractAsyncContextManager[Any]:
        """Make one text response, which the platform speaks."""
        ...

    async def send_interrupt(self, request_id: str | None = None) -> None:
        """Stop what is playing, or only what answers a request."""

    async def send_voice_start(self, request_id: str) -> None:
        """Say that the user began to speak."""

    async def send_voice_finish(self, request_id: str) -> None:
        """Say that the user stopped speaking."""

    async def send_asr_partial(self, request_id: str, text: str, seq: int) -> None:
        """Send a recognition result that may still change."""

    async def send_asr_final(self, request_id: str, text: str) -> None:
        """Send the final recognition result."""


class SceneGate:
    """Holds speech back until the user's browser shows the avatar, but not for ever.

    Args:
        session: the session; one whose platform knows no scene is never held back.
    """

    def __init__(self, session: Session) -> None:
        # Asked once: it looks every method up.
        self._session = session if isinstance(session, Conversation) else None
        self._waited_for: str | None = None

    async def wait(self) -> None:
        """Return when the avatar is shown, the session has ended, or five seconds have passed.

        It waits once a session: a browser that has not come by then may come at any time.
        """
        session = self._session
        if session is None or self._waited_for == session.session_id:
            return
        try:
            await session.scene_ready(SCENE_TIMEOUT_S)
        except TimeoutError:
            logger.warning(
                "session %s: the avatar is not shown after %g s: it speaks all the same, and what"
                " it says until then nobody hears",
                session.session_id,
                SCENE_TIMEOUT_S,
            )
        except (ConnectionError, RuntimeError):
            return  # the turn itself will tell
        self._waited_for = session.session_id
