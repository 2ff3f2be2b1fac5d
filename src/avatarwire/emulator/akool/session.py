"""One session on the emulated Akool platform: its messages, and what it was told."""

import asyncio
import itertools
import re
from dataclasses import replace
from typing import Any

from aiohttp import web
from pybase64 import b64decode

from avatarwire import _json
from avatarwire.akool.messages import decode
from avatarwire.akool.wording import wording_of
from avatarwire.audio import PcmFormat
from avatarwire.emulator.akool.faults import AkoolFaults
from avatarwire.emulator.recorded_session import RecordedSession
from avatarwire.emulator.server import is_same_key
from avatarwire.emulator.transcript import Entry, printable
from avatarwire.recording import Wording

__all__ = ["AkoolSession", "kind_of"]

FORMAT = PcmFormat(16000, 1)
#: What is played is called so: Akool has no names for turns.
VOICE = "voice"
BAD_REQUEST = 4000
BAD_KEY = 4001
#: Agora's, in the parameters, and in the flat form the API key.
#: What a platform calls a token: token, rtcToken, agora_token, authToken …
TOKEN = re.compile(r'("[^"\\]*token"\s*:\s*)"(?:[^"\\]|\\.)*"', re.IGNORECASE)

Json = dict[str, Any]


def kind_of(message: Json) -> str:
    """Return what a message is about: its command or event, else its type."""
    payload = message.get("pld")
    if isinstance(payload, dict) and message["type"] in {"command", "event"}:
        name = payload.get("cmd" if message["type"] == "command" else "event")
        if isinstance(name, str):
            return name
    kind: str = message["type"]
    return kind


class AkoolSession(RecordedSession[AkoolFaults]):
    """A session as the platform sees it; it lives on across reconnects.

    Everything is kept for the tests to look at, sound included: memory grows by some 75 KB for each
    second of speech received.

    Attributes:
        session_id: the id that the client gave.
        avatar_id: the avatar that it asked for.
        transcript: all messages, in order.
        messages: the messages received, decoded, in order.
        connections: how many times it has connected.
        pcm: all sound received, decoded.
        bad_messages: messages that were no message of this platform.
        left: the reason that the client gave when it left; None until then.
        closed: code of the last close; None while connected. 1006 for a connection that was cut.
    """

    def __init__(self, session_id: str, avatar_id: str, api_key: str | None = None) -> None:
        super().__init__(session_id)
        self.avatar_id = avatar_id
        self.messages: list[Json] = []
        self.connections: int = 0
        self.pcm: bytearray = bytearray()
        self.bad_messages: int = 0
        self.left: str | None = None
        self._api_key = api_key
        self._faults = AkoolFaults()
        self._mids = itertools.count(1)
        self._played_at_s = 0.0

    def __repr__(self) -> str:
        return f"<AkoolSession {self.session_id} closed={self.closed}>"

    @property
    def audio_runs(self) -> list[tuple[PcmFormat, bytes]]:
        """The sound received, with its format; empty when there was none."""
        return [(FORMAT, bytes(self.pcm))] if self.pcm else []

    async def send(self, kind: str, payload: Json) -> None:
        """Send a message of any type; return once it is written.

        Raises:
            ConnectionError: the client is not connected.
        """
        mid = f"{kind}-{next(self._mids)}"
        await self.send_raw(
            _json.dumps({"v": 2, "type": kind, "mid": mid, "pld": payload}).decode()
        )

    async def send_error(self, code: int, text: str, original_mid: str | None = None) -> None:
        """Send an error, with the mid that it is about if there is one.

        Raises:
            ConnectionError: the client is not connected.
        """
        payload: Json = {"error_code": code, "error_message": text}
        if original_mid is not None:
            payload["original_mid"] = original_mid
        await self.send("error", payload)
        self._log("sent error %d", code)

    async def send_raw(self, message: str | bytes) -> None:
        """Send a message that need not be one of the protocol; return once it is written.

        Raises:
            ConnectionError: the client is not connected.
        """
        if self._socket is None:
            raise ConnectionError(f"session {self.session_id} is not connected")
        if isinstance(message, str):
            await self._socket.send_str(message)
        else:
            await self._socket.send_bytes(message)
        self._note("sent", message)

    async def wait_for(self, kind: str, timeout_s: float = 5.0) -> Json:
        """Return the next message of that kind that no earlier ``wait_for`` has given.

        Raises:
            TimeoutError: none came; the text names what did.
        """
        return await self._next_named(kind, self.messages, kind_of, timeout_s)

    def wording(self) -> Wording:
        """Return how the session's messages are read: what a recorder asks for."""
        key = self._api_key
        return wording_of(
            "platform", None, lambda words: words.replace(key, "***") if key else words
        )

    async def _converse(self, socket: web.WebSocketResponse, faults: AkoolFaults) -> None:
        self._faults = faults
        self.connections += 1
        await self._system("websocket_connected")
        count = 0
        while (data := await self._next(socket)) is not None:
            self._note("received", data)
            if isinstance(data, str):
                await self._on_text(data)
            else:
                await self._on_bad("binary messages are not part of the protocol")
            count += 1
            if count == faults.close_after_messages:
                await self.close(faults.close_code, "fault on demand")

    def _on_closed(self, code: int, *, replaced: bool) -> None:  # noqa: ARG002 - it goes on anyhow
        self._log("heard %.2f s of sound", FORMAT.ms(len(self.pcm)) / 1000)

    def _as_written_down(self, entry: Entry) -> Entry:
        # A token gives access to a call, and a recording is kept, and handed on.
        if isinstance(entry.data, bytes):
            return entry
        return replace(entry, data=TOKEN.sub(r'\1"***"', entry.data))

    async def _on_text(self, data: str) -> None:
        try:
            message = decode(data)
        except ValueError as exc:
            await self._on_bad(f"not a message: {exc}")
            return
        self.messages.append(message)
        kind = kind_of(message)
        if kind not in {"chat", "audio_data", "ping"}:
            self._log("received %s", printable(kind))
        mid = message.get("mid")
        mid = mid if isinstance(mid, str) else None
        if kind in self._faults.errors:
            named = mid if self._faults.errors_name_mid else None
            await self.send_error(*self._faults.errors[kind], named)
        else:
            await self._answer(kind, message, mid)
        self._news.set()

    async def _answer(self, kind: str, message: Json, mid: str | None) -> None:
        match kind, message:
            case "set-params", {"pld": {"metadata": {"agora_data": {"channel_id": str(channel)}}}}:
                await self._ack(mid)
                await self._system("agora_connected", channel_id=channel)
            case "agora_params", {"data": {"channel": str(channel)}}:
                await self._system("agora_connected", channel_id=channel)
            case ("chat", {"pld": {"audio": str(audio)}}) | ("audio_data", {"data": str(audio)}):
                await self._on_audio(audio)
            case "interrupt", _:
                self._stop_playing()
                await self._ack(mid)
            case "leave_channel", {"pld": {"reason": str(reason)}}:
                self.left = reason
                await self._ack(mid)
            case "ping", _:
                await self._pong()
            case "auth", {"token": str(token)}:
                await self._on_auth(token)
            case _:
                await self._on_bad(f"not a message of this platform: {printable(kind)}")

    async def _on_audio(self, audio: str) -> None:
        try:
            pcm = b64decode(audio, validate=True)
        except ValueError:
            await self._on_bad("audio is not base64")
            return
        if not pcm or len(pcm) % 2:
            await self._on_bad(f"audio is not whole 16-bit samples: {len(pcm)} bytes")
            return
        self.pcm += pcm
        # What follows before the last has been played is played after it.
        at_s = max(asyncio.get_running_loop().time(), self._played_at_s)
        self._played_at_s = at_s + len(pcm) / FORMAT.bytes_per_second
        self._show_sound(VOICE, pcm, FORMAT, at_s)

    def _stop_playing(self) -> None:
        self._played_at_s = 0.0
        self._show_silence(VOICE, asyncio.get_running_loop().time())

    async def _on_auth(self, token: str) -> None:
        if self._api_key is not None and not is_same_key(token, self._api_key):
            await self.send_error(BAD_KEY, "Authentication failed")
            await self.close(BAD_KEY, "Authentication failed")

    async def _on_bad(self, why: str) -> None:
        self.bad_messages += 1
        await self.send_error(BAD_REQUEST, why)

    async def _ack(self, mid: str | None) -> None:
        if "ack" not in self._faults.withhold:
            await self.send("ack", {"original_mid": mid, "status": "success"})

    async def _pong(self) -> None:
        if "pong" not in self._faults.withhold:
            await self.send("pong", {})

    async def _system(self, status: str, **fields: str) -> None:
        if status not in self._faults.withhold:
            await self.send("system", {"status": status, **fields})
            self._log("sent %s", status)
