"""The client: connects, sends, and tells what happens."""

import logging
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from avatarwire.akool.agora import AgoraChannel, checked_params
from avatarwire.akool.audio import checked_size_bytes, whole_samples
from avatarwire.akool.config import DISCOVERY_URL, ClientConfig
from avatarwire.akool.dialect import AkoolDialect
from avatarwire.akool.exceptions import (
    AkoolStreamingAvatarError,
    AudioStreamError,
    ConnectionError,  # noqa: A004 - the published name
)
from avatarwire.akool.keepalive import Keepalive
from avatarwire.akool.messages import EnvelopeWire, FlatWire, Wire
from avatarwire.akool.reporter import Handler, HandlerReporter, retry_error
from avatarwire.akool.turns import NO_INTERRUPT, Turns
from avatarwire.audio import PcmFormat
from avatarwire.errors import AvatarwireError, SessionLostError
from avatarwire.session.callbacks import running_callback
from avatarwire.session.dialect import Connect, Tap
from avatarwire.session.engine import Engine
from avatarwire.session.lifecycle import End, Retry, State
from avatarwire.session.observing import Observers, tell_begun
from avatarwire.session.outbox import Outbox
from avatarwire.streaming import AudioStream, Callbacks, Progress, Timing
from avatarwire.transport import as_secret

if TYPE_CHECKING:
    import ssl

    from typing_extensions import Buffer

    from avatarwire.akool.protocol import Received
    from avatarwire.recording import Observer, Wording
    from avatarwire.session.stats import AgentStats

__all__ = ["AsyncStreamingAvatarClient", "StreamingAvatarClient", "create_client"]

logger: logging.Logger = logging.getLogger("avatarwire.akool")

#: Between rounds of dials when a lost connection is replaced.
RECONNECT_BASE_DELAY_S = 0.25
RECONNECT_MAX_DELAY_S = 8.0


class StreamingAvatarClient:
    """One session with one avatar.

    Example::

        async with AsyncStreamingAvatarClient(api_key="...", avatar_id="...") as client:
            await client.set_agora_params("app-id", "channel", "rtc-token", "12345")
            await client.send_audio(pcm)

    Handlers are plain attributes, sync or async; one that waits keeps no other waiting:
    ``on_connected()``, ``on_disconnected()``, ``on_agora_connected(channel_id)``,
    ``on_error(exception)`` and ``on_message(dict)``. One that raises is logged and stops nothing.
    ``on_error`` takes what the platform reports, and why a connection was lost.

    Args:
        api_key: the platform's API key; it is in no log and no repr.
        avatar_id: which avatar to drive. ``(api_key, discovery_url, avatar_id)`` works too.
        discovery_url: whose origin is asked for instances.
        session_id: a UUID4 unless given.
        max_retry_attempts: how many dials ``connect()`` may make.
        heartbeat_interval: seconds between pings.
        connection_timeout: seconds for a dial until it is confirmed, and for Agora's connection.
        discovery_timeout: seconds for discovery's answer.
        env: "test" or "prod".
        server_url: dial this server and ask no discovery: ``host:port``, or a URL of http, https,
            ws or wss; https and wss mean TLS.
        wire: "envelope", as the published client sends, or "flat", as its README says.
        message_timeout: seconds for the ack of a command.
        pong_timeout: seconds without a pong after which the platform counts as gone.
        reconnect: dial again when the connection is lost, another instance first, and set the Agora
            parameters again; ``on_connected`` is called again, ``on_error`` when it is given up.
        reconnect_max_attempts: how many dials that may take; a failed discovery counts as one.
        max_message_bytes: the longest message taken from the platform, in bytes; a longer one ends
            the connection with 1009.
        ssl_context: trust more than the system does; certificates are always verified.
        connect: opens the WebSocket, called as ``avatarwire.transport.connect`` is; by default
            that one. A test gives one that returns an end of ``memory_pair()``.

    Raises:
        AuthenticationError: ``api_key`` or ``avatar_id`` is missing or unusable.
        ConfigurationError: another setting cannot work (a ValueError).
    """

    def __init__(
        self,
        api_key: str,
        avatar_id: str,
        discovery_url: str = DISCOVERY_URL,
        session_id: str | None = None,
        max_retry_attempts: int = 3,
        heartbeat_interval: float = 30,
        connection_timeout: float = 30,
        discovery_timeout: float = 10,
        env: str = "test",
        server_url: str | None = None,
        *,
        wire: Literal["envelope", "flat"] = "envelope",
        message_timeout: float = 10,
        pong_timeout: float = 10,
        reconnect: bool = False,
        reconnect_max_attempts: int = 10,
        max_message_bytes: int = 1_048_576,
        ssl_context: "ssl.SSLContext | None" = None,
        connect: Connect | None = None,
    ) -> None:
        api_key = as_secret(api_key)  # as a local of a traceback, if a setting is refused
        self._config = ClientConfig(
            api_key=api_key,
            avatar_id=avatar_id,
            discovery_url=discovery_url,
            session_id=session_id,
            max_retry_attempts=max_retry_attempts,
            heartbeat_interval=heartbeat_interval,
            connection_timeout=connection_timeout,
            discovery_timeout=discovery_timeout,
            env=env,
            server_url=server_url,
            wire=wire,
            message_timeout=message_timeout,
            pong_timeout=pong_timeout,
            reconnect=reconnect,
            reconnect_max_attempts=reconnect_max_attempts,
            max_message_bytes=max_message_bytes,
            ssl_context=ssl_context,
        )
        self.on_connected: Handler = None
        self.on_disconnected: Handler = None
        self.on_agora_connected: Handler = None
        self.on_error: Handler = None
        self.on_message: Handler = None
        self._wire: Wire = EnvelopeWire() if wire == "envelope" else FlatWire()
        self._outbox = Outbox(ConnectionError("not connected: await connect() first"))
        self._dialect = AkoolDialect(self._config, self._wire, self._outbox)
        self._acks = self._dialect.acks
        self._reporter = HandlerReporter(self, self._config, self._dialect)
        self._observers = Observers()
        self._turns = Turns(
            self._wire,
            self._outbox,
            self._acks,
            require_open=self._require_open,
            lost=self._lost,
            observers=self._observers,
        )
        self._agora = AgoraChannel(
            self._config,
            self._wire,
            self._dialect.protocol,
            self._acks,
            require_open=self._require_open,
            not_restored=self._not_restored,
        )
        keepalive = Keepalive(
            self._config,
            self._wire,
            self._outbox,
            self._fail_connection,
        )
        self._engine: Engine[Received] = Engine(
            self._dialect,
            self._reporter,
            # The reporter before the acks: a handler begins before a call that waits returns.
            (self._observers, self._turns, self._agora, keepalive, self._reporter, self._acks),
            outbox=self._outbox,
            connect=connect,
            logger=logger,
        )

    def __repr__(self) -> str:
        if not hasattr(self, "_engine"):
            return f"<{type(self).__name__} that was not made>"
        state = "connected" if self.is_connected else "not connected"
        return (
            f"<{type(self).__name__} {self._config.avatar_id!r} {state}, session {self.session_id}>"
        )

    @property
    def session_id(self) -> str:
        """The session's id, the same for every connection."""
        return self._config.session_id or ""

    @property
    def is_connected(self) -> bool:
        """Whether the platform has confirmed the connection, and it has not ended."""
        return self._engine.is_connected

    @property
    def is_running(self) -> bool:
        """Whether there is a session: connected, or being connected again."""
        return self._engine.is_open

    @property
    def is_agora_connected(self) -> bool:
        """Whether the avatar is in its Agora channel."""
        return self._dialect.protocol.is_agora_connected

    @property
    def ending(self) -> End | None:
        """How the last session ended (``code``, ``reason``); None while it has not."""
        return self._engine.lifecycle.end

    @property
    def ignored_messages(self) -> Mapping[str, int]:
        """How many messages of the platform were passed over on this connection, by cause."""
        return MappingProxyType(dict(self._dialect.protocol.ignored))

    def stats(self) -> "AgentStats":
        """Return what was done in this session, or in the last one; zeros before the first."""
        dropped_calls = self._reporter.dropped_calls
        slow = {"callback_slow": dropped_calls} if dropped_calls else {}
        from avatarwire.session.stats import stats_of  # noqa: PLC0415 - not all ask

        return stats_of(
            self._engine,
            self._outbox,
            self._turns,
            audio_frames_received=0,
            dropped={**self._dialect.protocol.ignored, **slow},
        )

    def tap(self, look: Tap) -> Callable[[], None]:
        """Have every message on the wire shown to ``look``; return what ends it.

        It is called as a message is written or has arrived, with ``"sent"`` or ``"received"``,
        ``"text"`` or ``"binary"``, and the message: text as str, binary as bytes. It must not
        block; what it raises is logged. While nobody looks, nothing is spent on it.
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
        from avatarwire.akool.wording import wording_of  # noqa: PLC0415 - few record

        return wording_of("client", self._config, self._dialect.redacted)

    def get_connection_info(self) -> dict[str, Any]:
        """Return the state as a dict, with the published client's keys."""
        instance = self._dialect.instance
        service = None
        if instance is not None and self.is_connected:
            service = {
                "ip": instance.ip,
                "port": instance.port,
                "status": instance.status,
                "healthy": instance.healthy,
            }
        return {
            "connected": self.is_connected,
            "agora_connected": self.is_agora_connected,
            "session_id": self.session_id,
            "avatar_id": self._config.avatar_id,
            "server_url": self._config.server_url,
            "current_service": service,
            "available_services_count": self._dialect.available_count,
        }

    async def connect(self) -> None:
        """Find an instance and connect to it; return when the platform has confirmed.

        Nothing happens when the client is connected already.

        Raises:
            AuthenticationError: the platform refused the key.
            ServiceDiscoveryError: discovery failed, or named no available instance.
            RetryError: every dial has failed (a builtin ConnectionError).
            ConnectionError: ``server_url`` could not be dialled, or ``disconnect()`` was called.
        """
        engine, config = self._engine, self._config
        if engine.is_loop_gone:
            await engine.stop()  # which forgets
        callback = running_callback()
        if engine.is_stopping and callback is not None and callback is self._reporter.farewell:
            raise ConnectionError(
                "disconnect() is under way and waits for this very handler: connect() after it"
            )
        await engine.wait_stopped()
        if engine.is_connected:
            return
        is_restoring = engine.lifecycle.state is State.GAP
        attempts = config.reconnect_max_attempts if is_restoring else config.max_retry_attempts
        retry = Retry(
            attempts=config.reconnect_max_attempts if config.reconnect else 0,
            base_delay_s=RECONNECT_BASE_DELAY_S,
            max_delay_s=RECONNECT_MAX_DELAY_S,
            first_at_once=True,
        )
        if engine.lifecycle.state in {State.NEW, State.ENDED}:
            self._outbox.begin(0, keeps=False)
            self._turns.begin()
            self._agora.begin()
            self._reporter.begin()
            tell_begun(self)
        try:
            await engine.start(retry, config.max_retry_attempts)
        except AvatarwireError as exc:
            if engine.is_given_up:
                raise ConnectionError(
                    "connecting was given up: disconnect() was called, or another connect()"
                    " cancelled"
                ) from None
            raise retry_error(attempts, exc, self._dialect, is_first=not is_restoring) from exc

    async def disconnect(self) -> None:
        """End the session: say goodbye, wait for its ack, close. Safe to call twice, and anywhere.

        ``on_disconnected`` has run when it returns.
        """
        await self._engine.stop()

    async def start(self) -> None:
        """Do what ``connect`` does."""
        await self.connect()

    async def stop(self) -> None:
        """Do what ``disconnect`` does."""
        await self.disconnect()

    async def wait_closed(self) -> None:
        """Wait until the session has ended, whoever ended it; at once when there is none."""
        await self._engine.wait_closed()

    async def set_agora_params(
        self,
        agora_app_id: str,
        agora_channel: str,
        agora_token: str,
        agora_uid: str | int,
        voice_id: str | None = None,
        language: str = "en",
        background_url: str | None = None,
    ) -> None:
        """Say where the avatar appears; return when it is there. Needed before any audio.

        Args:
            agora_app_id: the Agora application.
            agora_channel: the Agora channel.
            agora_token: the Agora RTC token.
            agora_uid: the avatar's Agora user id.
            voice_id: another voice than the avatar's own.
            language: a language code.
            background_url: an image or video behind the avatar.

        Raises:
            ConnectionError: not connected.
            AudioStreamError: an argument of a wrong type, the platform's refusal (its number is in
                ``code``), or no confirmation in time.
        """
        agora_token = as_secret(agora_token)
        params = checked_params(
            agora_app_id,
            agora_channel,
            agora_token,
            agora_uid,
            voice_id,
            language,
            background_url,
        )
        await self._agora.set(params)

    async def send_audio(self, audio_data: "Buffer") -> None:
        """Send sound as one message, in one write, at once and unpaced.

        It waits only while the connection's write buffer is full.

        Args:
            audio_data: 16-bit little-endian samples, 16 kHz mono; any contiguous buffer.

        Raises:
            ConnectionError: not connected.
            AudioStreamError: empty, not whole samples, or of another type; nothing was sent.
            RuntimeError: an audio stream is open.
        """
        self._require_open()
        self._turns.require_none("send_audio")
        checked_size_bytes(audio_data)
        self._turns.look_at(audio_data)
        try:
            if not self._outbox.write_text(self._wire.audio(audio_data)):
                await self._outbox.writable()
        except AvatarwireError as exc:
            raise self._dialect.named(exc) from exc

    async def send_audio_stream(
        self, audio_chunks: "Iterable[Buffer] | AsyncIterable[Buffer]", *, paced: bool = False
    ) -> int:
        """Send sound as it comes: one message a chunk at once, or paced, as one audio stream.

        Chunks may be of any size: a sample that two of them share is put together, an empty one is
        passed over. ``interrupt()`` ends it before its next chunk, and drops what is queued.

        Args:
            audio_chunks: what ``send_audio`` takes, as an iterable or an async iterable.
            paced: in time, as ``audio_stream()`` with its defaults; a chunk is taken when there is
                room for it.

        Returns:
            How many bytes of sound were sent.

        Raises:
            ConnectionError: not, or no longer, connected.
            AudioStreamError: not an iterable of sound, or half a sample at its end; what came
                before is sent.
            RuntimeError: an audio stream is open.
        """
        chunks = whole_samples(audio_chunks)
        try:
            if paced:
                return await self._turns.send_paced(self.audio_stream(), chunks)
            return await self._turns.send_unpaced(chunks)
        finally:
            await chunks.aclose()

    def audio_stream(
        self,
        *,
        sample_rate: int = 16000,
        channels: int = 1,
        frame_ms: int = 64,
        lead_ms: float = 400,
        batch_ms: float = 200,
        buffer_ms: float = 2000,
        paced: bool = True,
        late: Literal["play", "skip"] = "play",
        on_started: Callable[[], object] | None = None,
        on_mark: Callable[[str], object] | None = None,
        on_progress: Callable[[Progress], object] | None = None,
        on_underrun: Callable[[float], object] | None = None,
    ) -> AudioStream:
        """Make one turn of speech: paced, interruptible, accounted for.

        Example::

            async with client.audio_stream(sample_rate=24000) as stream:
                async for pcm in synthesiser:
                    await stream.write(pcm)
            playout = await stream.wait_playout()

        One may be open at a time, ``send_audio`` waits for its end, and entering it raises
        RuntimeError while another is open and ConnectionError while not connected. The platform
        does not tell when it has played something: "completed" is by the clock, and sound that is
        begun before the last turn's end is heard after it. A lost connection ends the turn as
        "lost", with ``reconnect`` too. Another rate than 16 kHz, and stereo, is converted, which
        takes the ``audio`` extra.

        The platform's interrupt stops all that plays, and knows no ``scope``. The flat wire form
        has none: there ``stream.interrupt()`` drops what is queued, then raises AudioStreamError
        (not with ``notify=False``), and up to ``lead_ms`` more is heard than ``played_ms`` says.

        Args:
            sample_rate: of what will be written, in Hz.
            channels: of what will be written: 1, or 2 with interleaved samples.
            frame_ms: milliseconds of sound in a message.
            lead_ms: how much sound may be ahead of playout: room for a slow network or event loop.
            batch_ms: how much is written at a time.
            buffer_ms: how much may be queued before ``write`` waits.
            paced: False: as fast as the connection takes it.
            late: what becomes of sound that the connection has held up until its time had passed:
                ``"play"``: it is heard later, and all that follows; ``"skip"``: it is dropped.
            on_started: called when the turn begins to be heard: as its first sound is sent.
            on_mark: called with the name of each mark when the listener has passed it.
            on_progress: called with each run of sound that was heard, so that it can no longer be
                taken back: a ``Progress``, some time after it and in order.
            on_underrun: called while the sound has run out at the listener, with the milliseconds
                of that so far; five times a second at the most.

        Raises:
            TypeError, ValueError: an argument that cannot work.
            MissingExtraError: the sound has to be converted and the extra is not installed.
        """
        timing = Timing(
            frame_ms=frame_ms,
            lead_ms=lead_ms,
            batch_ms=batch_ms,
            buffer_ms=buffer_ms,
            paced=paced,
            late=late,
        )
        callbacks = Callbacks(on_started, on_mark, on_progress, on_underrun)
        return self._turns.new_stream(PcmFormat(sample_rate, channels), timing, callbacks)

    async def interrupt(self) -> None:
        """Stop what the avatar says; what is queued here is dropped first.

        Raises:
            ConnectionError: not connected, the platform's refusal, or no ack in time.
            AudioStreamError: the flat wire form has no interrupt; what is queued is dropped all
                the same.
        """
        self._require_open()
        if not isinstance(self._wire, EnvelopeWire):
            self._turns.drop_queued()
            raise AudioStreamError(NO_INTERRUPT)
        self._turns.interrupted()
        await self._acks.call(self._wire.interrupt(), self._config.message_timeout)

    # Helpers

    def _require_open(self) -> None:
        if not self._engine.is_connected:
            raise ConnectionError("not connected: await connect() first")

    def _fail_connection(self, code: int, reason: str) -> None:
        self._engine.fail_connection(code, reason)

    def _lost(self) -> AkoolStreamingAvatarError:
        """Return why there is no connection any more."""
        end = self._engine.lifecycle.end
        return self._dialect.named(SessionLostError() if end is None else end.error)

    def _not_restored(self, error: AkoolStreamingAvatarError) -> None:
        logger.warning("session %s: not restored: %s", self.session_id, error)
        self._reporter.tell("on_error", error)


class AsyncStreamingAvatarClient(StreamingAvatarClient):
    """The same client as an async context manager: connected inside, disconnected after."""

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.disconnect()


async def create_client(
    api_key: str,
    avatar_id: str,
    discovery_url: str = DISCOVERY_URL,
    env: str = "test",
    server_url: str | None = None,
    **settings: Any,  # noqa: ANN401 - as StreamingAvatarClient's
) -> StreamingAvatarClient:
    """Make a client and connect it; the arguments, and what is raised, are the client's."""
    api_key = as_secret(api_key)
    client = StreamingAvatarClient(
        api_key, avatar_id, discovery_url, env=env, server_url=server_url, **settings
    )
    await client.connect()
    return client
