"""The text events of the Live Avatar Channel: their names, and how each is built.

Nothing here touches a socket. ``MessageBuilder`` gives an event as a dict, ``encode`` and
``decode`` turn it into JSON and back. Source: the wire protocol, "Text events".
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Self, TypeAlias

from avatarwire import _json
from avatarwire._checks import is_number, is_whole

__all__ = [
    "Event",
    "EventType",
    "MessageBuilder",
    "SessionState",
    "decode",
    "encode",
]

Event: TypeAlias = dict[str, Any]
Metadata: TypeAlias = Mapping[str, Any] | None


class EventType(str, Enum):  # noqa: UP042 - prints as the published SDK's does
    """Names of the protocol's events; each compares equal to its plain string."""

    SESSION_INIT = "session.init"
    SESSION_READY = "session.ready"
    SESSION_STATE = "session.state"
    SESSION_CLOSING = "session.closing"
    SESSION_STOP = "session.stop"
    SCENE_READY = "scene.ready"
    SCENE_RESOURCE_TRANSITION = "scene.resourceTransition"
    INPUT_TEXT = "input.text"
    INPUT_ASR_PARTIAL = "input.asr.partial"
    INPUT_ASR_FINAL = "input.asr.final"
    INPUT_VOICE_START = "input.voice.start"
    INPUT_VOICE_FINISH = "input.voice.finish"
    RESPONSE_START = "response.start"
    RESPONSE_CHUNK = "response.chunk"
    RESPONSE_DONE = "response.done"
    RESPONSE_CANCEL = "response.cancel"
    RESPONSE_STATE = "response.state"
    RESPONSE_AUDIO_START = "response.audio.start"
    RESPONSE_AUDIO_FINISH = "response.audio.finish"
    RESPONSE_AUDIO_PROMPT_START = "response.audio.promptStart"
    RESPONSE_AUDIO_PROMPT_FINISH = "response.audio.promptFinish"
    CONTROL_INTERRUPT = "control.interrupt"
    SYSTEM_IDLE_TRIGGER = "system.idleTrigger"
    SYSTEM_PROMPT = "system.prompt"
    SYSTEM_PROMPT_START = "system.prompt.start"
    SYSTEM_PROMPT_CHUNK = "system.prompt.chunk"
    SYSTEM_PROMPT_DONE = "system.prompt.done"
    ERROR = "error"


class SessionState(str, Enum):  # noqa: UP042 - prints as the published SDK's does
    """What the avatar is doing.

    A state that this version does not know becomes a member of that value, so ``state.value``
    always works.
    """

    IDLE = "IDLE"
    LISTENING = "LISTENING"
    THINKING = "THINKING"
    STAGING = "STAGING"
    SPEAKING = "SPEAKING"
    PROMPT_THINKING = "PROMPT_THINKING"
    PROMPT_STAGING = "PROMPT_STAGING"
    PROMPT_SPEAKING = "PROMPT_SPEAKING"

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        # Not remembered: a peer that invents states must not grow our memory.
        member = str.__new__(cls, value)
        member._name_ = member._value_ = value
        return member


def encode(event: Event) -> bytes:
    """Encode an event as compact UTF-8 JSON.

    Raises:
        TypeError: something in it has no JSON form; the text names the event.
        ValueError: a number or a value that JSON cannot carry; the text names the event and where.
    """
    try:
        return _json.dumps(event)
    except TypeError as exc:
        # Only now: looking costs as much as writing.
        _json.require_writable(str(event.get("event")), event)
        raise TypeError(f"{event.get('event')}: cannot be written as JSON: {exc}") from exc


def decode(message: str | bytes) -> Event:
    """Decode one text message.

    Raises:
        ValueError: not JSON, not an object, or without an ``event`` name.
    """
    event = _json.loads(message)
    if not isinstance(event, dict):
        raise ValueError(f"a text event is a JSON object, not {type(event).__name__}")
    if not isinstance(event.get("event"), str):
        raise ValueError('a text event has a string under "event"')
    return event


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    return value


def _prompt_id(name: str, value: object) -> str:
    # The prompt calls of the published SDK answer a wrong type with ValueError too.
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be non-empty, not {value!r}")
    return value


def _integer(name: str, value: object) -> int:
    if not is_whole(value):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
    return value


def _prompt_integer(name: str, value: object) -> int:
    if not is_whole(value):
        raise ValueError(f"{name} must be an integer, not {type(value).__name__}")
    return value


def _finite(name: str, value: object) -> float:
    if not is_number(value):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    _json.require_writable(name, value)
    return value


def _with_metadata(data: Event, metadata: Metadata) -> Event:
    """Merge ``metadata`` into ``data``; what the event itself says is not to be overridden."""
    if not metadata:
        return data
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must be a dict, not {type(metadata).__name__}")
    _json.require_writable("metadata", metadata)
    reserved = sorted(data.keys() & metadata.keys())
    if reserved:
        names = ", ".join(reserved)
        raise ValueError(f"metadata cannot override reserved data field(s): {names}")
    return {**data, **metadata}


def _event(name: str, request_id: str, metadata: Metadata) -> Event:
    """Build an event whose ``data`` is the metadata alone, and absent without any."""
    event: Event = {"event": name, "requestId": _text("request_id", request_id)}
    if metadata:
        event["data"] = _with_metadata({}, metadata)
    return event


def _response_event(name: str, request_id: str, response_id: str, metadata: Metadata) -> Event:
    event: Event = {
        "event": name,
        "requestId": _text("request_id", request_id),
        "responseId": _text("response_id", response_id),
    }
    if metadata:
        event["data"] = _with_metadata({}, metadata)
    return event


def _prompt_event(name: str, request_id: str, response_id: str) -> Event:
    return {
        "event": name,
        "requestId": _prompt_id("request_id", request_id),
        "responseId": _prompt_id("response_id", response_id),
    }


_SCOPES_SENT = ("BGM_ONLY", "VOICE_AND_ACCOMPANIMENT")


def _interrupt_scope(scope: str | None) -> str | None:
    """Return the scope to send; None when it is absent, blank or ``VOICE_ONLY``."""
    if scope is None:
        return None
    stripped = _text("interrupt_scope", scope).strip()
    if stripped in {"", "VOICE_ONLY"}:
        return None
    if stripped not in _SCOPES_SENT:
        raise ValueError(
            f"interrupt_scope must be VOICE_ONLY, {' or '.join(_SCOPES_SENT)}, not {stripped!r}"
        )
    return stripped


class MessageBuilder:
    """Every event of the protocol as a dict with the keys of the wire.

    A wrong type is a ``TypeError`` and a bad value a ``ValueError``, both naming the argument.
    ``metadata`` is merged into the event's ``data`` and may not override a key of its own.
    """

    @staticmethod
    def session_init(session_id: str, user_id: str) -> Event:
        """Platform: the session is open."""
        data = {"sessionId": _text("session_id", session_id), "userId": _text("user_id", user_id)}
        return {"event": "session.init", "data": data}

    @staticmethod
    def session_ready() -> Event:
        """Agent: the answer to ``session.init``."""
        return {"event": "session.ready"}

    @staticmethod
    def session_state(state: str, seq: int, timestamp: int) -> Event:
        """Platform: what the avatar does now; ``timestamp`` in milliseconds."""
        return {
            "event": "session.state",
            "seq": _integer("seq", seq),
            "timestamp": _integer("timestamp", timestamp),
            "data": {"state": str(SessionState(state).value)},
        }

    @staticmethod
    def session_closing(reason: str | None = None) -> Event:
        """Platform: it is about to close."""
        data = {} if reason is None else {"reason": _text("reason", reason)}
        return {"event": "session.closing", "data": data}

    @staticmethod
    def session_stop() -> Event:
        """Agent: end the session."""
        return {"event": "session.stop"}

    @staticmethod
    def scene_ready() -> Event:
        """Platform: the browser's scene can show a conversation."""
        return {"event": "scene.ready"}

    @staticmethod
    def input_text(request_id: str, text: str, metadata: Metadata = None) -> Event:
        """Platform: the user typed, or the platform recognised, ``text``."""
        return {
            "event": "input.text",
            "requestId": _text("request_id", request_id),
            "data": _with_metadata({"text": _text("text", text)}, metadata),
        }

    @staticmethod
    def input_asr_partial(request_id: str, text: str, seq: int, metadata: Metadata = None) -> Event:
        """Whoever runs ASR: a result that may still change."""
        # Sent many times a second: the checks that name the culprit cost as much as the dict.
        if not (type(request_id) is type(text) is str and type(seq) is int):
            _text("request_id", request_id)
            _integer("seq", seq)
            _text("text", text)
        data: Event = {"text": text, "final": False}
        return {
            "event": "input.asr.partial",
            "requestId": request_id,
            "seq": seq,
            "data": _with_metadata(data, metadata) if metadata else data,
        }

    @staticmethod
    def input_asr_final(request_id: str, text: str, metadata: Metadata = None) -> Event:
        """Whoever runs ASR: the final result."""
        return {
            "event": "input.asr.final",
            "requestId": _text("request_id", request_id),
            "data": _with_metadata({"text": _text("text", text)}, metadata),
        }

    @staticmethod
    def input_voice_start(request_id: str, metadata: Metadata = None) -> Event:
        """Whoever runs ASR: the user began to speak."""
        return _event("input.voice.start", request_id, metadata)

    @staticmethod
    def input_voice_finish(request_id: str, metadata: Metadata = None) -> Event:
        """Whoever runs ASR: the user stopped speaking."""
        return _event("input.voice.finish", request_id, metadata)

    @staticmethod
    def response_start(
        request_id: str,
        response_id: str,
        speed: float = 1.0,
        volume: float = 1.0,
        mood: str | None = None,
        metadata: Metadata = None,
    ) -> Event:
        """Agent: a text response begins; speed 0.5 to 2, volume 0 to 1.5, mood an open set."""
        audio: Event = {"speed": _finite("speed", speed), "volume": _finite("volume", volume)}
        if mood is not None:
            audio["mood"] = _text("mood", mood)
        return {
            "event": "response.start",
            "requestId": _text("request_id", request_id),
            "responseId": _text("response_id", response_id),
            "data": _with_metadata({"audioConfig": audio}, metadata),
        }

    @staticmethod
    def response_chunk(
        request_id: str,
        response_id: str,
        seq: int,
        timestamp: int,
        text: str,
        metadata: Metadata = None,
    ) -> Event:
        """Agent: the next piece of text; ``seq`` from 0, ``timestamp`` in milliseconds."""
        # Sent many times a second: the checks that name the culprit cost as much as the dict.
        if not (
            type(request_id) is type(response_id) is type(text) is str
            and type(seq) is type(timestamp) is int
        ):
            _text("request_id", request_id)
            _text("response_id", response_id)
            _integer("seq", seq)
            _integer("timestamp", timestamp)
            _text("text", text)
        data: Event = {"text": text}
        return {
            "event": "response.chunk",
            "requestId": request_id,
            "responseId": response_id,
            "seq": seq,
            "timestamp": timestamp,
            "data": _with_metadata(data, metadata) if metadata else data,
        }

    @staticmethod
    def response_done(request_id: str, response_id: str, metadata: Metadata = None) -> Event:
        """Agent: the text response is complete."""
        return _response_event("response.done", request_id, response_id, metadata)

    @staticmethod
    def response_cancel(response_id: str) -> Event:
        """Agent: the text response is abandoned."""
        return {"event": "response.cancel", "responseId": _text("response_id", response_id)}

    @staticmethod
    def response_audio_start(request_id: str, response_id: str, metadata: Metadata = None) -> Event:
        """Agent: audio frames of a turn follow."""
        return _response_event("response.audio.start", request_id, response_id, metadata)

    @staticmethod
    def response_audio_finish(
        request_id: str, response_id: str, metadata: Metadata = None
    ) -> Event:
        """Agent: the turn's audio is complete."""
        return _response_event("response.audio.finish", request_id, response_id, metadata)

    @staticmethod
    def response_audio_prompt_start() -> Event:
        """Agent: audio frames of an idle prompt follow."""
        return {"event": "response.audio.promptStart"}

    @staticmethod
    def response_audio_prompt_finish() -> Event:
        """Agent: the idle prompt's audio is complete."""
        return {"event": "response.audio.promptFinish"}

    @staticmethod
    def control_interrupt(
        request_id: str | None = None,
        metadata: Metadata = None,
        interrupt_scope: str | None = None,
    ) -> Event:
        """Agent: stop what is playing.

        ``interrupt_scope`` absent, blank or ``VOICE_ONLY`` sends none; ``BGM_ONLY`` and
        ``VOICE_AND_ACCOMPANIMENT`` are sent; anything else is a ValueError.
        """
        event: Event = {"event": "control.interrupt"}
        if request_id is not None:
            event["requestId"] = _text("request_id", request_id)
        scope = _interrupt_scope(interrupt_scope)
        data = _with_metadata({} if scope is None else {"interruptScope": scope}, metadata)
        if data:
            event["data"] = data
        return event

    @staticmethod
    def system_idle_trigger(reason: str, idle_time_ms: int) -> Event:
        """Platform: nobody has spoken for ``idle_time_ms``."""
        data = {
            "reason": _text("reason", reason),
            "idleTimeMs": _integer("idle_time_ms", idle_time_ms),
        }
        return {"event": "system.idleTrigger", "data": data}

    @staticmethod
    def system_prompt(text: str, metadata: Metadata = None) -> Event:
        """Agent: speak ``text`` to wake an idle user."""
        data = _with_metadata({"text": _text("text", text)}, metadata)
        return {"event": "system.prompt", "data": data}

    @staticmethod
    def system_prompt_start(request_id: str, response_id: str) -> Event:
        """Agent: a streamed prompt begins; blank ids are a ValueError."""
        return _prompt_event("system.prompt.start", request_id, response_id)

    @staticmethod
    def system_prompt_chunk(
        request_id: str, response_id: str, seq: int, timestamp: int, text: str
    ) -> Event:
        """Agent: the prompt's next piece of text; ``seq`` from 1, ``timestamp`` in ms."""
        event = _prompt_event("system.prompt.chunk", request_id, response_id)
        if _prompt_integer("seq", seq) < 1:
            raise ValueError(f"seq must be 1 or more, not {seq}")
        event["seq"] = seq
        event["timestamp"] = _prompt_integer("timestamp", timestamp)
        event["data"] = {"text": _text("text", text)}
        return event

    @staticmethod
    def system_prompt_done(request_id: str, response_id: str) -> Event:
        """Agent: the prompt's text is complete."""
        return _prompt_event("system.prompt.done", request_id, response_id)

    @staticmethod
    def error(code: str, message: str, request_id: str | None = None) -> Event:
        """Either side: something went wrong."""
        data = {"code": _text("code", code), "message": _text("message", message)}
        event: Event = {"event": "error", "data": data}
        if request_id is not None:
            event["requestId"] = _text("request_id", request_id)
        return event
