"""One session on the emulated Akool platform: its socket, its transcript, what it was told."""

import asyncio
import itertools
import logging
import secrets
import time
from typing import Any, Literal

from aiohttp import WebSocketError, WSMsgType, web
from pybase64 import b64decode

from avatarwire import _json
from avatarwire.akool.messages import decode
from avatarwire.audio import PcmFormat
from avatarwire.emulator.akool.faults import AkoolFaults
from avatarwire.emulator.server import printable
from avatarwire.emulator.transcript import Entry

__all__ = ["AkoolSession", "kind_of"]

log: logging.Logger = logging.getLogger("avatarwire.emulator")

FORMAT = PcmFormat(16000, 1)
BAD_REQUEST = 4000
BAD_KEY = 4001

Json = dict[str, Any]


def kind_of(message: Json) -> str:
    """Give what a message is about: its command or event, else its type."""
    payload = message.get("pld")
    if isinstance(payload, dict) and message["type"] in {"command", "event"}:
        name = payload.get("cmd" if message["type"] == "command" else "event")
        if isinstance(name, str):
            return name
    kind: str = message["type"]
    return kind


class AkoolSession:
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
        self.session_id = session_id
        self.avatar_id = avatar_id
        self.transcript: list[Entry] = []
        self.messages: list[Json] = []
        self.connections: int = 0
        self.pcm: bytearray = bytearray()
        self.bad_messages: int = 0
        self.left: str | None = None
        self.closed: int | None = None
        self._api_key = api_key
        self._socket: web.WebSocketResponse | None = None
        self._request: web.Request | None = None
        self._our_code: int | None = None
        self._faults = AkoolFaults()
        self._mids = itertools.count(1)
        self._seen: dict[str, int] = {}
        self._news = asyncio.Event()

    def __repr__(self) -> str:
        return f"<AkoolSession {self.session_id} closed={self.closed}>"

    @property
    def is_connected(self) -> bool:
        """Whether a WebSocket is open now."""
        return self._socket is not None

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
        """Give the next message of that kind that no earlier ``wait_for`` has given.

        Raises:
            TimeoutError: none came; the text names what did.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    for index in range(self._seen.get(kind, 0), len(self.messages)):
                        self._seen[kind] = index + 1
                        if kind_of(self.messages[index]) == kind:
                            return self.messages[index]
                    await self._wait_for_news()
        except TimeoutError:
            names = ", ".join(kind_of(message) for message in self.messages[-20:]) or "nothing"
            raise TimeoutError(f"no {kind} in {timeout_s} s; received: {names}") from None

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

    async def serve(
        self, socket: web.WebSocketResponse, request: web.Request, faults: AkoolFaults
    ) -> None:
        """Run one connection to its end; the emulator calls this."""
        if self._socket is not None:
            await self.close(1008, "replaced by a newer connection")
            await self.wait_closed()
        self._socket, self._request, self._faults = socket, request, faults
        self._our_code = self.closed = None
        self.connections += 1
        self._log("connected")
        code = 1006
        try:
            await self._system("websocket_connected")
            code = await self._receive(socket)
        except ConnectionError:
            pass  # it went while we answered
        finally:
            self._socket = self._request = None
            self.closed = code if self._our_code is None else self._our_code
            self._log("heard %.2f s of sound", FORMAT.ms(len(self.pcm)) / 1000)
            self._log("closed with code %d", self.closed)
            self._news.set()

    async def _receive(self, socket: web.WebSocketResponse) -> int:
        """Take messages until the connection ends; give the close code."""
        count = 0
        while True:
            message = await socket.receive()
            if message.type is WSMsgType.TEXT:
                self._note("received", message.data)
                await self._on_text(message.data)
            elif message.type is WSMsgType.BINARY:
                self._note("received", message.data)
                await self._on_bad("binary messages are not part of the protocol")
            elif message.type is WSMsgType.CLOSE:
                return message.data or 1005
            elif isinstance(message.data, WebSocketError):
                return message.data.code
            else:
                return 1006
            count += 1
            if count == self._faults.close_after_messages:
                await self.close(self._faults.close_code, "fault on demand")

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

    async def _on_auth(self, token: str) -> None:
        if self._api_key is not None and not secrets.compare_digest(
            token.encode(), self._api_key.encode()
        ):
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

    def _note(self, direction: Literal["received", "sent"], data: str | bytes) -> None:
        kind: Literal["text", "binary"] = "text" if isinstance(data, str) else "binary"
        self.transcript.append(Entry(direction, kind, data, time.monotonic()))

    async def _wait_for_news(self) -> None:
        self._news.clear()
        await self._news.wait()

    def _log(self, words: str, *values: object) -> None:
        log.info("%s " + words, printable(self.session_id[:8]), *values)  # noqa: G003 - a constant
