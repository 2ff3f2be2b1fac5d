"""Callbacks: what a program overrides, and how it is called.

Callbacks begin in the order of arrival, each up to its first wait; one that waits goes on in a task
of its own, so that one that never returns stops nothing. 250 calls of one callback may wait at a
time; further ones are dropped, counted and told. Audio frames are handed over one at a time, from a
bounded lane that drops its oldest frame, counts it and says so when the callback is too slow.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from avatarwire.codec import AudioFrame
from avatarwire.liveavatar.config import SessionStartResult
from avatarwire.liveavatar.events import ResourceTransitionData, ResponseStateEvent
from avatarwire.liveavatar.messages import Event, SessionState
from avatarwire.session.callbacks import CallbackTasks, RunningCallback
from avatarwire.streaming import Lane

__all__ = ["AgentListener", "Callbacks"]

logger: logging.Logger = logging.getLogger("avatarwire.liveavatar")

#: Ten seconds of 40 ms frames: longer is stale for a recogniser.
AUDIO_LANE_FRAMES = 250


class AgentListener:
    """Override what you need; every method does nothing by default.

    A listener may also be any other object that has some of these methods, sync or async.
    """

    async def on_text_input(self, text: str, request_id: str) -> None:
        """The user typed ``text``, or the platform recognised it: answer with ``request_id``."""

    async def on_session_init(self, session_id: str, user_id: str) -> None:
        """The handshake is complete; ``session.ready`` has been sent."""

    async def on_session_state(self, state: SessionState) -> None:
        """The avatar does something else now."""

    async def on_session_closing(self, reason: str | None) -> None:
        """The platform is about to close; nothing can be sent any more."""

    async def on_scene_ready(self) -> None:
        """The browser shows the avatar: what is said from now on is heard."""

    async def on_response_state(self, event: ResponseStateEvent) -> None:
        """The platform tells how far it is with a response (each state once)."""

    async def on_resource_transition(self, data: ResourceTransitionData) -> None:
        """The renderer is about to switch to another video resource."""

    async def on_voice_start(self, request_id: str) -> None:
        """The user began to speak; what was playing has been cleared."""

    async def on_voice_finish(self, request_id: str) -> None:
        """The user stopped speaking."""

    async def on_asr_partial(self, text: str, request_id: str, seq: int) -> None:
        """What the platform has recognised so far (platform ASR); it may still change."""

    async def on_asr_final(self, text: str, request_id: str) -> None:
        """What the platform has recognised (platform ASR); it is no ``on_text_input``."""

    async def on_interrupt(self, request_id: str | None, scope: str | None) -> None:
        """The platform has stopped what was playing (platform ASR)."""

    async def on_idle_trigger(self, reason: str, idle_time_ms: int) -> None:
        """Nobody has spoken for ``idle_time_ms`` milliseconds."""

    async def on_audio_frame(self, frame: AudioFrame) -> None:
        """The user's audio, one frame at a time (developer ASR)."""

    async def on_error(self, code: str, message: str) -> None:
        """The platform reports a fault."""

    async def on_reconnecting(self, attempt: int, delay_s: float) -> None:
        """The connection was lost; attempt 1, 2, … to restore it begins in ``delay_s``."""

    async def on_reconnected(self, result: SessionStartResult) -> None:
        """The connection is back: hand the new user token and SFU URL to the browser."""

    async def on_closed(self, code: int, reason: str) -> None:
        """The session has ended; ``code`` is the WebSocket close code, 1006 for a cut."""

    async def on_wire(self, direction: str, kind: str, data: str | bytes) -> None:
        """Every message as it goes over the wire, for looking at.

        ``direction`` is ``"sent"`` or ``"received"``, ``kind`` ``"text"`` or ``"binary"``. Without
        this method nothing is spent on it.
        """

    async def on_event(self, event: Event) -> None:
        """Any event that no other callback takes, as the dict it came as."""


class Callbacks(CallbackTasks):
    """Calls one listener, and those that look on, for one session.

    Args:
        listener: the program's.
        onlookers: who else is called; neither ``on_audio_frame`` nor ``on_wire`` is.

    Attributes:
        onlookers: as given; others may take their place at any time.
    """

    def __init__(self, listener: object, onlookers: tuple[object, ...] = ()) -> None:
        super().__init__(logger)
        self.onlookers: tuple[object, ...] = onlookers
        self._listener = listener
        self._frames: Lane[AudioFrame] | None = None  # until there is one
        self._hearing: RunningCallback | None = None

    @property
    def dropped_frames(self) -> int:
        """Audio frames that were dropped because ``on_audio_frame`` was too slow."""
        return 0 if self._frames is None else self._frames.dropped

    def has(self, name: str) -> bool:
        """Return whether the listener has a method of its own by this name."""
        return self._callback(name) is not None

    def call(self, name: str, *args: object) -> RunningCallback | None:
        """Start a callback in the event loop's next turn; None when the listener has none."""
        for onlooker in self.onlookers:
            callback = self._callback_of(onlooker, name)
            if callback is not None:
                self.run(name, callback, *args)
        callback = self._callback(name)
        return None if callback is None else self.run(name, callback, *args)

    def add(self, name: str, *args: object) -> RunningCallback | None:
        """Queue a callback for ``start``; None when the listener does not have it."""
        for onlooker in self.onlookers:
            callback = self._callback_of(onlooker, name)
            if callback is not None:
                self.queue(name, callback, (args,))
        callback = self._callback(name)
        return None if callback is None else self.queue(name, callback, (args,))

    def hear(self, frames: Sequence[AudioFrame]) -> None:
        """Queue frames for ``on_audio_frame``, which ``start`` starts where it does not run."""
        callback = self._callback("on_audio_frame")
        if callback is None:
            return
        lane = self._frames
        if lane is None:
            lane = self._frames = Lane(AUDIO_LANE_FRAMES)
        dropped_before = lane.dropped
        lane.extend(frames)
        if lane.dropped > dropped_before == 0:
            logger.warning(
                "on_audio_frame is slower than the audio: the oldest frames are dropped and"
                " counted (dropped_audio_frames)"
            )
        if self._hearing is None or self._hearing.is_over:
            self._hearing = self.begin("on_audio_frame", callback, lane.drain())

    def cancel(self, keep: set[RunningCallback]) -> list[asyncio.Task[None]]:
        """Cancel what waits, except ``keep``, and what has not begun; return the tasks of it."""
        if self._frames is not None:
            self._frames.clear()
        return super().cancel(keep)

    def _callback(self, name: str) -> Callable[..., object] | None:
        return self._callback_of(self._listener, name)

    def _callback_of(self, listener: object, name: str) -> Callable[..., object] | None:
        callback = self.look_up(listener, name)
        if callback is None or getattr(callback, "__func__", None) is getattr(AgentListener, name):
            return None
        return callback if callable(callback) else None
