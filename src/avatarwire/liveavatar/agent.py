"""The agent: starts and stops a session, and sends on it."""

import asyncio
import concurrent.futures
import logging
import weakref
from collections.abc import Coroutine, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeVar

from avatarwire.audio import PcmFormat
from avatarwire.codec import AudioFrame
from avatarwire.errors import AlreadyStartedError, NotConnectedError
from avatarwire.liveavatar.calls import AgentCalls
from avatarwire.liveavatar.config import AvatarAgentConfig, SessionStartResult
from avatarwire.liveavatar.live import LiveSession
from avatarwire.liveavatar.protocol import Received
from avatarwire.liveavatar.stats import AgentStats, LiveCounts
from avatarwire.liveavatar.turns import new_stream
from avatarwire.session.outbox import Outbox
from avatarwire.streaming import BOUNDS_MS, AudioStream, Timing, UserAudio

__all__ = ["AvatarAgent"]

logger: logging.Logger = logging.getLogger("avatarwire.liveavatar")

T = TypeVar("T")

#: How much of what was sent but cannot have been played is sent again after a gap.
RESUMED_MS = 2000


class AvatarAgent(AgentCalls):
    """One agent that drives one avatar.

    Example::

        config = AvatarAgentConfig(api_key="sk-...", avatar_id="avatar-123")
        async with AvatarAgent(config, listener) as agent:
            await agent.wait_closed()

    Args:
        config: what to connect to, and how.
        listener: an ``AgentListener``, or any object with some of its methods.
    """

    def __init__(self, config: AvatarAgentConfig, listener: object) -> None:
        super().__init__()
        if not isinstance(config, AvatarAgentConfig):
            raise TypeError(f"config must be AvatarAgentConfig, not {type(config).__name__}")
        self._config = config
        self._listener = listener
        self._live: LiveSession | None = None
        self._last_counts = LiveCounts()
        self._loop: asyncio.AbstractEventLoop | None = None
        # Weak: an iteration that was abandoned is not to be fed for ever.
        self._user_audio: weakref.WeakSet[UserAudio] = weakref.WeakSet()

    def __repr__(self) -> str:
        state = "running" if self.is_running else "not running"
        return f"<AvatarAgent {self._config.avatar_id!r} {state}, session {self.session_id}>"

    @property
    def session_id(self) -> str | None:
        """The platform's id of the session; None before ``start()`` and after ``stop()``."""
        live = self._live
        return None if live is None or live.result is None else live.result.session_id

    @property
    def is_running(self) -> bool:
        """Whether the handshake is complete and the session has not ended."""
        return self._live is not None and self._live.is_open

    @property
    def ignored_messages(self) -> Mapping[str, int]:
        """How many messages of the platform were passed over in this session, by cause."""
        live = self._live
        return MappingProxyType({} if live is None else dict(live.protocol.ignored))

    @property
    def dropped_audio_frames(self) -> int:
        """How many frames were dropped in this session because ``on_audio_frame`` was slow."""
        return 0 if self._live is None else self._live.callbacks.dropped_frames

    def stats(self) -> AgentStats:
        """Give what was done in this session, or in the last one; zeros before the first start."""
        turns = self._turns.totals()
        lateness = self._turns.lateness
        live = self._last_counts if self._live is None else self._live.counts()
        slow = sum(audio.dropped_frames for audio in self._user_audio)
        dropped = {"user_audio_slow": slow} if slow else {}
        return AgentStats(
            queued_ms=turns.queued_ms,
            audio_written_ms=turns.written_ms,
            audio_sent_ms=turns.sent_ms,
            audio_dropped_ms=turns.written_ms - turns.sent_ms - turns.queued_ms,
            lateness_bounds_ms=BOUNDS_MS,
            lateness_counts=tuple(lateness.counts),
            lateness_max_ms=lateness.max_ms,
            underruns=turns.underruns,
            **{**live._asdict(), "dropped": MappingProxyType({**dropped, **live.dropped})},
        )

    async def start(self) -> SessionStartResult:
        """Start a session: REST, connect, ``session.init``, ``session.ready``.

        Returns when ``on_session_init`` has run, or after ``config.timeout`` if it takes longer.

        Raises:
            AlreadyStartedError: started and not stopped (a RuntimeError).
            UnusableAnswerError: the platform gave no WebSocket URL (a RuntimeError).
            ValueError: the configuration is unusable.
            SessionStartError: the platform refused, or did not answer properly.
            ConnectFailedError: the WebSocket could not be opened.
            HandshakeTimeoutError: no ``session.init`` in time.
            SessionLostError: the connection ended during the handshake, or ``stop()`` was called.
        """
        if self._live is not None:
            raise AlreadyStartedError("Already started — call stop() first")
        self._config.validate()
        self._loop = asyncio.get_running_loop()
        if self._framer is not None:
            self._framer.reset()  # a new session begins with a key frame
        self._last_counts = LiveCounts()
        self._turns.begin()
        self._responses.resume = self._config.reconnect and self._config.on_gap == "resume"
        live = self._live = LiveSession(
            self._config,
            self._listener,
            on_received=self._receive,
            on_gap=self._gap,
            on_connected=self._connected,
            on_ended=self._end_of_session,
        )
        try:
            return await live.start()
        except BaseException:
            if self._live is live:
                self._live = None
            raise

    async def stop(self) -> None:
        """End the session: ``session.stop``, close, REST stop. Safe to call twice, and anywhere.

        ``on_closed`` has been called with 1000 when it returns; callbacks that still run are
        cancelled, except those that called ``stop()``. What was sent before leaves first; a peer
        that does not read it is given up after two seconds.
        """
        live = self._live
        if live is None:
            return
        await live.stop()
        if self._live is live:
            self._last_counts = live.counts()
            self._live = None

    async def wait_closed(self) -> None:
        """Wait until the session has ended, whoever ended it; at once when there is none."""
        if self._live is not None:
            await asyncio.shield(self._live.closed)

    async def scene_ready(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait until the browser shows the avatar; at once when it does, however late one asks.

        What is said before ``scene.ready`` nobody hears.

        Args:
            timeout: seconds to wait at the most.

        Raises:
            TimeoutError: it did not come in time.
            SessionLostError: the session ended first.
            NotConnectedError: ``start()`` has not been called.
        """
        if self._live is None:
            raise NotConnectedError("Not connected — call start() first")
        async with asyncio.timeout(timeout):
            await asyncio.shield(self._live.scene)

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

        Raises:
            TypeError, ValueError: an argument that the platform or the framing cannot take.
            MissingExtraError: the sound has to be converted and the extra is not installed.
        """
        return new_stream(
            self._outlet,
            self._framer_for,
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
            ),
            prompt=prompt,
            interrupt_on_input=interrupt_on_input,
            metadata=metadata,
            keep_ms=self._keep_ms(),
        )

    def user_audio(
        self, sample_rate: int = 16000, *, window_ms: int = 200, conceal: bool = False
    ) -> UserAudio:
        """Iterate over what the user says, as 16-bit mono PCM in order and at one rate.

        Example::

            async for pcm in agent.user_audio():
                recogniser.feed(pcm)

        It holds what comes from this call on and ends with the session; see ``UserAudio`` for what
        it counts. ``on_audio_frame`` gets the frames as they come, whatever happens here.

        Args:
            sample_rate: of what comes out, in Hz, 4000 to 192000.
            window_ms: how long a missing frame is waited for, in milliseconds of sound.
            conceal: put silence where frames are missing.

        Raises:
            ValueError: an argument outside its range.
            NotConnectedError, SessionLostError: there is no session to listen to.
        """
        self._require_open()
        audio = UserAudio(sample_rate, window_ms=window_ms, conceal=conceal)
        self._user_audio.add(audio)
        return audio

    def call_threadsafe(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run one of the agent's coroutines from another thread.

        Example::

            agent.call_threadsafe(agent.send_asr_final(request_id, text)).result()

        Raises:
            NotConnectedError: ``start()`` has not been called.
        """
        if self._loop is None:
            work.close()
            raise NotConnectedError("Not connected — call start() first")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

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

    def _receive(self, received: Received) -> None:
        if isinstance(received, AudioFrame):
            for audio in self._user_audio:
                audio.push(received)
        else:
            self._notice(received)

    def _end_of_session(self) -> None:
        self._end_of_sending()
        for audio in self._user_audio:
            audio.close()
        self._user_audio.clear()

    def _keep_ms(self) -> float | None:
        """Give how much of a turn is kept for another connection; None: it has only this one."""
        if not self._config.reconnect or self._config.on_gap == "fail":
            return None
        return RESUMED_MS if self._config.on_gap == "resume" else 0

    def _gap(self) -> None:
        self._turns.gap(self._config.on_gap)
        self._responses.gap()
        self._accompaniment.gap(self._config.on_gap)

    def _connected(self) -> None:
        if self._framer is not None:
            self._framer.reset()  # a new connection begins with a key frame
        self._turns.connected()
        self._responses.connected()
        self._accompaniment.connected()

    def _require_open(self) -> Outbox:
        outbox = None if self._live is None else self._live.require_open()
        if outbox is None:
            raise NotConnectedError("Not connected — call start() first")
        return outbox
