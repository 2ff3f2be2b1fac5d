"""What every session can do, whatever its platform: what adapters and recorders hold on to."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

from avatarwire.session.dialect import Tap
from avatarwire.session.lifecycle import End
from avatarwire.streaming import AudioStream, Progress

if TYPE_CHECKING:
    from avatarwire.recording import Observer, Wording
    from avatarwire.session.stats import AgentStats

__all__ = ["Session"]


class Session(Protocol):
    """One agent or client of any platform.

    ``AvatarAgent`` and Akool's ``StreamingAvatarClient`` are sessions. What is written against this
    works with both, and with the next platform::

        async def speak(session: avatarwire.Session, pcm: bytes) -> None:
            async with session.audio_stream(sample_rate=24000) as stream:
                await stream.write(pcm)
            await stream.wait_playout()
    """

    @property
    def session_id(self) -> str | None:
        """The session's id; None while it has none."""
        ...

    @property
    def is_running(self) -> bool:
        """Whether there is a session that has not ended; also while it is being restored."""
        ...

    @property
    def ending(self) -> End | None:
        """How the last session ended (``code``, ``reason``); None while it has not."""
        ...

    async def start(self) -> object:
        """Start a session; what it returns is the platform's."""
        ...

    async def stop(self) -> None:
        """End the session; safe to call twice, and anywhere."""

    async def wait_closed(self) -> None:
        """Wait until the session has ended, whoever ended it; at once when there is none."""

    def audio_stream(
        self,
        *,
        sample_rate: int = ...,
        channels: int = ...,
        frame_ms: int = ...,
        lead_ms: float = ...,
        batch_ms: float = ...,
        buffer_ms: float = ...,
        paced: bool = ...,
        late: Literal["play", "skip"] = ...,
        on_started: Callable[[], object] | None = ...,
        on_mark: Callable[[str], object] | None = ...,
        on_progress: Callable[[Progress], object] | None = ...,
        on_underrun: Callable[[float], object] | None = ...,
    ) -> AudioStream:
        """Make one turn of speech: 16-bit little-endian PCM, at ``sample_rate`` Hz, interleaved."""
        ...

    def stats(self) -> "AgentStats":
        """Return what has been done in this session, or in the last one."""
        ...

    def tap(self, look: Tap) -> Callable[[], None]:
        """Have every message on the wire shown to ``look``; return what ends it.

        It is called with ``"sent"`` or ``"received"``, ``"text"`` or ``"binary"``, and the message.
        """
        ...

    def observe(self, observer: "Observer") -> Callable[[], None]:
        """Tell ``observer`` of messages, turns and connections; return what ends it."""
        ...

    def wording(self) -> "Wording":
        """Return how the session's messages are read: what a recorder asks for."""
        ...
