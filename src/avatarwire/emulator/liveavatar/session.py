"""One session on the emulated Live Avatar platform: its messages, its user, its avatar."""

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from avatarwire.audio import PcmFormat
from avatarwire.codec import AudioFrame, ExternalAudioFrame, FrameType, ImageFrame, frame_type
from avatarwire.emulator.liveavatar.faults import Faults
from avatarwire.emulator.liveavatar.message_faults import Fault, MessageFaults
from avatarwire.emulator.liveavatar.microphone import Microphone
from avatarwire.emulator.liveavatar.player import Player, Turn
from avatarwire.emulator.liveavatar.response_states import ResponseStates
from avatarwire.emulator.liveavatar.user import User
from avatarwire.emulator.recorded_session import RecordedSession
from avatarwire.emulator.transcript import printable
from avatarwire.liveavatar.messages import Event, MessageBuilder, SessionState, decode, encode
from avatarwire.liveavatar.wording import wording_of
from avatarwire.recording import Wording

__all__ = ["LiveSession"]

BINARY_LIMIT_BYTES = 65_536
# After these the platform takes the session as over; after any other it waits for a reconnect.
FINAL_CODES = frozenset({1000, 1002, 1008})
STOPPED_POLL_S = 0.05
PING = bytes(125)
#: How often pings leave, however many they are.
PING_INTERVAL_S = 0.01
#: How a turn ended, in the words of a ``Playout``.
_REASONS = {"finished": "completed", "unfinished": "lost", "cancelled": "interrupted"}
#: Ten seconds of the user's voice.
MOST_WAITING = 250
STATE_EVENTS = frozenset({"session.state", "response.state"})


@dataclass(slots=True)
class _Outgoing:
    data: str | bytes
    label: str  # for the log, which shows no payload; empty: not worth a line
    written: asyncio.Future[bool] | None = None
    posted_s: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    def resolve(self, *, delivered: bool) -> None:
        """Tell the sender, unless it no longer waits and has cancelled the future."""
        if self.written is not None and not self.written.done():
            self.written.set_result(delivered)


class LiveSession(RecordedSession[Faults]):
    """A session as the platform sees it; it lives on across reconnects.

    Everything is kept for the tests to look at, sound included: memory grows by some 50 KB for
    each second of 24 kHz speech received, twice (transcript and turns).

    Attributes:
        session_id: the id given at the start.
        transcript: all messages, in order.
        events: the text events received, in order.
        images: the image frames received.
        external_frames: the frames of accompaniment received.
        start_requests: the JSON bodies of its ``/v1/session/start``, one more for each restart.
        stop_requests: how many ``/v1/session/stop`` named it.
        sandbox: the first start carried ``X-Env-Sandbox: true``.
        bad_frames: binary messages that were no frame this platform knows.
        unsent_frames: frames of the user's voice that were dropped since ten seconds waited.
        closed: code of the last close; None while connected and before the first connection.
            1006 for a connection that was cut.
        ended: the session cannot be resumed.
    """

    def __init__(
        self,
        session_id: str,
        *,
        greeting: str | None = None,
        user: User,
        sandbox: bool = False,
    ) -> None:
        super().__init__(session_id)
        self.events: list[Event] = []
        self.images: list[ImageFrame] = []
        self.external_frames: list[ExternalAudioFrame] = []
        self.start_requests: list[dict[str, Any]] = []
        self.stop_requests = 0
        self.sandbox = sandbox
        self.bad_frames: int = 0
        self.unsent_frames: int = 0
        self.ended: bool = False
        self._greeting = greeting
        self._user = user
        self._outbox: asyncio.Queue[_Outgoing] = asyncio.Queue()
        self._state_seq = 0
        self._greeted = False
        self._speaker: asyncio.Task[None] | None = None
        self._states = ResponseStates(session_id, self._post_event)
        self._player = Player(
            asyncio.get_running_loop(),
            self._show_state,
            self._end_turn,
            self._begin_turn,
            self._play,
        )

    def __repr__(self) -> str:
        return f"<LiveSession {self.session_id} {self.state.value} closed={self.closed}>"

    @property
    def state(self) -> SessionState:
        """What the avatar is doing."""
        return self._player.state

    @property
    def turns(self) -> Sequence[Turn]:
        """What the avatar was given to say, in order."""
        return self._player.turns

    @property
    def pcm(self) -> bytes:
        """All PCM received, header bytes removed, in the order of arrival."""
        return b"".join(pcm for _, pcm in self._player.runs)

    @property
    def audio_runs(self) -> list[tuple[PcmFormat, bytes]]:
        """The same, split wherever the format changed."""
        return [(format_, bytes(pcm)) for format_, pcm in self._player.runs]

    async def send_text(self, text: str, request_id: str | None = None) -> str:
        """Send ``input.text`` as if the user had typed ``text``; return its request id."""
        request_id = request_id or str(uuid.uuid4())
        await self.send_event(MessageBuilder.input_text(request_id, text))
        return request_id

    async def send_event(self, event: Event) -> None:
        """Send any event; return once it is written.

        Raises:
            ConnectionError: the client is not connected.
        """
        await self._send(encode(event).decode(), _label(event))
        if event.get("event") == "input.text":
            self._player.think()

    def interrupt(self) -> None:
        """Let the user interrupt the avatar: what was playing is cleared, and the client is told.

        It is told as by a platform that heard the user say a word, and nothing after it.
        """
        request_id = str(uuid.uuid4())
        self._post_event(MessageBuilder.input_voice_start(request_id))
        self._player.listen()
        self._post_event(MessageBuilder.control_interrupt())
        self._post_event(MessageBuilder.input_voice_finish(request_id))
        self._player.unheard()

    def open_microphone(self) -> Microphone:
        """Return the user's microphone: what it is given goes to the client, in frames."""
        return Microphone(self._post_event, self._post_frame, self._player)

    async def send_response_state(
        self,
        response_id: str,
        state: str,
        reason: str | None = None,
        *,
        request_id: str | None = None,
        seq: int | None = None,
    ) -> None:
        """Send a ``response.state`` of any content; return once it is written.

        Args:
            response_id: the response that it is about.
            state: ACCEPTED, REJECTED, FINISHED, or one that nobody knows yet.
            reason: why; None leaves it out.
            request_id: by default that of the turn of that id.
            seq: the next number by default; any other puts it out of its order.

        Raises:
            ConnectionError: the client is not connected.
        """
        if request_id is None:
            named = [turn.request_id for turn in self.turns if turn.response_id == response_id]
            request_id = named[-1] if named else ""
        await self.send_event(self._states.event(request_id, response_id, state, reason, seq))

    async def send_raw_text(self, text: str) -> None:
        """Send a text message that need not be an event; return once it is written.

        Raises:
            ConnectionError: the client is not connected.
        """
        await self._send(text, "raw text")

    async def send_binary(self, message: bytes) -> None:
        """Send a binary message as it is; return once it is written.

        Raises:
            ConnectionError: the client is not connected.
        """
        await self._send(bytes(message), "binary")

    async def wait_for(self, event_name: str, timeout_s: float = 5.0) -> Event:
        """Return the next event of that name that no earlier ``wait_for`` has given.

        Raises:
            TimeoutError: none came; the text names what did.
        """
        return await self._next_named(event_name, self.events, _name, timeout_s)

    def wording(self) -> Wording:
        """Return how the session's messages are read: what a recorder asks for."""
        return wording_of("platform")

    def dispose(self) -> None:
        """Stop the avatar's clock; the emulator calls this at its end."""
        self._player.stop()

    async def _converse(self, socket: web.WebSocketResponse, faults: Faults) -> None:
        self._states.faults = faults
        self._outbox = asyncio.Queue()
        message_faults = MessageFaults(faults)
        writers = [asyncio.create_task(self._write(socket, message_faults))]
        if faults.pings_per_s:
            writers.append(asyncio.create_task(_ping(socket, faults.pings_per_s)))
        try:
            if not faults.withhold_init:
                user_id = f"user-{self.session_id[:8]}"
                self._post_event(MessageBuilder.session_init(self.session_id, user_id))
            while (data := await self._next(socket)) is not None:
                if isinstance(data, str):
                    self._note("received", data)
                    await self._on_text(data)
                elif len(data) > BINARY_LIMIT_BYTES:
                    await self.close(1009, f"a binary message is over {BINARY_LIMIT_BYTES} bytes")
                    continue
                else:
                    self._note("received", data)
                    self._on_binary(data)
                await self._go_wrong(message_faults.after_receiving(data), socket, faults)
        finally:
            for writer in writers:
                writer.cancel()
            if self._speaker is not None:
                self._speaker.cancel()

    def _on_closed(self, code: int, *, replaced: bool) -> None:
        while not self._outbox.empty():
            self._outbox.get_nowait().resolve(delivered=False)
        self.ended = self.ended or (code in FINAL_CODES and not replaced)
        if self.ended:
            self._player.stop()

    async def _go_wrong(
        self, fault: Fault | None, socket: web.WebSocketResponse, faults: Faults
    ) -> None:
        match fault:
            case "cut":
                self.cut()
            case "close":
                await self.close(faults.close_code, "fault on demand")
            case "stop reading":
                # A peer's end goes unnoticed while its bytes wait here: a newer connection, or the
                # emulator's end, closes this one.
                while not socket.closed and self._is_peer_there():
                    await asyncio.sleep(STOPPED_POLL_S)
                    if faults.stop_reading_after is None:
                        break

    def _is_peer_there(self) -> bool:
        return self._request is not None and self._request.transport is not None

    async def _on_text(self, data: str) -> None:
        try:
            event = decode(data)
        except ValueError:
            await self.close(1002, "not a JSON event")
            return
        name = _name(event)
        self.events.append(event)
        self._log("received %s", printable(name))
        if not self._states.rejects(event):
            self._player.event(event)
        self._news.set()
        if name == "session.ready":
            self._open_scene()
        elif name == "session.stop":
            self.ended = True
            await self.close(1000)

    def _open_scene(self) -> None:
        self._post_event(MessageBuilder.scene_ready())
        self._send_state(self.state)
        if self._greeted:
            return
        self._greeted = True
        if self._greeting is not None:
            self._post_event(MessageBuilder.input_text(str(uuid.uuid4()), self._greeting))
            self._player.think()
        speech = self._user.speech(self._post_event, self._post_frame, self._player)
        if speech is not None:
            self._speaker = asyncio.ensure_future(speech)

    def _on_binary(self, data: bytes) -> None:
        try:
            kind = frame_type(data)
            if kind is FrameType.AUDIO:
                self._player.audio(AudioFrame.unpack(data))
            elif kind is FrameType.IMAGE:
                self.images.append(ImageFrame.unpack(data))
            elif kind is FrameType.EXTERNAL:
                self.external_frames.append(ExternalAudioFrame.unpack(data))
            elif kind is None:
                self._bad_frame("unknown frame type")
        except ValueError as exc:
            self._bad_frame(str(exc))
        self._news.set()

    def _bad_frame(self, why: str) -> None:
        self.bad_frames += 1
        if self.bad_frames == 1:
            self._log("received a binary message that is no frame: %s (said once)", why)

    def _send_state(self, state: SessionState) -> None:
        self._state_seq += 1
        now_ms = time.time_ns() // 1_000_000
        self._post_event(MessageBuilder.session_state(state.value, self._state_seq, now_ms))

    async def _send(self, data: str | bytes, label: str) -> None:
        written = asyncio.get_running_loop().create_future()
        self._post(_Outgoing(data, label, written))
        if not await written:
            raise ConnectionError(f"session {self.session_id} is not connected")

    def _post_event(self, event: Event) -> None:
        self._post(_Outgoing(encode(event).decode(), _label(event)))

    def _post_frame(self, frame: bytes) -> None:
        """Queue a piece of the user's voice, unless the client takes none."""
        if self._outbox.qsize() >= MOST_WAITING:
            if self.unsent_frames == 0:
                self._log("takes nothing in: the user's voice is dropped, and counted")
            self.unsent_frames += 1
            return
        self._post(_Outgoing(frame, ""))

    def _post(self, message: _Outgoing) -> None:
        """Queue a message; one writer keeps them in order, whoever sends."""
        if self._socket is None:
            message.resolve(delivered=False)
        else:
            self._outbox.put_nowait(message)

    async def _write(self, socket: web.WebSocketResponse, faults: MessageFaults) -> None:
        while True:
            message = await self._outbox.get()
            delivered = False
            try:
                await faults.delay(message.posted_s)
                for data in faults.in_place_of(message.data):
                    if isinstance(data, str):
                        await socket.send_str(data)
                    else:
                        await socket.send_bytes(data)
                    self._note("sent", data)
                delivered = True
            except ConnectionError:
                continue  # the reader sees the end of the connection too, and ends this task
            finally:
                message.resolve(delivered=delivered)
            if message.label:
                self._log("sent %s", message.label)

    def _show_state(self, state: SessionState) -> None:
        self._live("state", {"state": state.value})
        self._send_state(state)

    def _begin_turn(self, turn: Turn) -> None:
        self._show_turn(turn.response_id, "opened", {"request_id": turn.request_id})
        self._states.begun(turn)

    def _play(self, turn: Turn, pcm: bytes, format_: PcmFormat, at_s: float) -> None:
        if turn.frames == 0:
            self._show_turn(turn.response_id, "started", {})
        self._show_sound(turn.response_id, pcm, format_, at_s)

    def _end_turn(self, turn: Turn) -> None:
        self._states.ended(turn)
        if turn.outcome != "finished":
            self._show_silence(turn.response_id, turn.ended_at_s)
        facts = {
            "reason": _REASONS.get(turn.outcome, turn.outcome),
            "underruns": turn.underruns,
            "underrun_ms": turn.underrun_ms,
            "stale_frames": turn.stale_frames,
        }
        self._show_turn(turn.response_id, "ended", facts)
        if turn.format is not None:
            seconds = turn.format.ms(len(turn.pcm)) / 1000
            what = f"{turn.frames} frames, {seconds:.2f} s of {turn.format}"
            if turn.underruns:
                what += f", {turn.underruns} underruns of {turn.underrun_ms:.0f} ms in all"
        else:
            what = f"{len(turn.text)} characters"
        self._log("%s turn %s: %s", turn.kind, turn.outcome, what)


async def _ping(socket: web.WebSocketResponse, per_s: int) -> None:
    """Send pings until the connection ends, evenly and however late the loop is."""
    begun_s, count = time.monotonic(), 0
    try:
        while not socket.closed:
            due = int((time.monotonic() - begun_s) * per_s) + 1
            for _ in range(due - count):
                await socket.ping(PING)
            count = due
            await asyncio.sleep(PING_INTERVAL_S)
    except ConnectionError:
        pass  # the reader sees the end of the connection too


def _label(event: Event) -> str:
    """Return what the log says of an event: its name, and which state."""
    name = printable(str(event.get("event")))
    data = event.get("data")
    state = data.get("state") if isinstance(data, dict) else None
    return f"{name} {printable(state)}" if name in STATE_EVENTS and isinstance(state, str) else name


def _name(event: Event) -> str:
    name: str = event["event"]
    return name
