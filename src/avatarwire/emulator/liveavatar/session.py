"""One session on the emulated platform: its socket, its transcript, its avatar."""

import asyncio
import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import WebSocketError, WSMsgType, web

from avatarwire.audio import PcmFormat
from avatarwire.codec import AudioFrame, ExternalAudioFrame, FrameType, ImageFrame, frame_type
from avatarwire.emulator.liveavatar.faults import Faults
from avatarwire.emulator.liveavatar.message_faults import Mischief, Misdeed
from avatarwire.emulator.liveavatar.player import Player, Turn
from avatarwire.emulator.liveavatar.response_states import ResponseStates
from avatarwire.emulator.liveavatar.user import User
from avatarwire.emulator.server import printable
from avatarwire.emulator.transcript import Entry
from avatarwire.liveavatar.messages import Event, MessageBuilder, SessionState, decode, encode

__all__ = ["LiveSession"]

log: logging.Logger = logging.getLogger("avatarwire.emulator")

BINARY_LIMIT_BYTES = 65_536
# After these the platform takes the session as over; after any other it waits for a reconnect.
FINAL_CODES = frozenset({1000, 1002, 1008})
STOPPED_POLL_S = 0.05
STATE_EVENTS = frozenset({"session.state", "response.state"})


@dataclass(slots=True)
class _Letter:
    data: str | bytes
    label: str  # for the log, which shows no payload; empty: not worth a line
    written: asyncio.Future[bool] | None = None
    posted_s: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    def resolve(self, *, delivered: bool) -> None:
        """Tell the sender; one that no longer waits has cancelled the future."""
        if self.written is not None and not self.written.done():
            self.written.set_result(delivered)


class LiveSession:
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
        self.session_id = session_id
        self.transcript: list[Entry] = []
        self.events: list[Event] = []
        self.images: list[ImageFrame] = []
        self.external_frames: list[ExternalAudioFrame] = []
        self.start_requests: list[dict[str, Any]] = []
        self.stop_requests = 0
        self.sandbox = sandbox
        self.bad_frames: int = 0
        self.closed: int | None = None
        self.ended: bool = False
        self._greeting = greeting
        self._user = user
        self._socket: web.WebSocketResponse | None = None
        self._request: web.Request | None = None
        self._outbox: asyncio.Queue[_Letter] = asyncio.Queue()
        self._our_code: int | None = None
        self._replacing = False
        self._state_seq = 0
        self._greeted = False
        self._speaker: asyncio.Task[None] | None = None
        self._seen: dict[str, int] = {}
        self._news = asyncio.Event()
        self._states = ResponseStates(session_id, self._post_event)
        self._player = Player(
            asyncio.get_running_loop(), self._send_state, self._end_turn, self._states.begun
        )

    def __repr__(self) -> str:
        return f"<LiveSession {self.session_id} {self.state.value} closed={self.closed}>"

    @property
    def is_connected(self) -> bool:
        """Whether a WebSocket is open now."""
        return self._socket is not None

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
        """Send ``input.text`` as if the user had typed ``text``; give its request id."""
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
        """Give the next event of that name that no earlier ``wait_for`` has given.

        Raises:
            TimeoutError: none came; the text names what did.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    for index in range(self._seen.get(event_name, 0), len(self.events)):
                        self._seen[event_name] = index + 1
                        if self.events[index]["event"] == event_name:
                            return self.events[index]
                    await self._wait_for_news()
        except TimeoutError:
            names = ", ".join(event["event"] for event in self.events[-20:]) or "nothing"
            raise TimeoutError(f"no {event_name} in {timeout_s} s; received: {names}") from None

    async def wait_closed(self, timeout_s: float = 5.0) -> int:
        """Wait for the connection's end and give its code.

        Raises:
            TimeoutError: it is still open.
        """
        async with asyncio.timeout(timeout_s):
            while self.closed is None:
                await self._wait_for_news()
        return self.closed

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection from the platform's side."""
        if self._socket is not None:
            self._our_code = code
            await self._socket.close(code=code, message=reason.encode())

    def cut(self) -> None:
        """Drop the connection without a word, as a network does."""
        if self._request is not None and self._request.transport is not None:
            self._our_code = 1006
            self._request.transport.abort()

    def dispose(self) -> None:
        """Stop the avatar's clock; the emulator calls this at its end."""
        self._player.stop()

    async def serve(
        self, socket: web.WebSocketResponse, request: web.Request, faults: Faults
    ) -> None:
        """Run one connection to its end; the emulator calls this."""
        if self._socket is not None:
            self._replacing = True
            await self.close(1008, "replaced by a newer connection")
            await self.wait_closed()
            self._replacing = False
        self._socket, self._request, self._states.faults = socket, request, faults
        self._our_code = self.closed = None
        self._outbox = asyncio.Queue()
        mischief = Mischief(faults)
        writer = asyncio.create_task(self._write(socket, mischief))
        self._log("connected")
        code = 1006
        try:
            if not faults.withhold_init:
                user_id = f"user-{self.session_id[:8]}"
                self._post_event(MessageBuilder.session_init(self.session_id, user_id))
            code = await self._receive(socket, faults, mischief)
        finally:
            writer.cancel()
            if self._speaker is not None:
                self._speaker.cancel()
            self._socket = self._request = None
            while not self._outbox.empty():
                self._outbox.get_nowait().resolve(delivered=False)
            self.ended = self.ended or (code in FINAL_CODES and not self._replacing)
            if self.ended:
                self._player.stop()
            self.closed = code
            self._log("closed with code %d", code)
            self._news.set()

    async def _receive(
        self, socket: web.WebSocketResponse, faults: Faults, mischief: Mischief
    ) -> int:
        """Take messages until the connection ends; give the close code."""
        while True:
            try:
                message = await socket.receive()
            except ConnectionError:  # it went while a ping was answered
                return 1006 if self._our_code is None else self._our_code
            if message.type is WSMsgType.TEXT:
                self._note("received", message.data)
                await self._on_text(message.data)
            elif message.type is WSMsgType.BINARY:
                if len(message.data) > BINARY_LIMIT_BYTES:
                    await self.close(1009, f"a binary message is over {BINARY_LIMIT_BYTES} bytes")
                    continue
                self._note("received", message.data)
                self._on_binary(message.data)
            else:
                return self._end_code(message.type, message.data)
            await self._misbehave(mischief.after_receiving(message.data), socket, faults)

    async def _misbehave(
        self, misdeed: Misdeed | None, socket: web.WebSocketResponse, faults: Faults
    ) -> None:
        match misdeed:
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

    def _end_code(self, kind: WSMsgType, data: object) -> int:
        if self._our_code is not None:
            return self._our_code
        if kind is WSMsgType.CLOSE:
            return data if isinstance(data, int) and data else 1005
        if isinstance(data, WebSocketError):
            return data.code
        return 1006

    async def _on_text(self, data: str) -> None:
        try:
            event = decode(data)
        except ValueError:
            await self.close(1002, "not a JSON event")
            return
        name: str = event["event"]
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
        speech = self._user.speech(
            self._post_event, lambda frame: self._post(_Letter(frame, "")), self._player
        )
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
        self._post(_Letter(data, label, written))
        if not await written:
            raise ConnectionError(f"session {self.session_id} is not connected")

    def _post_event(self, event: Event) -> None:
        self._post(_Letter(encode(event).decode(), _label(event)))

    def _post(self, letter: _Letter) -> None:
        """Queue a message; one writer keeps them in order, whoever sends."""
        if self._socket is None:
            letter.resolve(delivered=False)
        else:
            self._outbox.put_nowait(letter)

    async def _write(self, socket: web.WebSocketResponse, mischief: Mischief) -> None:
        while True:
            letter = await self._outbox.get()
            delivered = False
            try:
                await mischief.delay(letter.posted_s)
                for message in mischief.in_place_of(letter.data):
                    if isinstance(message, str):
                        await socket.send_str(message)
                    else:
                        await socket.send_bytes(message)
                    self._note("sent", message)
                delivered = True
            except ConnectionError:
                continue  # the reader sees the end of the connection too, and ends this task
            finally:
                letter.resolve(delivered=delivered)
            if letter.label:
                self._log("sent %s", letter.label)

    def _note(self, direction: Literal["received", "sent"], data: str | bytes) -> None:
        kind: Literal["text", "binary"] = "text" if isinstance(data, str) else "binary"
        self.transcript.append(Entry(direction, kind, data, time.monotonic()))

    async def _wait_for_news(self) -> None:
        self._news.clear()
        await self._news.wait()

    def _end_turn(self, turn: Turn) -> None:
        self._states.ended(turn)
        if turn.format is not None:
            seconds = turn.format.ms(len(turn.pcm)) / 1000
            what = f"{turn.frames} frames, {seconds:.2f} s of {turn.format}"
            if turn.underruns:
                what += f", {turn.underruns} underruns of {turn.underrun_ms:.0f} ms in all"
        else:
            what = f"{len(turn.text)} characters"
        self._log("%s turn %s: %s", turn.kind, turn.outcome, what)

    def _log(self, words: str, *values: object) -> None:
        log.info("%s " + words, self.session_id[:8], *values)  # noqa: G003 - a constant


def _label(event: Event) -> str:
    """Give what the log says of an event: its name, and which state."""
    name = printable(str(event.get("event")))
    data = event.get("data")
    state = data.get("state") if isinstance(data, dict) else None
    return f"{name} {printable(state)}" if name in STATE_EVENTS and isinstance(state, str) else name
