"""The agent: starts and stops a session, and sends on it."""

import asyncio
import concurrent.futures
import logging
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from avatarwire.audio import Beginning, PcmFormat
from avatarwire.errors import AlreadyStartedError, NotConnectedError, SessionLostError
from avatarwire.liveavatar.calls import AgentCalls
from avatarwire.liveavatar.config import AvatarAgentConfig, SessionStartResult
from avatarwire.liveavatar.dialect import LiveAvatarDialect
from avatarwire.liveavatar.external import Accompaniment
from avatarwire.liveavatar.recognition import Partials
from avatarwire.liveavatar.reporter import ListenerReporter, Scene, UserAudios
from avatarwire.liveavatar.responses import Responses
from avatarwire.liveavatar.sending import EventOutbox
from avatarwire.liveavatar.turns import FramerKeeper, Turns, kept_ms, new_stream
from avatarwire.liveavatar.user_audio import UserAudio
from avatarwire.session.dialect import Connect, Permit, Tap
from avatarwire.session.engine import Engine
from avatarwire.session.lifecycle import End, Retry, State
from avatarwire.session.observing import Observers, tell_begun
from avatarwire.streaming import AudioStream, Callbacks, Progress, Timing

if TYPE_CHECKING:
    from avatarwire.liveavatar.protocol import Received
    from avatarwire.recording import Observer, Wording
    from avatarwire.session.stats import AgentStats

__all__ = ["AvatarAgent"]

logger: logging.Logger = logging.getLogger("avatarwire.liveavatar")

T = TypeVar("T")


class AvatarAgent(AgentCalls):
    """One agent that drives one avatar.

    Example::

        config = AvatarAgentConfig(api_key="sk-...", avatar_id="avatar-123")
        async with AvatarAgent(config, listener) as agent:
            await agent.wait_closed()

    Args:
        config: what to connect to, and how.
        listener: an ``AgentListener``, or any object with some of its methods.
        connect: opens the WebSocket, called as ``avatarwire.transport.connect`` is; by default
            that one. A test gives one that returns an end of ``memory_pair()``.
        permit: awaited before the platform is asked to start a session, to connect it again or to
            stop it; it raises ``SessionLostError`` when the session is another process's by now,
            which then ends here and goes on there. By default it is always ours.
    """

    def __init__(
        self,
        config: AvatarAgentConfig,
        listener: object,
        *,
        connect: Connect | None = None,
        permit: Permit | None = None,
    ) -> None:
        if not isinstance(config, AvatarAgentConfig):
            raise TypeError(f"config must be AvatarAgentConfig, not {type(config).__name__}")
        self._config = config
        self._outbox = EventOutbox()
        self._framers = FramerKeeper()
        self._beginning = Beginning("the turn's audio", logger)
        self._dialect = LiveAvatarDialect(config, permit)
        self._user_audio = UserAudios()
        self._reporter = ListenerReporter(listener, config, self._dialect, self._user_audio)
        self._observers = Observers()
        self._turns = Turns(config, self._observers)
        self._responses = Responses(self._outbox)
        self._partials = Partials(self._outbox)
        self._accompaniment = Accompaniment(config)
        self._scene = Scene()
        self._wire_tap: Callable[[], None] | None = None
        self._engine: Engine[Received] = Engine(
            self._dialect,
            self._reporter,
            (
                self._observers,
                self._framers,
                self._user_audio,
                self._turns,
                self._responses,
                self._partials,
                self._accompaniment,
                self._scene,
                self._reporter,
            ),
            outbox=self._outbox,
            connect=connect,
            logger=logger,
        )

    def __repr__(self) -> str:
        if not hasattr(self, "_engine"):
            return "<AvatarAgent that was not made>"
        state = "running" if self.is_running else "not running"
        return f"<AvatarAgent {self._config.avatar_id!r} {state}, session {self.session_id}>"

    @property
    def session_id(self) -> str | None:
        """The platform's id of the session; None before ``start()`` and after ``stop()``."""
        return None if self._engine.lifecycle.state is State.NEW else self._dialect.session_id

    @property
    def is_running(self) -> bool:
        """Whether the handshake is complete and the session has not ended."""
        return self._engine.is_open

    @property
    def is_speaking(self) -> bool:
        """Whether a turn of speech is not over: still written to, or sent and not yet played."""
        return any(not stream.is_resolved for stream in self._turns.playing)

    @property
    def ending(self) -> End | None:
        """How the last session ended (``code``, ``reason``); None while it has not."""
        return self._engine.lifecycle.end

    @property
    def left_running(self) -> str | None:
        """Why the platform may still run, and bill, the last session after ``stop()``, in words.

        None when it has stopped it, and before ``stop()``. A session whose connection is closed
        ends by itself, later.
        """
        return self._engine.left_running

    @property
    def ignored_messages(self) -> Mapping[str, int]:
        """How many messages of the platform were passed over in this session, by cause."""
        is_new = self._engine.lifecycle.state is State.NEW
        return MappingProxyType({} if is_new else dict(self._dialect.protocol.ignored))

    @property
    def dropped_audio_frames(self) -> int:
        """How many frames were dropped in this session because ``on_audio_frame`` was slow."""
        if self._engine.lifecycle.state is State.NEW:
            return 0
        return self._reporter.callbacks.dropped_frames

    def stats(self) -> "AgentStats":
        """Return what was done in this session, or in the last one; zeros before the first."""
        causes = {
            "callback_slow": self._reporter.callbacks.dropped_calls,
            "audio_callback_slow": self._reporter.callbacks.dropped_frames,
            "user_audio_slow": self._user_audio.dropped_frames,
            "backlog_bytes": self._engine.ending.backlog_lost_bytes,
        }
        dropped = {cause: count for cause, count in causes.items() if count}
        from avatarwire.session.stats import stats_of  # noqa: PLC0415 - not all ask

        return stats_of(
            self._engine,
            self._outbox,
            self._turns,
            audio_frames_received=self._dialect.protocol.audio_frames,
            dropped={**self._dialect.protocol.ignored, **dropped},
        )

    def tap(self, look: Tap) -> Callable[[], None]:
        """Have every message on the wire shown to ``look``; return what ends it.

        It is called as a message is written or has arrived, with ``"sent"`` or ``"received"``,
        ``"text"`` or ``"binary"``, and the message: text as str, binary as bytes. It must not
        block; what it raises is logged. While nobody looks, nothing is spent on it.

        Example::

            stop_looking = agent.tap(lambda direction, kind, data: print(direction, kind))
        """
        return self._outbox.tap(look)

    def observe(self, observer: "Observer") -> Callable[[], None]:
        """Tell ``observer`` of messages, turns and connections; return what ends it.

        It is called on the event loop, and must not block; what it raises is logged. While nobody
        observes, nothing is spent on it. ``Recorder`` and ``recording.Live`` observe.
        """
        return self._observers.add(observer, self._outbox)

    def wording(self) -> "Wording":
        """Return how the session's messages are read: what a recorder asks for."""
        from avatarwire.liveavatar.wording import wording_of  # noqa: PLC0415 - few record

        return wording_of("client", self._config, self._dialect.redacted)

    def add_listener(self, listener: object) -> Callable[[], None]:
        """Call another object too, beside the listener; return what ends it.

        It has any of an ``AgentListener``'s methods. Only ``on_audio_frame`` and ``on_wire`` are
        for the listener alone; ``user_audio()`` and ``tap()`` are for others.

        Example::

            stop_listening = agent.add_listener(Transcript())
        """
        return self._reporter.add(listener)

    async def start(self, *, session_id: str | None = None) -> SessionStartResult:
        """Start a session: REST, connect, ``session.init``, ``session.ready``.

        Returns when ``on_session_init`` has run, or after ``config.timeout`` if it takes longer.

        Args:
            session_id: of a session that another process has started: go on with it. The platform
                gives fresh credentials, and who had the session before loses it. It stays as it
                was if that fails. None: a new session.

        Raises:
            AlreadyStartedError: started and not stopped (a RuntimeError).
            UnusableAnswerError: the platform gave no WebSocket URL (a RuntimeError).
            ValueError: the configuration is unusable.
            SessionStartError: the platform refused, or did not answer properly.
            ConnectFailedError: the WebSocket could not be opened.
            HandshakeTimeoutError: no ``session.init`` in time.
            SessionLostError: the connection ended during the handshake, ``stop()`` was called, or
                the session to go on with is over.
        """
        if session_id is not None and not (isinstance(session_id, str) and session_id.strip()):
            raise ValueError("session_id must be the platform's id of a session, or None")
        engine, config = self._engine, self._config
        if engine.lifecycle.state is not State.NEW and not engine.is_loop_gone:
            raise AlreadyStartedError("Already started — call stop() first")
        config.validate()
        if engine.is_loop_gone:
            await engine.stop()  # which forgets
        self._begin(session_id)
        tell_begun(self)
        retry = Retry(
            attempts=config.reconnect_max_attempts if config.reconnect else 0,
            base_delay_s=config.reconnect_base_delay,
            max_delay_s=config.reconnect_max_delay,
        )
        await engine.start(retry)
        try:
            return await self._started()
        except BaseException:
            await self.stop()
            raise

    async def _started(self) -> SessionStartResult:
        """Wait for ``on_session_init``; return what the platform gave."""
        told = self._reporter.on_session_init
        if told is not None:
            await self._engine.ending.wait_or(told.ended(), self._config.timeout)
        end, result = self._engine.lifecycle.end, self._dialect.result
        if end is not None and not self._engine.lifecycle.is_ours:
            raise SessionLostError(end.code, end.reason)
        if end is not None or result is None:
            raise SessionLostError(1000, "stop() was called during start()")
        logger.info("session %s: %s", result.session_id, "resumed" if result.resumed else "started")
        return result

    def _begin(self, session_id: str | None) -> None:
        """Begin another session with nothing of the last one."""
        config = self._config
        self._framers.begin()  # a new session begins with a key frame
        self._outbox.begin(config.reconnect_buffer_bytes, keeps=config.reconnect)
        self._dialect.begin(session_id)
        self._reporter.begin()
        self._turns.begin()
        self._scene.begin()
        self._user_audio.begin()
        self._responses.resume = config.reconnect and config.on_gap == "resume"
        self._responses.limit_bytes = config.reconnect_buffer_bytes
        if self._wire_tap is not None:
            self._wire_tap()
            self._wire_tap = None
        if self._reporter.callbacks.has("on_wire"):
            self._wire_tap = self.tap(self._reporter.show)

    async def stop(self) -> None:
        """End the session: ``session.stop``, close, REST stop. Safe to call twice, and anywhere.

        ``on_closed`` has been called with 1000 when it returns; callbacks that still run are
        cancelled, except those that called ``stop()``. What was sent before leaves first; a peer
        that does not read it is given up after two seconds.
        """
        await self._engine.stop()

    async def leave(self) -> None:
        """Let go of the session without ending it: another process goes on with it.

        As ``stop()`` does, it closes the connection and calls ``on_closed`` with 1000, but the
        platform keeps the session for who calls ``start(session_id=...)``.
        """
        await self._engine.stop(leaves=True)

    async def wait_closed(self) -> None:
        """Wait until the session has ended, whoever ended it; at once when there is none."""
        await self._engine.wait_closed()

    async def scene_ready(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait until the browser shows the avatar; return at once when it already does.

        What is said before ``scene.ready`` nobody hears.

        Args:
            timeout: seconds to wait at the most.

        Raises:
            TimeoutError: it did not come in time.
            SessionLostError: the session ended first.
            NotConnectedError: ``start()`` has not been called.
        """
        if self._engine.lifecycle.state is State.NEW:
            raise NotConnectedError("Not connected — call start() first")
        async with asyncio.timeout(timeout):
            await self._scene.wait()

    def audio_stream(
        self,
        request_id: str | None = None,
        *,
        response_id: str | None = None,
        sample_rate: int = 24000,
        channels: int = 1,
        frame_ms: int = 40,
        lead_ms: float = 400,
        batch_ms: float = 200,
        buffer_ms: float = 2000,
        paced: bool = True,
        prompt: bool = False,
        interrupt_on_input: bool = False,
        metadata: Mapping[str, Any] | None = None,
        late: Literal["play", "skip"] = "play",
        on_started: Callable[[], object] | None = None,
        on_mark: Callable[[str], object] | None = None,
        on_progress: Callable[[Progress], object] | None = None,
        on_underrun: Callable[[float], object] | None = None,
    ) -> AudioStream:
        """Make one turn of speech: paced, interruptible, accounted for.

        Example::

            async with agent.audio_stream(request_id) as stream:
                async for pcm in synthesiser:
                    await stream.write(pcm)
            playout = await stream.wait_playout()

        One may be open at a time. Sound of another rate than the platform gets
        (``config.tts_sample_rate``, or what a frame header can say), and stereo, is converted; that
        takes the ``audio`` extra.

        Args:
            request_id: what the turn answers; a new UUID4 by default.
            response_id: the turn's own id; a new UUID4 by default.
            sample_rate: of what will be written, in Hz.
            channels: of what will be written: 1, or 2 with interleaved samples.
            frame_ms: milliseconds of sound in a frame.
            lead_ms: how much sound may be ahead of playout: room for a slow network or event loop.
            batch_ms: how much is written at a time, half the lead at the most.
            buffer_ms: how much may be queued before ``write`` waits.
            paced: False for a platform that buffers by itself: as fast as the connection takes it.
            prompt: an idle prompt, not an answer.
            interrupt_on_input: end the turn when the user types or begins to speak, as the platform
                stops its playback then.
            metadata: for the start event.
            late: what becomes of sound that the connection has held up until its time had passed:
                ``"play"``: it is heard later, and all that follows; ``"skip"``: it is dropped.
            on_started: called when the turn begins to be heard, as ``wait_started`` tells.
            on_mark: called with the name of each mark when the listener has passed it.
            on_progress: called with each run of sound that was heard, so that it can no longer be
                taken back: a ``Progress``, some time after it and in order.
            on_underrun: called while the sound has run out at the listener, with the milliseconds
                of that so far; five times a second at the most.

        Raises:
            TypeError, ValueError: an argument that the platform or the framing cannot take.
            MissingExtraError: the sound has to be converted and the extra is not installed.
        """
        return new_stream(
            self._outbox,
            self._framers,
            self._turns,
            request_id=request_id,
            response_id=response_id,
            written=PcmFormat(sample_rate, channels),
            sent_rate=self._config.tts_sample_rate,
            timing=Timing(
                frame_ms=frame_ms,
                lead_ms=lead_ms,
                batch_ms=batch_ms,
                buffer_ms=buffer_ms,
                paced=paced,
                late=late,
            ),
            prompt=prompt,
            interrupt_on_input=interrupt_on_input,
            metadata=metadata,
            keep_ms=kept_ms(self._config),
            callbacks=Callbacks(on_started, on_mark, on_progress, on_underrun),
        )

    def user_audio(
        self, sample_rate: int = 16000, *, window_ms: int = 200, conceal: bool = False
    ) -> UserAudio:
        """Return an iterator over what the user says: 16-bit mono PCM, in order, at one rate.

        Example::

            async for pcm in agent.user_audio():
                recogniser.feed(pcm)

        It holds what comes from this call on, and ends with the session; see ``UserAudio`` for what
        it counts. Called within ``on_audio_frame``, it leaves out what was read together with that
        frame, up to 63 others. ``on_audio_frame`` gets the frames as they come, whatever happens
        here.

        Args:
            sample_rate: of what comes out, in Hz, 4000 to 192000.
            window_ms: how long a missing frame is waited for, in milliseconds of sound.
            conceal: put silence where frames are missing.

        Raises:
            ValueError: an argument outside its range.
            NotConnectedError, SessionLostError: there is no session to listen to.
        """
        self._outbox.require_open()
        audio = UserAudio(sample_rate, window_ms=window_ms, conceal=conceal)
        self._user_audio.add(audio)
        return audio

    def call_threadsafe(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run one of the agent's coroutines from another thread.

        Example::

            agent.call_threadsafe(agent.send_asr_final(request_id, text)).result()

        Raises:
            NotConnectedError: ``start()`` has not been called, or its event loop is gone.
        """
        loop = self._engine.loop
        if loop is None or loop.is_closed():
            work.close()
            raise NotConnectedError("Not connected — call start() first")
        try:
            return asyncio.run_coroutine_threadsafe(work, loop)
        except RuntimeError:  # closed in this very moment
            work.close()
            raise NotConnectedError("Not connected: the event loop has been closed") from None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()
