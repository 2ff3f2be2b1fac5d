"""Akool's messages: how each is built and read, in both wire forms.

Nothing here touches a socket. A wire form gives each outgoing message as the JSON that goes on the
wire, with its mid where an answer will name it; ``parse`` gives incoming messages their types.
Source: the wire protocol of Akool, "Envelope messages" and "Flat messages".
"""

import re
import time
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from pybase64 import b64encode

from avatarwire import _json

__all__ = [
    "Ack",
    "AgoraConnected",
    "AgoraParams",
    "EnvelopeWire",
    "FlatWire",
    "Inbound",
    "Message",
    "Other",
    "Pong",
    "ServerError",
    "WebSocketConnected",
    "Wire",
    "decode",
    "parse",
]

Json: TypeAlias = dict[str, Any]

#: Of a conversation with the avatar; the platform knows others, which this client does not speak.
STREAMING_MODE = 3

_AUDIO_HEAD = b'{"v":2,"type":"chat","mid":"audio-%d'
_AUDIO_TAIL = b'"}}'
# The last three digits of a mid, and what follows them in a message of sound.
_UNITS = tuple(b'%03d","pld":{"audio":"' % number for number in range(1000))


class Message(NamedTuple):
    """One outgoing message.

    Attributes:
        mid: its id, which an answer names; empty in the form that has none.
        json: what goes on the wire, as UTF-8.
    """

    mid: str
    json: bytes

    def __repr__(self) -> str:
        return f"<Message {self.mid!r}, {len(self.json)} bytes>"  # which may hold a key or a token


@dataclass(frozen=True, slots=True, repr=False)
class AgoraParams:
    """Where the avatar appears, and how it speaks; the token keeps it out of every repr.

    Attributes:
        app_id: the Agora application.
        channel: the Agora channel.
        token: the Agora RTC token.
        uid: the avatar's Agora user id.
        voice_id: a voice; empty for the avatar's own.
        language: a language code.
        background_url: an image or video; empty for none.
    """

    app_id: str
    channel: str
    token: str
    uid: str | int
    voice_id: str = ""
    language: str = "en"
    background_url: str = ""


class EnvelopeWire:
    """The form that the published client sends.

    Every message has a mid of its own: a number that starts at the clock's milliseconds, as the
    published client's, and is counted up from there, so that no two messages share one.
    """

    def __init__(self) -> None:
        # Formatting a number would cost as much as the base64: its last digits come from a table.
        now_ms = time.time_ns() // 1_000_000
        self._thousands = now_ms // 1000
        self._units = iter(_UNITS[now_ms % 1000 :])
        self._audio_head = _AUDIO_HEAD % self._thousands

    def hello(self, api_key: str, avatar_id: str) -> None:
        """Return what is said first: nothing, since the request's header holds the key."""

    def set_params(self, params: AgoraParams) -> Message:
        """Return the command ``set-params``.

        Raises:
            TypeError: something in the parameters has no JSON form.
        """
        payload = {
            "cmd": "set-params",
            "data": {
                "vid": params.voice_id,
                "lang": params.language,
                "mode": STREAMING_MODE,
                "bgurl": params.background_url,
            },
            "metadata": {
                "agora_data": {
                    "appid": params.app_id,
                    "channel_id": params.channel,
                    "token": params.token,
                    "uid": params.uid,
                }
            },
        }
        return self._message("command", "cmd-set-params", payload)

    def audio(self, pcm: Any) -> bytes:  # noqa: ANN401
        """Return sound as the JSON of a chat message; no JSON library walks it.

        Args:
            pcm: 16-bit little-endian samples, 16 kHz mono: any contiguous buffer, unchecked.
        """
        units = next(self._units, None) or self._next_thousand()
        return b"".join((self._audio_head, units, b64encode(pcm), _AUDIO_TAIL))

    def interrupt(self) -> Message:
        """Return the command ``interrupt``: stop what the avatar says."""
        return self._message("command", "cmd-interrupt", {"cmd": "interrupt"})

    def leave(self, reason: str) -> Message:
        """Return the event ``leave_channel``: the end of the session."""
        return self._message("event", "event-leave", {"event": "leave_channel", "reason": reason})

    def ping(self) -> bytes:
        """Return the heartbeat's JSON."""
        return self._message("ping", "ping", {}).json

    def _message(self, kind: str, prefix: str, payload: Json) -> Message:
        units = next(self._units, None) or self._next_thousand()
        mid = f"{prefix}-{self._thousands}{units[:3].decode()}"
        return Message(mid, _json.dumps({"v": 2, "type": kind, "mid": mid, "pld": payload}))

    def _next_thousand(self) -> bytes:
        self._thousands += 1
        self._units = iter(_UNITS)
        self._audio_head = _AUDIO_HEAD % self._thousands
        return next(self._units)


class FlatWire:
    """The form of the published README; it has no mids, no interrupt and no leave."""

    def hello(self, api_key: str, avatar_id: str) -> Message:
        """Return what is said first: the authentication."""
        return self._message({"type": "auth", "token": api_key, "avatar_id": avatar_id})

    def set_params(self, params: AgoraParams) -> Message:
        """Return the Agora channel, user and token; this form has no place for anything else.

        Raises:
            TypeError: one of them has no JSON form.
        """
        uid = _number_in(params.uid)
        data = {"channel": params.channel, "userId": uid, "rtcToken": params.token}
        return self._message({"type": "agora_params", "data": data})

    def audio(self, pcm: Any) -> bytes:  # noqa: ANN401
        """Return sound as the JSON of one message; no JSON library walks it."""
        return b"".join((b'{"type":"audio_data","data":"', b64encode(pcm), b'"}'))

    def ping(self) -> bytes:
        """Return the heartbeat's JSON."""
        return b'{"type":"ping"}'

    def _message(self, fields: Json) -> Message:
        return Message("", _json.dumps(fields))


Wire: TypeAlias = EnvelopeWire | FlatWire


# What the platform says; the same in both forms.


@dataclass(frozen=True, slots=True)
class WebSocketConnected:
    """system/websocket_connected: the platform has accepted the session."""


@dataclass(frozen=True, slots=True)
class AgoraConnected:
    """system/agora_connected: the avatar is in the channel."""

    channel_id: str


@dataclass(frozen=True, slots=True)
class Ack:
    """ack: the message of this mid has been taken."""

    mid: str


@dataclass(frozen=True, slots=True)
class Pong:
    """pong: the platform is alive."""


@dataclass(frozen=True, slots=True)
class ServerError:
    """error: the platform reports a fault.

    Attributes:
        code: its number; None when it gave none.
        text: its words.
        mids: which message it may be about; other ids may be among them.
    """

    code: int | None
    text: str
    mids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else; only on_message tells it."""


Inbound: TypeAlias = WebSocketConnected | AgoraConnected | Ack | Pong | ServerError | Other


def decode(message: str | bytes) -> Json:
    """Decode one incoming message.

    Raises:
        ValueError: not JSON, or not an object with a text under "type".
    """
    decoded = _json.loads(message)
    if not isinstance(decoded, dict) or not isinstance(decoded.get("type"), str):
        raise ValueError('a message is a JSON object with a string under "type"')
    return decoded


def parse(message: Json) -> Inbound:
    """Return a decoded message as a value of its type."""
    payload = message.get("pld")
    if not isinstance(payload, dict):
        payload = {}
    match message["type"], payload:
        case "system", {"status": "websocket_connected"}:
            return WebSocketConnected()
        case "system", {"status": "agora_connected"}:
            channel_id = payload.get("channel_id")
            return AgoraConnected(channel_id if isinstance(channel_id, str) else "")
        case "ack", {"original_mid": str(mid)}:
            return Ack(mid)
        case "pong", _:
            return Pong()
        case "error", _:
            return _server_error(message, payload)
    return Other()


def _server_error(message: Json, payload: Json) -> ServerError:
    code = _number_in(payload.get("error_code"))
    named = (payload.get("original_mid"), payload.get("mid"), message.get("mid"))
    return ServerError(
        code if isinstance(code, int) else None,
        _json.as_words(payload.get("error_message")) or "Unknown error",
        tuple(mid for mid in named if isinstance(mid, str)),
    )


def _number_in(value: Any) -> Any:  # noqa: ANN401 - as its caller has it
    """Return text that is a number as one, and anything else as it is.

    A longer number is no id and no code: JSON cannot carry it, and Python may refuse to read it.
    """
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    return value
