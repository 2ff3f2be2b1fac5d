"""What a session tells its program, by the listener's callbacks and by what one can wait for."""

import asyncio
import logging
import weakref
from collections.abc import Callable, Sequence

from avatarwire.codec import AudioFrame
from avatarwire.errors import SessionLostError
from avatarwire.liveavatar.config import AvatarAgentConfig
from avatarwire.liveavatar.dialect import LiveAvatarDialect
from avatarwire.liveavatar.events import SceneReady, SessionInit
from avatarwire.liveavatar.listener import Callbacks
from avatarwire.liveavatar.protocol import Received
from avatarwire.liveavatar.user_audio import UserAudio
from avatarwire.session.callbacks import RunningCallback
from avatarwire.session.dialect import Part, Reporter
from avatarwire.session.lifecycle import End

__all__ = ["ListenerReporter", "Scene", "UserAudios"]

logger: logging.Logger = logging.getLogger("avatarwire.liveavatar")

#: How long a cancelled callback may take to clean up before stop() goes on without it.
CANCEL_GRACE_S = 0.5


class ListenerReporter(Reporter[Received]):
    """Calls the methods of a listener.

    Args:
        listener: an ``AgentListener``, or any object with some of its methods.
        config: whose ``timeout`` limits ``on_closed``.
        dialect: what knows the platform's answers.
        user_audio: who hears the user beside the listener.

    Attributes:
        callbacks: the listener's, in this session.
        on_session_init: that callback; None while it has not been called.
    """

    def __init__(
        self,
        listener: object,
        config: AvatarAgentConfig,
        dialect: LiveAvatarDialect,
        user_audio: "UserAudios",
    ) -> None:
        self.callbacks: Callbacks = Callbacks(listener)
        self.on_session_init: RunningCallback | None = None
        self._listener = listener
        self._config = config
        self._dialect = dialect
        self._user_audio = user_audio
        self._connections = 0
        self._on_closed: RunningCallback | None = None

    def begin(self) -> None:
        """Forget the last session."""
        self.callbacks = Callbacks(self._listener, self.callbacks.onlookers)
        self.on_session_init = self._on_closed = None
        self._connections = 0

    def add(self, onlooker: object) -> Callable[[], None]:
        """Call another object's methods too; return what ends it."""
        self.callbacks.onlookers = (*self.callbacks.onlookers, onlooker)

        def remove() -> None:
            self.callbacks.onlookers = tuple(
                each for each in self.callbacks.onlookers if each is not onlooker
            )

        return remove

    @property
    def farewell(self) -> RunningCallback | None:
        """``on_closed``, once it has been called."""
        return self._on_closed

    def notice(self, received: Received) -> None:
        """Pass what has been received to the program's callbacks."""
        if not isinstance(received, SessionInit):
            self.callbacks.add(received.callback, *received.arguments())
        elif self._connections == 1 and self.on_session_init is None:
            self.on_session_init = self.callbacks.add(received.callback, *received.arguments())

    def hear(self, sound: Sequence[AudioFrame]) -> None:
        """Pass the user's sound to the iterations over it, and to ``on_audio_frame``."""
        if self._user_audio.audios:
            self._user_audio.hear(sound)
        self.callbacks.hear(sound)

    def start_callbacks(self) -> None:
        """Start what has been queued."""
        self.callbacks.start()

    def connected(self) -> None:
        """Tell of another connection, with what the browser needs; the first has its own word."""
        self._connections += 1
        if self._connections > 1:
            self.callbacks.call("on_reconnected", self._dialect.result)

    def show(self, direction: str, kind: str, data: str | bytes) -> None:
        """Pass a message on the wire to ``on_wire``."""
        self.callbacks.call("on_wire", direction, kind, data)

    def retrying(self, attempt: int, delay_s: float) -> None:
        """Tell that an attempt begins in ``delay_s`` seconds."""
        self.callbacks.call("on_reconnecting", attempt, delay_s)

    def closed(self, end: End) -> None:
        """Tell that the session has ended."""
        self._on_closed = self.callbacks.call("on_closed", end.code, end.reason)

    async def finish(self, callers: set[RunningCallback]) -> None:
        """Wait for ``on_closed``, and cancel every other callback but ``callers``."""
        if self._on_closed is not None and self._on_closed not in callers:
            await asyncio.wait([self._on_closed.ended()], timeout=self._config.timeout)
            if not self._on_closed.is_over:
                logger.warning("on_closed took over %s s: cancelled", self._config.timeout)
        cancelled = self.callbacks.cancel(keep=callers)
        if cancelled:
            await asyncio.wait(cancelled, timeout=CANCEL_GRACE_S)
        self.callbacks.stand_down()


class Scene(Part[Received]):
    """Whether the browser shows the avatar.

    A platform goes on with the same session after a gap, and need not say again what is so.
    """

    def __init__(self) -> None:
        self._is_shown = False
        self._lost: SessionLostError | None = None
        self._change: asyncio.Future[None] | None = None  # while someone waits for it

    def begin(self) -> None:
        """Forget the last session."""
        self._is_shown = False
        self._lost = self._change = None

    def notice(self, received: Received) -> None:
        """Take note of ``scene.ready``."""
        if isinstance(received, SceneReady):
            self._is_shown = True
            self._wake()

    def ended(self, lost: SessionLostError) -> None:
        """Free those who wait: the scene will never be shown."""
        self._lost = lost
        self._wake()

    async def wait(self) -> None:
        """Return when the avatar is shown.

        Raises:
            SessionLostError: the session ended first.
        """
        if not self._is_shown and self._lost is None:
            if self._change is None:
                self._change = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._change)  # others wait for it too
        if self._lost is not None:
            raise SessionLostError(self._lost.code, self._lost.reason)

    def _wake(self) -> None:
        change, self._change = self._change, None
        if change is not None:
            change.set_result(None)


class UserAudios(Part[Received]):
    """The iterations over what the user says.

    Attributes:
        audios: the iterations; weak, since one that was abandoned is not to be fed for ever.
    """

    def __init__(self) -> None:
        self.audios: tuple[weakref.ref[UserAudio], ...] = ()
        #: How many frames their consumers were too slow for; read from any thread.
        self.dropped_frames: int = 0

    def begin(self) -> None:
        """Count from zero: another session begins."""
        self.dropped_frames = 0

    def add(self, audio: UserAudio) -> None:
        """Feed another one, until the session ends."""
        self.audios = (*self.audios, weakref.ref(audio))

    def hear(self, frames: Sequence[AudioFrame]) -> None:
        """Pass the user's sound to those who listen."""
        for audio in self._alive():
            self.dropped_frames += audio.hear(frames)

    def ended(self, lost: SessionLostError) -> None:
        """End all iterations: there is nothing more to hear."""
        del lost
        for audio in self._alive():
            before = audio.dropped_frames
            audio.close()
            self.dropped_frames += audio.dropped_frames - before
        self.audios = ()

    def _alive(self) -> list[UserAudio]:
        audios = [audio for ref in self.audios if (audio := ref()) is not None]
        if len(audios) < len(self.audios):
            self.audios = tuple(weakref.ref(audio) for audio in audios)
        return audios
