"""What the avatar does with what arrives: turns are put together, played, shown as states."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from avatarwire.audio import PcmFormat
from avatarwire.codec import AudioFrame
from avatarwire.codec.header import FRAME_RATES
from avatarwire.liveavatar.messages import Event, SessionState

__all__ = ["Clock", "Player", "Turn"]

PCM_CODEC = 0
# A text turn has no duration of its own here; its end must only be later than its SPEAKING.
TEXT_PLAYS_S = 0.05
# Why a turn ended, in the words of response.state.
USER = "USER_COMMAND_INTERRUPT"
DEVELOPER = "DEVELOPER_COMMAND_INTERRUPT"

Kind: TypeAlias = Literal["audio", "prompt audio", "text", "prompt text"]
Outcome: TypeAlias = Literal[
    "playing", "finished", "interrupted", "cancelled", "replaced", "unfinished"
]


class Timer(Protocol):
    """What ``call_later`` gives back."""

    def cancel(self) -> None:
        """Do not call."""


class Clock(Protocol):
    """The part of an event loop that the player needs."""

    def time(self) -> float:
        """Return the time in seconds."""
        ...

    def call_later(self, delay: float, callback: Callable[[], None], /) -> Timer:
        """Call back ``delay`` seconds from now."""
        ...


@dataclass(slots=True)
class Turn:
    """One utterance of the avatar.

    Attributes:
        kind: what it was made of.
        request_id: the client's id; empty when the client named none.
        response_id: the client's id; empty when the client named none.
        text: the text received, chunks joined.
        pcm: the payload of its PCM frames in the order of arrival.
        format: of the first frame; None before it.
        frames: audio frames received.
        outcome: ``finished`` once all of it has played, ``interrupted`` by the user or the client,
            ``cancelled`` by ``response.cancel``, ``replaced`` by the next turn, ``unfinished``
            when the session ended first.
        reason: what ``response.state`` says of its end; empty while it plays, and when the turn
            that replaced it is of the same response.
        complete: the client has said that nothing more comes.
        underruns: how often all that had arrived was played before more came.
        underrun_ms: for how long in all.
        stale_frames: audio frames that came after the turn was interrupted, before the next one.
        drift_ms: how far behind real time the last frame arrived, counted from the first;
            negative for a client that sends ahead.
        ended_at_s: when it ended, by the clock; 0 before.
    """

    kind: Kind
    request_id: str = ""
    response_id: str = ""
    text: str = ""
    pcm: bytearray = field(default_factory=bytearray, repr=False)
    format: PcmFormat | None = None
    frames: int = 0
    outcome: Outcome = "playing"
    reason: str = ""
    complete: bool = False
    underruns: int = 0
    underrun_ms: float = 0.0
    stale_frames: int = 0
    drift_ms: float = 0.0
    ended_at_s: float = 0.0


class Player:
    """Plays turns as the platform's renderer would, without sound.

    A client's event can hold anything under any key; nothing in here trusts more than its name.

    Args:
        clock: the running event loop.
        on_state: called at each change of state.
        on_turn: called when a turn has ended, however it did.
        on_begin: called when a turn begins.
        on_play: called with a turn's sound, and when it is played by the clock.
    """

    def __init__(
        self,
        clock: Clock,
        on_state: Callable[[SessionState], None],
        on_turn: Callable[[Turn], None],
        on_begin: Callable[[Turn], None] = lambda _: None,
        on_play: Callable[[Turn, bytes, PcmFormat, float], None] | None = None,
    ) -> None:
        self.state: SessionState = SessionState.IDLE
        self.turns: list[Turn] = []
        self.runs: list[tuple[PcmFormat, bytearray]] = []
        self._clock = clock
        self._on_state = on_state
        self._on_turn = on_turn
        self._on_begin = on_begin
        self._on_play = on_play
        self._turn: Turn | None = None
        self._interrupted: Turn | None = None
        self._first_at = 0.0
        self._played_at = 0.0
        self._timer: Timer | None = None
        self._handlers: dict[str, Callable[[Event], object]] = {
            "input.voice.start": lambda _: self.listen(),
            "input.asr.final": lambda _: self.think(),
            "response.start": lambda event: self._begin("text", event),
            "response.chunk": lambda event: self._text("text", event),
            "response.done": lambda event: self._finish("text", event),
            "response.cancel": self._cancel,
            "response.audio.start": lambda event: self._begin("audio", event),
            "response.audio.finish": lambda event: self._finish("audio", event),
            "response.audio.promptStart": lambda event: self._begin("prompt audio", event),
            "response.audio.promptFinish": lambda event: self._finish("prompt audio", event),
            "control.interrupt": self._interrupt,
            "system.prompt": self._prompt,
            "system.prompt.start": lambda event: self._begin("prompt text", event),
            "system.prompt.chunk": lambda event: self._text("prompt text", event),
            "system.prompt.done": lambda event: self._finish("prompt text", event),
        }

    def event(self, event: Event) -> None:
        """Act on an event from the client."""
        handler = self._handlers.get(event["event"])
        if handler is not None:
            handler(event)

    def audio(self, frame: AudioFrame) -> None:
        """Take an audio frame: into the turn that is open, or into the session alone."""
        pcm = frame.payload if frame.codec == PCM_CODEC else b""
        if frame.sample_rate >= len(FRAME_RATES):
            raise ValueError(f"sample_rate {frame.sample_rate} has no meaning")
        format_ = PcmFormat(FRAME_RATES[frame.sample_rate], frame.channel + 1)
        if pcm:
            if not self.runs or self.runs[-1][0] != format_:
                self.runs.append((format_, bytearray()))
            self.runs[-1][1].extend(pcm)

        turn = self._turn
        if turn is None and self._interrupted is not None:
            self._interrupted.stale_frames += 1
        if turn is None or turn.complete or turn.kind not in {"audio", "prompt audio"}:
            return
        seconds = len(pcm) / format_.bytes_per_second or frame.samples / format_.sample_rate
        self._play(turn, seconds)
        if pcm and self._on_play is not None:
            self._on_play(turn, pcm, format_, self._played_at - seconds)
        turn.frames += 1
        turn.pcm += pcm
        turn.format = turn.format or format_
        self._speak(turn)

    def _play(self, turn: Turn, seconds: float) -> None:
        """Put so much more sound behind what the turn has."""
        now = self._clock.time()
        if turn.frames == 0:
            self._first_at = self._played_at = now
        gap_s = now - self._played_at
        if gap_s > 0:
            turn.underruns += 1
            turn.underrun_ms += gap_s * 1000
            self._played_at = now
        played_s = self._played_at - self._first_at - turn.underrun_ms / 1000
        turn.drift_ms = (now - self._first_at - played_s) * 1000
        self._played_at += seconds

    def listen(self) -> None:
        """Clear what was playing, because the user began to speak."""
        self._end("interrupted", USER)
        self._show(SessionState.LISTENING)

    def unheard(self) -> None:
        """Wait no longer for the user, whose words nobody has recognised."""
        if self.state is SessionState.LISTENING:
            self._show(SessionState.IDLE)

    def think(self) -> None:
        """Clear what was playing, because the user's words have gone to the client."""
        self._end("interrupted", USER)
        self._show(SessionState.THINKING)

    def stop(self) -> None:
        """End what is still open, because the session has ended."""
        self._end("unfinished", "SESSION_CLOSED")

    def _begin(self, kind: Kind, event: Event) -> Turn:
        # What begins anew after a reconnection is the same response, which has not ended.
        same = self._turn is not None and _string(event, "responseId") == self._turn.response_id
        self._end("replaced", "" if same else DEVELOPER)
        self._interrupted = None
        turn = Turn(kind, _string(event, "requestId"), _string(event, "responseId"))
        self._turn = turn
        self.turns.append(turn)
        self._on_begin(turn)
        prompt = kind.startswith("prompt")
        self._show(SessionState.PROMPT_STAGING if prompt else SessionState.STAGING)
        return turn

    def _text(self, kind: Kind, event: Event) -> None:
        turn = self._turn
        if turn is None or turn.kind != kind or not _about(turn, event):
            turn = self._begin(kind, event)  # response.start is optional
        if turn.complete:
            return
        turn.text += _string(event.get("data"), "text")
        self._speak(turn)

    def _prompt(self, event: Event) -> None:
        self._begin("prompt text", event)
        self._text("prompt text", event)
        self._finish("prompt text", event)

    def _speak(self, turn: Turn) -> None:
        prompt = turn.kind.startswith("prompt")
        self._show(SessionState.PROMPT_SPEAKING if prompt else SessionState.SPEAKING)

    def _finish(self, kind: Kind, event: Event) -> None:
        turn = self._turn
        if turn is None or turn.complete or turn.kind != kind or not _about(turn, event):
            return
        turn.complete = True
        left_s = TEXT_PLAYS_S
        if kind in {"audio", "prompt audio"}:
            left_s = self._played_at - self._clock.time() if turn.frames else 0.0
        self._timer = self._clock.call_later(max(0.0, left_s), self._played)

    def _played(self) -> None:
        self._end("finished", "COMPLETED")
        self._show(SessionState.IDLE)

    def _cancel(self, event: Event) -> None:
        if self._turn is not None and _about(self._turn, event):
            self._end("cancelled", DEVELOPER)
            self._show(SessionState.IDLE)

    def _interrupt(self, event: Event) -> None:
        if _string(event.get("data"), "interruptScope") == "BGM_ONLY":
            return
        self._end("interrupted", DEVELOPER)
        self._show(SessionState.IDLE)

    def _end(self, outcome: Outcome, reason: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._turn is not None:
            turn, self._turn = self._turn, None
            turn.outcome, turn.reason = outcome, reason
            turn.ended_at_s = self._clock.time()
            self._interrupted = turn if outcome == "interrupted" else None
            self._on_turn(turn)

    def _show(self, state: SessionState) -> None:
        if state is not self.state:
            self.state = state
            self._on_state(state)


def _string(holder: Any, key: str) -> str:  # noqa: ANN401 - whatever the client sent
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, str) else ""


def _about(turn: Turn, event: Event) -> bool:
    """Return whether the event names this turn; one that names none means the open turn."""
    return _string(event, "responseId") in {"", turn.response_id}
