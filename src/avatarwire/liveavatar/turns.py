"""Turns of speech in Live Avatar's words: the agent's open one, and those still being played."""

import uuid
from collections.abc import Callable
from typing import NamedTuple

from avatarwire.audio import FRAME_RATES, PcmFormat, converter_between
from avatarwire.codec import PcmFramer
from avatarwire.liveavatar.events import (
    Inbound,
    Interrupt,
    ResponseStateEvent,
    SessionStateChanged,
    TextInput,
    VoiceStart,
)
from avatarwire.liveavatar.messages import Event, MessageBuilder, SessionState
from avatarwire.liveavatar.sending import Metadata, Outlet, SoundLine, framed
from avatarwire.streaming import AudioStream, Lateness, PlayoutReason, Timing, TurnRegister

__all__ = ["MUSIC_ONLY", "USUAL_RATE", "Turns", "new_stream"]

#: What the platform expects of a developer's TTS (protocol section 5).
USUAL_RATE = 24000
#: An interrupt of this scope leaves the voice alone.
MUSIC_ONLY = "BGM_ONLY"

_SPEAKING = {SessionState.SPEAKING, SessionState.PROMPT_SPEAKING}
_INTERRUPTED = {"USER_COMMAND_INTERRUPT", "DEVELOPER_COMMAND_INTERRUPT"}


class TurnTotals(NamedTuple):
    """Sums over turns of speech, in milliseconds of sound; underruns are a count."""

    written_ms: float = 0.0
    sent_ms: float = 0.0
    queued_ms: float = 0.0
    underruns: int = 0

    def __add__(self, other: "TurnTotals") -> "TurnTotals":  # type: ignore[override]
        return TurnTotals(
            self.written_ms + other.written_ms,
            self.sent_ms + other.sent_ms,
            self.queued_ms + other.queued_ms,
            self.underruns + other.underruns,
        )


def _totals(stream: AudioStream) -> TurnTotals:
    return TurnTotals(stream.written_ms, stream.sent_ms, stream.queued_ms, stream.underruns)


class Turns(TurnRegister):
    """The turns of one agent, and what concerns them of what the platform says."""

    def __init__(self) -> None:
        super().__init__()
        self._speaking = False
        self._past = TurnTotals()
        self.lateness: Lateness = Lateness()

    def begin(self) -> None:
        """A session begins: what was counted in the last one is forgotten."""
        self._past = TurnTotals()
        self.lateness.clear()

    def opened(self, stream: AudioStream) -> None:
        """Note that ``stream`` speaks from now on, behind what is still being played."""
        self._forget_resolved()
        if self._speaking:
            ends_at_s = (turn.ends_at_s for turn in self._playing)
            stream.notice_speaking(until_s=max(ends_at_s, default=0.0))
        super().opened(stream)

    def interrupted(
        self, request_id: str | None, scope: str | None, *, besides: AudioStream | None = None
    ) -> None:
        """End what an interrupt ends, whoever sent it, ``besides`` the turn it is from."""
        if scope is not None and scope.strip() == MUSIC_ONLY:
            return
        for stream in self._playing:
            if stream is not besides and request_id in {None, stream.request_id}:
                stream.end("interrupted", notify=False)

    def gap(self, mode: str) -> None:
        """The connection is lost, and another may follow; ``mode`` is the agent's ``on_gap``."""
        self._speaking = False
        super().gap(mode)

    def ended(self) -> None:
        """The session is over, or about to be: nothing can be sent any more."""
        self._speaking = False
        super().ended()

    def notice(self, received: Inbound) -> None:
        """Take what the platform says; what is about no turn is passed over."""
        self._forget_resolved()
        match received:
            case SessionStateChanged(state):
                self._notice_state(state)
            case TextInput() | VoiceStart():
                for stream in self._playing:
                    if stream.interrupt_on_input:
                        # The platform has cleared its own buffer already.
                        stream.end("interrupted", notify=False)
            case Interrupt(request_id, scope):
                self.interrupted(request_id, scope)
            case ResponseStateEvent():
                self._notice_response(received)

    def totals(self) -> "TurnTotals":
        """Give the sums over all turns, those that are open included."""
        return sum((_totals(stream) for stream in self._playing), self._past)

    def _forget_resolved(self) -> None:
        for stream in self._playing:
            if stream.is_resolved:
                self._past += _totals(stream)
        super()._forget_resolved()

    def _notice_response(self, event: ResponseStateEvent) -> None:
        reason = _reason(event)
        if reason is None:
            return
        for stream in self._playing:
            if stream.response_id == event.response_id:
                stream.end(reason, notify=False)

    def _notice_state(self, state: SessionState) -> None:
        self._speaking = state in _SPEAKING
        for stream in self._playing:
            if self._speaking:
                stream.notice_speaking()
            elif state is SessionState.IDLE:
                stream.notice_idle(shared=stream is not self._playing[0])


def _reason(event: ResponseStateEvent) -> PlayoutReason | None:
    """Give how a response has ended; None when it has not."""
    match event.state, event.reason:
        case "FINISHED", "COMPLETED":
            return "completed"
        case "FINISHED", reason if reason in _INTERRUPTED:
            return "interrupted"
        case (("FINISHED" | "REJECTED"), _):
            return "failed"
    return None


class _LiveSpeaker(SoundLine):
    """Says one turn: start event, audio frames, finish event."""

    __slots__ = (
        "_finish",
        "_framer",
        "_interrupted_request",
        "_is_open",
        "_make_framer",
        "_start",
        "_turns",
        "stream",
    )

    def __init__(
        self,
        outlet: Outlet,
        turns: Turns,
        *,
        make_framer: Callable[[], PcmFramer],
        start: Event,
        finish: Event,
        interrupted_request: str | None,
    ) -> None:
        super().__init__(outlet)
        self.stream: AudioStream
        self._turns = turns
        self._make_framer = make_framer
        self._framer: PcmFramer
        self._start = start
        self._finish = finish
        self._interrupted_request = interrupted_request
        self._is_open = False

    def start(self) -> bool:
        self._turns.require_none("a second audio stream")
        has_room = self._open()
        self._turns.opened(self.stream)
        return has_room

    def restart(self) -> bool:
        return self._open()

    def say(self, pcm: bytes | memoryview) -> bool:
        framer = self._framer
        wire = framer.websocket(pcm)
        frames = len(pcm) // framer.frame_bytes
        if framer.pending_bytes:
            wire += framer.flush_websocket()
            frames += 1
        return self._outbox.write_now(wire, audio_frames=frames)

    def finish(self) -> bool:
        has_room = self._outbox.write_now(framed(self._finish))
        self._close()
        return has_room

    def abandon(self) -> bool:
        return self._end(b"")

    def interrupt(self, scope: str | None) -> bool:
        request_id = self._interrupted_request
        has_room = self._end(
            framed(MessageBuilder.control_interrupt(request_id, interrupt_scope=scope))
        )
        # The platform stops whatever answers that request; without one, whatever speaks.
        self._turns.interrupted(request_id, scope, besides=self.stream)
        return has_room

    def _open(self) -> bool:
        # Now or not at all, as all of a turn: in the backlog it would overtake what is resumed.
        has_room = self._outbox.write_now(framed(self._start))
        self._connection = self._outbox.connection
        self._framer = self._make_framer()
        self._framer.reset()
        self._is_open = True
        return has_room

    def _end(self, wire: bytes) -> bool:
        if self._is_open:
            wire += framed(self._finish)
        self._close()
        return self._outbox.write_batch(wire) if wire else True

    def _close(self) -> None:
        self._is_open = False
        self._turns.closed(self.stream)


def new_stream(
    outlet: Outlet,
    framer_for: Callable[[int, int, int], PcmFramer],
    turns: Turns,
    *,
    request_id: str | None,
    response_id: str | None,
    written: PcmFormat,
    sent_rate: int | None,
    timing: Timing,
    prompt: bool,
    interrupt_on_input: bool,
    metadata: Metadata,
    keep_ms: float | None,
) -> AudioStream:
    """Make a turn; everything about it is checked here, and nothing is sent yet.

    Args:
        outlet: how the agent sends.
        framer_for: gives the agent's one framer, for a rate, channels and milliseconds.
        turns: where it is entered once it is open.
        request_id: what it answers; None: a new UUID4.
        response_id: its own id; None: a new UUID4.
        written: what will be written to it.
        sent_rate: what the platform is to get; None: as written, where a header can say it.
        timing: when it leaves.
        prompt: an idle prompt, which the platform knows no ids of.
        interrupt_on_input: the user's input ends it.
        metadata: goes into the start event.
        keep_ms: how much of it may be sent again on another connection; None: it does not outlive
            its connection.

    Raises:
        TypeError, ValueError: an argument that the platform, or the framing, cannot take.
        MissingExtraError: conversion is needed and its extra is not installed.
    """
    if prompt and metadata:
        raise ValueError("a prompt's start event carries no metadata: leave it out")
    interrupted_request = None if prompt else request_id or str(uuid.uuid4())
    request_id = interrupted_request or request_id or str(uuid.uuid4())
    response_id = response_id or str(uuid.uuid4())
    start = MessageBuilder.response_audio_start(request_id, response_id, metadata)
    finish = MessageBuilder.response_audio_finish(request_id, response_id)
    if prompt:
        start = MessageBuilder.response_audio_prompt_start()
        finish = MessageBuilder.response_audio_prompt_finish()

    rate = sent_rate or (written.sample_rate if written.sample_rate in FRAME_RATES else USUAL_RATE)
    sent = PcmFormat(rate, 1)  # the platform wants mono
    PcmFramer(sample_rate=rate, frame_ms=timing.frame_ms)  # refuses a frame_ms that is too long
    speaker = _LiveSpeaker(
        outlet,
        turns,
        make_framer=lambda: framer_for(rate, 1, timing.frame_ms),
        start=start,
        finish=finish,
        interrupted_request=interrupted_request,
    )
    speaker.stream = AudioStream(
        speaker,
        written=written,
        sent=sent,
        converter=converter_between(written, sent),
        timing=timing,
        request_id=request_id,
        response_id=response_id,
        interrupt_on_input=interrupt_on_input,
        keep_ms=keep_ms,
        lateness=turns.lateness,
    )
    return speaker.stream
