"""What the platform says, as typed values.

Only what a callback takes has a type here; every other event stays the dict it came as. Programs
see two of them, which are frozen. The others are taken apart at once: to generate what keeps them
from being changed and shows them would be most of the time that importing this module takes.
Source: the wire protocol, "Text events".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from avatarwire._checks import is_whole
from avatarwire._json import as_words
from avatarwire.liveavatar.messages import Event, SessionState

__all__ = [
    "AsrFinal",
    "AsrPartial",
    "IdleTrigger",
    "Inbound",
    "Interrupt",
    "OtherEvent",
    "PlatformError",
    "ResourceTransitionData",
    "ResponseStateEvent",
    "SceneReady",
    "SessionClosing",
    "SessionInit",
    "SessionStateChanged",
    "TextInput",
    "VoiceFinish",
    "VoiceStart",
    "parse",
]


class Inbound:
    """One event of the platform.

    Attributes:
        callback: the listener's method that takes it, its fields being the arguments in order.
    """

    __slots__: tuple[str, ...] = ()
    callback: ClassVar[str]

    def arguments(self) -> tuple[object, ...]:
        """Return what the callback is called with."""
        return tuple(getattr(self, name) for name in self.__slots__)


@dataclass(slots=True, repr=False)
class SessionInit(Inbound):
    """``session.init``: the session is open and waits for ``session.ready``."""

    callback = "on_session_init"
    session_id: str
    user_id: str


@dataclass(slots=True, repr=False)
class SessionStateChanged(Inbound):
    """``session.state``: what the avatar does now."""

    callback = "on_session_state"
    state: SessionState


@dataclass(slots=True, repr=False)
class SessionClosing(Inbound):
    """``session.closing``: the platform is about to close."""

    callback = "on_session_closing"
    reason: str | None


@dataclass(slots=True, repr=False)
class TextInput(Inbound):
    """``input.text``: the user typed, or the platform recognised, text."""

    callback = "on_text_input"
    text: str
    request_id: str


@dataclass(slots=True, repr=False)
class IdleTrigger(Inbound):
    """``system.idleTrigger``: nobody has spoken for a while."""

    callback = "on_idle_trigger"
    reason: str
    idle_time_ms: int


@dataclass(slots=True, repr=False)
class SceneReady(Inbound):
    """``scene.ready``: the browser shows the avatar; what is said from now on is heard."""

    callback = "on_scene_ready"


@dataclass(slots=True, repr=False)
class VoiceStart(Inbound):
    """``input.voice.start``: the user began to speak."""

    callback = "on_voice_start"
    request_id: str


@dataclass(slots=True, repr=False)
class VoiceFinish(Inbound):
    """``input.voice.finish``: the user stopped speaking."""

    callback = "on_voice_finish"
    request_id: str


@dataclass(slots=True, repr=False)
class AsrPartial(Inbound):
    """``input.asr.partial``: what the platform has recognised so far."""

    callback = "on_asr_partial"
    text: str
    request_id: str
    seq: int


@dataclass(slots=True, repr=False)
class AsrFinal(Inbound):
    """``input.asr.final``: what the platform has recognised."""

    callback = "on_asr_final"
    text: str
    request_id: str


@dataclass(slots=True, repr=False)
class Interrupt(Inbound):
    """``control.interrupt``: the platform, which runs ASR, has stopped what was playing."""

    callback = "on_interrupt"
    request_id: str | None
    scope: str | None


@dataclass(frozen=True, slots=True)
class ResourceTransitionData(Inbound):
    """``scene.resourceTransition``: the renderer is about to switch to another video resource.

    Attributes:
        previous_resource_id: what was shown; the platform's id, not a URL or a name.
        next_resource_id: what will be shown.
        message: words for people; None without any.
    """

    callback = "on_resource_transition"
    previous_resource_id: str
    next_resource_id: str
    message: str | None = None

    def has_required_resource_ids(self) -> bool:
        """Whether neither id is blank."""
        ids = (self.previous_resource_id, self.next_resource_id)
        return all(isinstance(value, str) and bool(value.strip()) for value in ids)

    def arguments(self) -> tuple[object, ...]:
        """Return the event itself, as the only argument."""
        return (self,)


@dataclass(frozen=True, slots=True)
class ResponseStateEvent(Inbound):
    """``response.state``: how far the platform is with a response.

    ``state`` and ``reason`` are open sets. The first ``REJECTED`` or ``FINISHED`` is the last word
    on a response, and only ``FINISHED`` with ``COMPLETED`` says that it was played to its end
    (protocol section "Response lifecycle").

    Raises:
        ValueError: an id or the state is blank, a number is no integer.
    """

    callback = "on_response_state"
    session_id: str
    request_id: str
    response_id: str
    seq: int
    timestamp: int
    state: str
    reason: str | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether it is the last word on its response."""
        return self.state in {"REJECTED", "FINISHED"}

    def __post_init__(self) -> None:
        for name in ("session_id", "request_id", "response_id", "state"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise ValueError(f"{name} must be text that is not blank")
        for name in ("seq", "timestamp"):
            value = getattr(self, name)
            if not is_whole(value):
                raise ValueError(f"{name} must be an integer, not {type(value).__name__}")
        if self.reason is not None and not isinstance(self.reason, str):
            raise ValueError(f"reason must be text, not {type(self.reason).__name__}")

    def arguments(self) -> tuple[object, ...]:
        """Return the event itself, as the only argument."""
        return (self,)


@dataclass(slots=True, repr=False)
class PlatformError(Inbound):
    """``error``: the platform reports a fault."""

    callback = "on_error"
    code: str
    message: str


@dataclass(slots=True, repr=False)
class OtherEvent(Inbound):
    """An event that no callback of its own takes, as it came."""

    callback = "on_event"
    event: Event


def _text(event: Event, fields: Event, key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str):
        raise ValueError(f'{event["event"]}: "{key}" must be text, not {type(value).__name__}')
    return value


def _optional_text(fields: Event, key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""


def _whole(value: Any) -> Any:  # noqa: ANN401 - whatever the platform sent
    """Return a number that is whole as an integer: some platforms write it as 5.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _whole_ms(value: Any) -> Any:  # noqa: ANN401 - whatever the platform sent
    """Return milliseconds without their fraction, which a finer clock gives them."""
    return int(value) if isinstance(value, float) and math.isfinite(value) else value


def _session_init(event: Event, data: Event) -> Inbound:
    # Only the session matters to us; some deployments have no user to name.
    return SessionInit(_text(event, data, "sessionId"), _optional_text(data, "userId"))


def _session_state(event: Event, data: Event) -> Inbound:
    return SessionStateChanged(SessionState(_text(event, data, "state")))


def _session_closing(_event: Event, data: Event) -> Inbound:
    reason = data.get("reason")
    return SessionClosing(reason if isinstance(reason, str) else None)


def _text_input(event: Event, data: Event) -> Inbound:
    return TextInput(_text(event, data, "text"), _text(event, event, "requestId"))


def _idle_trigger(event: Event, data: Event) -> Inbound:
    idle_time_ms = _whole_ms(data.get("idleTimeMs"))
    if not is_whole(idle_time_ms):
        raise ValueError(f'{event["event"]}: "idleTimeMs" must be a number')
    return IdleTrigger(_text(event, data, "reason"), idle_time_ms)


def _scene_ready(_event: Event, _data: Event) -> Inbound:
    return SceneReady()


def _voice_start(event: Event, _data: Event) -> Inbound:
    # It ends playback, whichever request it names.
    return VoiceStart(_optional_text(event, "requestId"))


def _voice_finish(event: Event, _data: Event) -> Inbound:
    return VoiceFinish(_optional_text(event, "requestId"))


def _asr_partial(event: Event, data: Event) -> Inbound:
    seq = _whole(event.get("seq"))
    if not is_whole(seq):
        raise ValueError(f'{event["event"]}: "seq" must be an integer')
    return AsrPartial(_text(event, data, "text"), _text(event, event, "requestId"), seq)


def _asr_final(event: Event, data: Event) -> Inbound:
    return AsrFinal(_text(event, data, "text"), _text(event, event, "requestId"))


def _interrupt(event: Event, data: Event) -> Inbound:
    # It ends playback, whichever request it names.
    return Interrupt(
        _optional_text(event, "requestId") or None, _optional_text(data, "interruptScope") or None
    )


def _resource_transition(event: Event, data: Event) -> Inbound:
    transition = ResourceTransitionData(
        _text(event, data, "previousResourceId"),
        _text(event, data, "nextResourceId"),
        _optional_text(data, "message") or None,
    )
    if not transition.has_required_resource_ids():
        raise ValueError(f"{event['event']}: a resource id is blank")
    return transition


def _response_state(event: Event, data: Event) -> Inbound:
    try:
        return ResponseStateEvent(
            session_id=event.get("sessionId", ""),
            request_id=event.get("requestId", ""),
            response_id=event.get("responseId", ""),
            seq=_whole(event["seq"]),
            timestamp=_whole_ms(event["timestamp"]),
            state=data.get("state", ""),
            reason=data.get("reason"),
        )
    except KeyError as exc:
        raise ValueError(f"{event['event']}: {exc.args[0]} is missing") from None
    except ValueError as exc:
        raise ValueError(f"{event['event']}: {exc}") from None


def _platform_error(_event: Event, data: Event) -> Inbound:
    # An error is told whatever its shape: some platforms number their codes.
    return PlatformError(as_words(data.get("code")), as_words(data.get("message")))


_PARSERS: dict[str, Callable[[Event, Event], Inbound]] = {
    "session.init": _session_init,
    "session.state": _session_state,
    "session.closing": _session_closing,
    "input.text": _text_input,
    "system.idleTrigger": _idle_trigger,
    "scene.ready": _scene_ready,
    "scene.resourceTransition": _resource_transition,
    "input.asr.partial": _asr_partial,
    "input.asr.final": _asr_final,
    "control.interrupt": _interrupt,
    "input.voice.start": _voice_start,
    "input.voice.finish": _voice_finish,
    "response.state": _response_state,
    "error": _platform_error,
}


def parse(event: Event) -> Inbound:
    """Return a decoded event as a value of its type.

    Raises:
        ValueError: a field that its callback needs is missing or of the wrong type.
    """
    parser = _PARSERS.get(event["event"])
    if parser is None:
        return OtherEvent(event)
    data = event.get("data")
    return parser(event, data if isinstance(data, dict) else {})
