"""A client's session, whatever its platform: its connection, its transcript, its end."""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from aiohttp import WebSocketError, WSMsgType, web

from avatarwire.audio import PcmFormat
from avatarwire.emulator.slow_link import LinkTransport
from avatarwire.emulator.transcript import Entry, Recording, printable
from avatarwire.recording import Observer, Wording

__all__ = ["RecordedSession"]

log: logging.Logger = logging.getLogger("avatarwire.emulator")

NO_CODE = 1005
CUT = 1006
REPLACED = 1008
REPLACE_TIMEOUT_S = 5.0

FaultsT = TypeVar("FaultsT")
Message: TypeAlias = dict[str, Any]


class RecordedSession(ABC, Generic[FaultsT]):
    """A session as its platform sees it; it lives on across reconnects.

    Attributes:
        session_id: the id that the platform knows it by.
        transcript: all messages, in order.
        closed: code of the last close; None while connected and before the first connection.
            1006 for a connection that was cut.
    """

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.transcript: list[Entry] = []
        self.closed: int | None = None
        self._socket: web.WebSocketResponse | None = None
        self._request: web.Request | None = None
        self._our_code: int | None = None  # once the platform has ended the connection
        self._peers_code = CUT
        self._replaced: web.WebSocketResponse | None = None
        self._seen: dict[str, int] = {}  # how many messages a wait for that name has looked at
        self._news = asyncio.Event()
        self._recording: Recording | None = None
        self._observers: tuple[Observer, ...] = ()

    @property
    def is_connected(self) -> bool:
        """Whether a WebSocket is open now."""
        return self._socket is not None

    @property
    @abstractmethod
    def audio_runs(self) -> list[tuple[PcmFormat, bytes]]:
        """All sound received, in the order of arrival, split wherever its format changed."""

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Tell ``observer`` of messages, turns and connections; return what ends it.

        It is called on the event loop, and must not block.
        """
        self._observers = (*self._observers, observer)

        def end() -> None:
            self._observers = tuple(each for each in self._observers if each is not observer)

        return end

    @abstractmethod
    def wording(self) -> Wording:
        """Return how the session's messages are read: what a recorder asks for."""

    async def wait_closed(self, timeout_s: float = 5.0) -> int:
        """Wait for the connection's end and return its code.

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
            self._our_code = CUT
            self._request.transport.abort()

    def stall(self, duration_s: float) -> None:
        """Let nothing pass on the connection from now on, in either direction, for so long.

        Args:
            duration_s: in seconds.
        """
        if self._request is not None and isinstance(self._request.transport, LinkTransport):
            self._request.transport.stall(duration_s)

    async def serve(
        self, socket: web.WebSocketResponse, request: web.Request, faults: FaultsT
    ) -> None:
        """Run one connection to its end, in place of an older one; the emulator calls this."""
        await self._replace()
        self._socket, self._request = socket, request
        self._our_code = self.closed = None
        self._peers_code = CUT
        self._log("connected")
        self._live("connected", {})
        try:
            await self._converse(socket, faults)
        except ConnectionError:
            pass  # it went while we answered
        finally:
            self._socket = self._request = None
            self.closed = self._peers_code if self._our_code is None else self._our_code
            self._on_closed(self.closed, replaced=self._replaced is socket)
            self._log("closed with code %d", self.closed)
            self._live("ended", {"code": self.closed})
            self._news.set()

    async def record(self, directory: Path) -> None:
        """Write down what has been received and sent so far; the emulator calls this."""
        if self._recording is None:
            self._recording = Recording(directory, self.session_id)
        entries = [self._as_written_down(entry) for entry in self.transcript]
        await asyncio.to_thread(self._recording.write, self.audio_runs, entries)

    @abstractmethod
    async def _converse(self, socket: web.WebSocketResponse, faults: FaultsT) -> None:
        """Talk with the client until ``_next`` says that the connection has ended."""

    def _on_closed(self, code: int, *, replaced: bool) -> None:
        """Do what a connection's end means for the session."""

    def _as_written_down(self, entry: Entry) -> Entry:
        """Return a message as a recording shows it."""
        return entry

    async def _replace(self) -> None:
        async with asyncio.timeout(REPLACE_TIMEOUT_S):
            # Whoever else waits here may be the first to connect; then it is replaced in turn.
            while self._socket is not None:
                older = self._replaced = self._socket
                await self.close(REPLACED, "replaced by a newer connection")
                while self._socket is older:
                    await self._wait_for_news()

    async def _next(self, socket: web.WebSocketResponse) -> str | bytes | None:
        """Wait for the client's next message; None once the connection has ended."""
        message = await socket.receive()
        if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            data: str | bytes = message.data
            return data
        if message.type is WSMsgType.CLOSE:
            self._peers_code = message.data or NO_CODE
        elif isinstance(message.data, WebSocketError):
            self._peers_code = message.data.code
        return None

    async def _next_named(
        self,
        name: str,
        messages: Sequence[Message],
        name_of: Callable[[Message], str],
        timeout_s: float,
    ) -> Message:
        """Return the next message of that name that no earlier call has returned.

        Raises:
            TimeoutError: none came; the text names what did.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    for index in range(self._seen.get(name, 0), len(messages)):
                        self._seen[name] = index + 1
                        if name_of(messages[index]) == name:
                            return messages[index]
                    await self._wait_for_news()
        except TimeoutError:
            names = ", ".join(name_of(message) for message in messages[-20:]) or "nothing"
            raise TimeoutError(f"no {name} in {timeout_s} s; received: {names}") from None

    def _note(self, direction: Literal["received", "sent"], data: str | bytes) -> None:
        kind: Literal["text", "binary"] = "text" if isinstance(data, str) else "binary"
        self.transcript.append(Entry(direction, kind, data, time.monotonic()))
        for observer in self._observers:
            observer.message(direction, kind, data)

    def _live(self, change: str, facts: Mapping[str, object]) -> None:
        for observer in self._observers:
            observer.life(change, facts)

    def _show_turn(self, turn_id: str, change: str, facts: Mapping[str, object]) -> None:
        for observer in self._observers:
            observer.turn(turn_id, change, facts)

    def _show_sound(self, turn_id: str, pcm: bytes, format_: PcmFormat, at_s: float) -> None:
        now_s = asyncio.get_running_loop().time()
        for observer in self._observers:
            observer.sound(turn_id, pcm, format_, at_s, now_s)

    def _show_silence(self, turn_id: str, now_s: float) -> None:
        for observer in self._observers:
            observer.silence(turn_id, now_s)

    async def _wait_for_news(self) -> None:
        self._news.clear()
        await self._news.wait()

    def _log(self, words: str, *values: object) -> None:
        log.info("%s " + words, printable(self.session_id[:8]), *values)  # noqa: G003 - a constant
