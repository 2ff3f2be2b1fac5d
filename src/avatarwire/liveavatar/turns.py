"""Turns of speech in Live Avatar's words: the agent's open one, and those still being played."""

import uuid
from collections.abc import Callable
from typing import Any

from avatarwire.audio import PcmFormat, converter_between
from avatarwire.codec import PcmFramer
from avatarwire.codec.header import FRAME_RATES
from avatarwire.errors import SessionLostError
from avatarwire.liveavatar.config import AvatarAgentConfig
from avatarwire.liveavatar.events import (
    Interrupt,
    ResponseStateEvent,
    SessionStateChanged,
    TextInput,
    VoiceStart,
)
from avatarwire.liveavatar.evidence import PLAYOUT_GRACE_S, Evidence
from avatarwire.liveavatar.messages import Event, MessageBuilder, SessionState, encode
from avatarwire.liveavatar.protocol import Received
from avatarwire.liveavatar.sending import EventOutbox, Metadata, framed_audio
from avatarwire.session.dialect import Part
from avatarwire.session.outbox import AUDIO, SoundLine
from avatarwire.streaming import (
    NO_OBSERVERS,
    AudioStream,
    Callbacks,
    PlayoutReason,
    StreamRegister,
    Timing,
    TurnObservers,
    TurnRegister,
)

__all__ = [
    "MUSIC_ONLY",
    "USUAL_RATE",
    "FramerKeeper",
    "Turns",
    "hold_or_lose",
    "kept_ms",
    "new_stream",
]

#: What the platform expects of a developer's TTS (protocol section 5).
USUAL_RATE = 24000
#: How much of what was sent but cannot have been played is sent again after a gap.
RESUMED_MS = 2000
#: An interrupt of this scope leaves the voice alone.
MUSIC_ONLY = "BGM_ONLY"

_SPEAKING = {SessionState.SPEAKING, SessionState.PROMPT_SPEAKING}
_INTERRUPTED = {"USER_COMMAND_INTERRUPT", "DEVELOPER_COMMAND_INTERRUPT"}


class FramerKeeper(Part[Received]):
    """Keeps the agent's one framer: sequence numbers and timestamps run on across turns."""

    def __init__(self) -> None:
        self._framer: PcmFramer | None = None

    def get(self, sample_rate: int, channels: int, frame_ms: int) -> PcmFramer:
        """Return the framer for a format; another format goes on with the numbers of the last."""
        framer = self._framer
        if framer is not None and (framer.sample_rate, framer.channels, framer.frame_ms) == (
            sample_rate,
            channels,
            frame_ms,
        ):
            return framer
        seq, timestamp = (0, 0) if framer is None else (framer.seq, framer.timestamp)
        self._framer = PcmFramer(
            sample_rate=sample_rate,
            channels=channels,
            frame_ms=frame_ms,
            seq=seq,
            timestamp=timestamp,
        )
        return self._framer

    def begin(self) -> None:
        """Begin with a key frame, and drop what was left of the last one."""
        if self._framer is not None:
            self._framer.reset()

    def connected(self) -> None:
        """Begin the new connection with a key frame."""
        self.begin()


class Turns(TurnRegister, Part[Received]):
    """The turns of one agent, and what concerns them of what the platform says.

    Args:
        config: whose ``on_gap`` decides what becomes of them in a gap.
        observers: who looks at them.
    """

    def __init__(
        self, config: AvatarAgentConfig, observers: TurnObservers[Any] = NO_OBSERVERS
    ) -> None:
        super().__init__(observers)
        self._config = config
        self._speaking = False
        self._tells_states = False
        self._evidence: dict[AudioStream, Evidence] = {}

    def opened(self, stream: AudioStream) -> None:
        """Note that ``stream`` speaks from now on, behind what is still being played."""
        self.forget_resolved()
        evidence = Evidence(stream)
        if self._speaking:
            others_end_at_s = max((turn.ends_at_s for turn in self.playing), default=0.0)
            evidence.behind(others_end_at_s)
            stream.start.goes_by_clock(others_end_at_s)
        elif not self._tells_states:
            stream.start.goes_by_clock()
        super().opened(stream)
        self._evidence[stream] = evidence

    def forget_resolved(self) -> None:
        """Keep the sums of the turns that are over, and neither the turns nor their evidence."""
        super().forget_resolved()
        self._evidence = {stream: self._evidence[stream] for stream in self.playing}

    def interrupted(
        self, request_id: str | None, scope: str | None, *, besides: AudioStream | None = None
    ) -> None:
        """End what an interrupt ends, whoever sent it, ``besides`` the turn it is from."""
        if scope is not None and scope.strip() == MUSIC_ONLY:
            return
        for stream in self.playing:
            if stream is not besides and request_id in {None, stream.request_id}:
                stream.end("interrupted", notify=False)

    def paused(self, stream: AudioStream) -> None:
        """Note that ``stream`` was stopped at the platform, whose words of that end no turn."""
        super().paused(stream)
        self._evidence[stream].paused()

    def gap(self, lost: SessionLostError) -> None:
        """Do what ``on_gap`` says to the turns: the connection is lost, another may follow."""
        del lost
        self._speaking = False
        for evidence in self._evidence.values():
            evidence.forget()
        hold_or_lose(self, self._config)

    def connected(self) -> None:
        """Resume the turns that were held: there is a connection again."""
        self.go_on()

    def ended(self, lost: SessionLostError) -> None:
        """End all turns: the session has ended or is about to, and nothing can be sent."""
        del lost
        self._speaking = False
        self.lose()

    def notice(self, received: Received) -> None:
        """Take what the platform says; what is about no turn is passed over."""
        self.forget_resolved()
        match received:
            case SessionStateChanged(state):
                self._notice_state(state)
            case TextInput() | VoiceStart():
                for stream in self.playing:
                    if stream.interrupt_on_input:
                        # The platform has cleared its own buffer already.
                        stream.end("interrupted", notify=False)
            case Interrupt(request_id, scope):
                self.interrupted(request_id, scope)
            case ResponseStateEvent():
                self._notice_response(received)

    def _notice_response(self, event: ResponseStateEvent) -> None:
        reason = _reason(event)
        if reason is None:
            return
        for stream in self.playing:
            if stream.response_id != event.response_id:
                continue
            is_ours = event.reason in {"COMPLETED", "DEVELOPER_COMMAND_INTERRUPT"}
            if not (is_ours and self._evidence[stream].is_of_pause()):
                stream.end(reason, notify=False)

    def _notice_state(self, state: SessionState) -> None:
        self._speaking = state in _SPEAKING
        self._tells_states = True
        for stream in self.playing:
            if self._speaking:
                self._evidence[stream].speaking()
            elif state is SessionState.IDLE:
                self._evidence[stream].idle(shared=stream is not self.playing[0])


def _reason(event: ResponseStateEvent) -> PlayoutReason | None:
    """Return how a response has ended, or None when it has not."""
    match event.state, event.reason:
        case "FINISHED", "COMPLETED":
            return "completed"
        case "FINISHED", reason if reason in _INTERRUPTED:
            return "interrupted"
        case (("FINISHED" | "REJECTED"), _):
            return "failed"
    return None


def hold_or_lose(streams: StreamRegister, config: AvatarAgentConfig) -> None:
    """Do with streams in a gap what the configuration says."""
    if config.on_gap == "fail":
        streams.lose()
    else:
        streams.hold(drop=config.on_gap == "drop")


def kept_ms(config: AvatarAgentConfig) -> float | None:
    """Return how much of a stream outlives its connection; None: it does not outlive it."""
    if not config.reconnect or config.on_gap == "fail":
        return None
    return RESUMED_MS if config.on_gap == "resume" else 0


class _LiveSpeaker(SoundLine):
    """Says one turn: start event, audio frames, finish event."""

    _outbox: EventOutbox

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
        outbox: EventOutbox,
        turns: Turns,
        *,
        make_framer: Callable[[], PcmFramer],
        start: Event,
        finish: Event,
        interrupted_request: str | None,
    ) -> None:
        super().__init__(outbox)
        self.stream: AudioStream
        self._turns = turns
        self._make_framer = make_framer
        self._framer: PcmFramer
        self._start = start
        self._finish = finish
        self._interrupted_request = interrupted_request
        self._is_open = False

    async def ready(self) -> None:
        await super().ready()
        await self._turns.wait_resumed()

    def start(self) -> bool:
        self._turns.require_none("a second audio stream")
        has_room = self._open()
        self._turns.opened(self.stream)
        return has_room

    def restart(self) -> bool:
        return self._open()

    def pause(self) -> bool:
        self._turns.paused(self.stream)
        events = [MessageBuilder.control_interrupt(self._interrupted_request)]
        if self._is_open:
            events.append(self._finish)
        self._is_open = False
        self._turns.interrupted(self._interrupted_request, None, besides=self.stream)
        self._outbox.write_texts_now(list(map(encode, events)))
        return True

    def say(self, pcm: bytes | memoryview) -> bool:
        wire, frames, messages = framed_audio(
            self._framer, pcm, ends=True, is_shown=bool(self._outbox.taps)
        )
        return self._outbox.write_now(wire, AUDIO, frames, messages)

    def finish(self) -> bool:
        has_room = self._outbox.write_event_now(self._finish)
        self._close()
        return has_room

    def abandon(self) -> bool:
        return self._end()

    def interrupt(self, scope: str | None) -> bool:
        if scope is not None and scope.strip() == MUSIC_ONLY:
            raise ValueError(
                "scope BGM_ONLY leaves the voice alone: send it with agent.send_interrupt"
            )
        request_id = self._interrupted_request
        interrupt = MessageBuilder.control_interrupt(request_id, interrupt_scope=scope)
        try:
            return self._end(interrupt)
        finally:
            # The platform stops whatever answers that request; without one, whatever speaks. What
            # it cannot be told of, in a gap, must not go on after it.
            self._turns.interrupted(request_id, scope, besides=self.stream)

    def _open(self) -> bool:
        # Now or not at all, as all of a turn: in the backlog it would overtake what is resumed.
        has_room = self._outbox.write_event_now(self._start)
        self._connection = self._outbox.connection
        self._framer = self._make_framer()
        self._framer.reset()
        self._is_open = True
        return has_room

    def _end(self, *events: Event) -> bool:
        if self._is_open:
            events = (*events, self._finish)
        self._close()
        return self._outbox.write_texts(list(map(encode, events))) if events else True

    def _close(self) -> None:
        self._is_open = False
        self._turns.closed(self.stream)


def new_stream(
    outbox: EventOutbox,
    framers: FramerKeeper,
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
    callbacks: Callbacks,
) -> AudioStream:
    """Make a turn; everything about it is checked here, and nothing is sent yet.

    Args:
        outbox: how the agent sends.
        framers: keeps the agent's one framer.
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
        callbacks: what the program is told.

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
        outbox,
        turns,
        make_framer=lambda: framers.get(rate, 1, timing.frame_ms),
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
        grace_s=PLAYOUT_GRACE_S,
        keep_ms=keep_ms,
        lateness=turns.lateness,
        start_grace_s=PLAYOUT_GRACE_S,
        callbacks=callbacks,
        observers=turns.observers,
    )
    return speaker.stream
