"""What a connection receives, from read bytes to whole messages handed on, a bit at a time."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from websockets.frames import CloseCode, Frame, Opcode

from avatarwire.rfc6455 import MessageReader
from avatarwire.transport.connection import Listener

__all__ = ["STEP_S", "Incoming", "Parsing"]

STEP_S = 0.002
"""How long what has been read may take before the event loop turns to other things."""


class Parsing(Protocol):
    """Who has the parser for what is not one frame, one message."""

    def parse(self, data: bytes) -> Sequence[Frame]:
        """Parse received bytes, and answer them; return the frames of messages."""
        ...

    def refuse(self, code: CloseCode, reason: str) -> None:
        """Tell the peer that it broke a rule: nothing more is read."""


class Incoming:
    """Hands on messages in the order of their arrival, as soon as they have been read.

    What one read brought is handed on in one go, unless that takes longer than ``STEP_S``: then the
    event loop has its turn before the rest, and nothing further is read meanwhile. Nor is it while
    the consumer has paused, or while there is none: then one read is all that waits here.

    Args:
        owner: parses what the reader leaves, and is told of what is no text.
        transport: where reading is paused.
        max_message_bytes: the longest message; a longer one is the parser's to refuse.
    """

    __slots__ = (
        "_is_held_up",
        "_is_paused",
        "_is_text",
        "_listener",
        "_messages",
        "_owner",
        "_parts",
        "_reader",
        "_step",
        "_transport",
    )

    def __init__(
        self, owner: Parsing, transport: asyncio.ReadTransport, max_message_bytes: int
    ) -> None:
        self._owner = owner
        self._transport = transport
        self._reader = MessageReader(max_message_bytes)
        self._listener: Listener | None = None
        self._messages: list[str | bytes] | None = None
        self._parts: bytearray | None = None
        self._is_text = False
        self._is_paused = False
        self._is_held_up = False
        self._step: asyncio.Handle | None = None

    @property
    def is_held_up(self) -> bool:
        """Whether nothing is read at the moment."""
        return self._is_held_up

    def listen(self, listener: Listener) -> None:
        """Hand messages on from now, those first that have arrived."""
        self._listener = listener
        self._read()

    def pause(self) -> None:
        """Hand nothing on, and read nothing."""
        self._is_paused = True
        self._hold_up()

    def resume(self) -> None:
        """Go on, from the event loop: the caller may be in the middle of taking messages."""
        self._is_paused = False
        if self._is_held_up:
            self._read_soon()

    def take(self, data: bytes) -> None:
        """Take what has been read."""
        reader = self._reader
        reader.feed(data)
        if self._is_held_up:
            return
        found = reader.next()
        # Nearly every read is whole messages, and few of them: short is the way that they go.
        if type(found) is list and self._listener is not None and not reader.unread_bytes:
            self._listener.received(found)
        else:
            self._go_on(found)

    def give_up(self) -> None:
        """Take nothing more for a message: the parser listens no more."""
        self._reader.give_up()

    def finish(self) -> None:
        """Hand on all that has arrived, since nothing follows; without a consumer it waits."""
        if self._step is not None:
            self._step.cancel()
            self._step = None
        messages, self._messages = self._messages or [], None
        while (found := self._reader.next()) is not None:
            messages += found if isinstance(found, list) else self._parsed(found)
        if messages:
            if self._listener is None:
                self._messages = messages
            else:
                self._listener.received(messages)

    def let_go(self) -> None:
        """Let go of the owner, which holds this: nothing is parsed any more."""
        del self._owner

    def end(self) -> None:
        """Tell the end, and let go of who has been told; without a consumer it waits."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.ended()

    def _read(self) -> None:
        """Hand on what is here, until nothing is left, nobody wants it or the time is up."""
        self._step = None
        messages, self._messages = self._messages, None
        if messages is None or self._hand_on(messages):
            self._go_on(self._reader.next())

    def _go_on(self, found: list[str | bytes] | bytes | None) -> None:
        """Hand on what has been found, and what comes behind it."""
        until_s: float | None = None
        while found is not None:
            if not self._hand_on(found if isinstance(found, list) else self._parsed(found)):
                return
            if not self._reader.unread_bytes:
                break
            now_s = asyncio.get_running_loop().time()
            until_s = until_s or now_s + STEP_S
            if now_s >= until_s:
                self._hold_up()
                self._read_soon()
                return
            found = self._reader.next()
        self._let_go_on()

    def _hand_on(self, messages: list[str | bytes]) -> bool:
        """Hand messages on; False: they wait here, since nobody takes them now."""
        if messages:
            if self._listener is None or self._is_paused:
                self._messages = messages
                self._hold_up()
                return False
            self._listener.received(messages)
        return True

    def _parsed(self, data: bytes) -> list[str | bytes]:
        """Return the messages that the parser's frames complete."""
        messages: list[str | bytes] = []
        for frame in self._owner.parse(data):
            if self._parts is None:
                self._parts = bytearray()
                self._is_text = frame.opcode is Opcode.TEXT
            self._parts += frame.data
            if not frame.fin:
                continue
            parts, self._parts = self._parts, None
            try:
                messages.append(parts.decode() if self._is_text else bytes(parts))
            except UnicodeDecodeError as exc:
                self._reader.give_up()
                self._owner.refuse(CloseCode.INVALID_DATA, f"{exc.reason} at position {exc.start}")
        return messages

    def _hold_up(self) -> None:
        if not self._is_held_up:
            self._is_held_up = True
            if not self._transport.is_closing():
                self._transport.pause_reading()

    def _let_go_on(self) -> None:
        if self._is_held_up and not self._is_paused:
            self._is_held_up = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _read_soon(self) -> None:
        if self._step is None:
            self._step = asyncio.get_running_loop().call_soon(self._read)
