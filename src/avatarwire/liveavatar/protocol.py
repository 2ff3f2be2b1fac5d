"""One connection's conversation with the platform, without a socket.

Messages go in, typed values come out, and what the protocol itself has to answer waits in
``replies``. What the platform gets wrong is counted and told once a kind, never fatal.
Source: the wire protocol, "Connection".
"""

import logging
from typing import TypeAlias

from avatarwire.codec import AudioFrame, FrameType, frame_type
from avatarwire.codec.frames import audio_frames
from avatarwire.liveavatar.events import (
    Inbound,
    ResponseStateEvent,
    SessionClosing,
    SessionInit,
    parse,
)
from avatarwire.liveavatar.messages import Event, MessageBuilder, decode

__all__ = ["LiveAvatarProtocol", "Received"]

logger: logging.Logger = logging.getLogger("avatarwire.liveavatar")

Received: TypeAlias = Inbound


class LiveAvatarProtocol:
    """The agent's side of one connection.

    Attributes:
        is_open: ``session.init`` has come and has been answered.
        is_closing: ``session.closing`` has come: nothing more may be sent.
        ignored: how many messages were passed over, by cause.
        audio_frames: how many audio frames have come.
    """

    def __init__(self) -> None:
        self.is_open: bool = False
        self.is_closing: bool = False
        self.ignored: dict[str, int] = {}
        self.audio_frames: int = 0
        self._replies: tuple[Event, ...] = ()
        self._response_seqs: dict[str, int] = {}

    def reconnected(self) -> None:
        """A new connection of the same session begins; what was counted goes on."""
        self.is_open = False
        self._replies = ()

    def hear(self, messages: list[str | bytes], start: int, most: int) -> list[AudioFrame]:
        """Take the user's audio frames in, from ``start`` up to the first other message."""
        frames = audio_frames(messages, start, most)
        self.audio_frames += len(frames)
        return frames

    def receive(self, message: str | bytes) -> Received | None:
        """Take one message in that is no audio frame; None when there is nothing to tell."""
        if isinstance(message, bytes):
            self._pass_over(message)
            return None
        return self._event(message)

    def replies(self) -> list[Event]:
        """Return the events that the protocol itself has to send now, each once."""
        replies, self._replies = self._replies, ()
        return list(replies)

    def _event(self, message: str) -> Inbound | None:
        try:
            event = decode(message)
        except ValueError:
            # The decoder's words quote the message; a log holds no payload.
            self._ignore("text that is not a JSON event")
            return None
        try:
            inbound = parse(event)
        except ValueError as exc:
            self._ignore(f"an event with a missing field ({exc})")
            return None
        match inbound:
            case SessionInit():
                self.is_open = True
                self._replies = (*self._replies, MessageBuilder.session_ready())
            case SessionClosing():
                self.is_closing = True
            case ResponseStateEvent() if not self._is_new(inbound):
                self._ignore("a response.state that it had sent before")
                return None
        return inbound

    def _is_new(self, event: ResponseStateEvent) -> bool:
        """Return whether its number is above all before it; gaps are valid (protocol section 4)."""
        new = event.seq > self._response_seqs.get(event.session_id, event.seq - 1)
        if new:
            # One session a connection; a peer that names others must not grow our memory.
            self._response_seqs = {event.session_id: event.seq}
        return new

    def _pass_over(self, message: bytes) -> None:
        kind = frame_type(message)
        if kind is FrameType.AUDIO:
            self._ignore("a truncated audio frame")
        elif kind is None:
            self._ignore("a binary message of unknown type")
        else:
            self._ignore(f"a frame of type {kind.name} (only audio is expected)")

    def _ignore(self, cause: str) -> None:
        self.ignored[cause] = self.ignored.get(cause, 0) + 1
        if self.ignored[cause] == 1:
            logger.warning("the platform sent %s: passed over; told once, then counted", cause)
