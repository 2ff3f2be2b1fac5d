from collections.abc import Callable
from typing import Any

import pytest

from avatarwire.audio import PcmFormat
from avatarwire.codec import AudioFrame
from avatarwire.emulator.liveavatar.player import TEXT_PLAYS_S, Player, Turn
from avatarwire.liveavatar.messages import MessageBuilder as Build

PCM_40MS = bytes(range(240)) * 8  # 40 ms at 24 kHz mono


class Timer:
    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualClock:
    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None], /) -> Timer:
        self.timers.append(Timer(self.now + delay, callback))
        return self.timers[-1]

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for timer in list(self.timers):
            if timer.at <= self.now + 1e-9:
                self.timers.remove(timer)
                if not timer.cancelled:
                    timer.callback()


class Stage:
    """A player with what it showed."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.states: list[str] = []
        self.ended: list[Turn] = []
        self.player = Player(
            self.clock, lambda state: self.states.append(state.value), self.ended.append
        )

    def send(self, *events: dict[str, Any]) -> None:
        for event in events:
            self.player.event(event)

    def frame(self, pcm: bytes = PCM_40MS, *, rate: int = 1, channel: int = 0) -> None:
        samples = len(pcm) // 2 // (channel + 1)
        self.player.audio(AudioFrame(channel, False, 0, 0, rate, samples, 0, pcm))


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_an_audio_turn_ends_when_its_sound_has_played(stage: Stage) -> None:
    stage.send(Build.response_audio_start("q", "r"))
    for _ in range(25):
        stage.frame()
    stage.clock.advance(0.3)
    stage.send(Build.response_audio_finish("q", "r"))
    assert stage.states == ["STAGING", "SPEAKING"]
    stage.clock.advance(0.69)
    assert stage.states == ["STAGING", "SPEAKING"]
    stage.clock.advance(0.01)
    assert stage.states == ["STAGING", "SPEAKING", "IDLE"]
    (turn,) = stage.player.turns
    assert (turn.kind, turn.request_id, turn.response_id) == ("audio", "q", "r")
    assert (turn.frames, turn.format, turn.outcome) == (25, PcmFormat(24000), "finished")
    assert turn.pcm == PCM_40MS * 25
    assert stage.ended == [turn]


def test_sound_that_comes_late_plays_from_its_arrival(stage: Stage) -> None:
    stage.send(Build.response_audio_start("q", "r"))
    stage.frame()
    stage.clock.advance(1.0)
    stage.frame()
    stage.send(Build.response_audio_finish("q", "r"))
    stage.clock.advance(0.039)
    assert stage.states[-1] == "SPEAKING"
    stage.clock.advance(0.001)
    assert stage.states[-1] == "IDLE"


def test_an_audio_turn_without_sound_ends_at_once(stage: Stage) -> None:
    stage.send(Build.response_audio_start("q", "r"), Build.response_audio_finish("q", "r"))
    stage.clock.advance(0)
    assert stage.states == ["STAGING", "IDLE"]


def test_a_text_turn_is_joined_and_quickly_over(stage: Stage) -> None:
    stage.send(
        Build.response_start("q", "r"),
        Build.response_chunk("q", "r", 0, 1, "Good "),
        Build.response_chunk("q", "r", 1, 2, "day"),
        Build.response_done("q", "r"),
    )
    assert stage.states == ["STAGING", "SPEAKING"]
    stage.clock.advance(TEXT_PLAYS_S)
    assert stage.states == ["STAGING", "SPEAKING", "IDLE"]
    assert [(t.kind, t.text, t.outcome) for t in stage.player.turns] == [
        ("text", "Good day", "finished")
    ]


def test_response_start_is_optional(stage: Stage) -> None:
    stage.send(Build.response_chunk("q", "r", 0, 1, "Hi"), Build.response_done("q", "r"))
    assert stage.states == ["STAGING", "SPEAKING"]
    assert stage.player.turns[0].complete


def test_prompts_have_states_of_their_own(stage: Stage) -> None:
    stage.send(Build.response_audio_prompt_start())
    stage.frame()
    stage.send(Build.response_audio_prompt_finish())
    stage.clock.advance(0.04)
    stage.send(Build.system_prompt("Still there?"))
    stage.clock.advance(TEXT_PLAYS_S)
    stage.send(
        Build.system_prompt_start("q", "r"),
        Build.system_prompt_chunk("q", "r", 1, 1, "Hel"),
        Build.system_prompt_chunk("q", "r", 2, 1, "lo"),
        Build.system_prompt_done("q", "r"),
    )
    stage.clock.advance(TEXT_PLAYS_S)
    assert stage.states == ["PROMPT_STAGING", "PROMPT_SPEAKING", "IDLE"] * 3
    assert [(t.kind, t.text) for t in stage.player.turns] == [
        ("prompt audio", ""),
        ("prompt text", "Still there?"),
        ("prompt text", "Hello"),
    ]


def test_the_user_clears_what_is_playing(stage: Stage) -> None:
    stage.send(Build.response_audio_start("q", "r"))
    stage.frame()
    stage.send(Build.response_audio_finish("q", "r"), Build.input_voice_start("q2"))
    assert stage.states[-1] == "LISTENING"
    stage.send(Build.input_voice_finish("q2"), Build.input_asr_final("q2", "stop"))
    assert stage.states[-1] == "THINKING"
    stage.clock.advance(10)
    assert stage.states[-1] == "THINKING", "the cleared turn must not show IDLE"
    assert stage.player.turns[0].outcome == "interrupted"


def test_an_interrupt_ends_the_turn_at_once(stage: Stage) -> None:
    stage.send(Build.response_audio_start("q", "r"))
    stage.frame()
    stage.send(Build.control_interrupt())
    assert stage.states[-1] == "IDLE"
    stage.frame()
    turn = stage.player.turns[0]
    assert (turn.frames, turn.outcome) == (1, "interrupted")
    assert stage.player.runs == [(PcmFormat(24000), bytearray(PCM_40MS * 2))]


def test_an_interrupt_of_the_music_leaves_the_voice(stage: Stage) -> None:
    stage.send(Build.response_audio_start("q", "r"))
    stage.frame()
    stage.send(Build.control_interrupt(interrupt_scope="BGM_ONLY"))
    assert stage.states[-1] == "SPEAKING"
    stage.send(Build.control_interrupt(interrupt_scope="VOICE_AND_ACCOMPANIMENT"))
    assert stage.states[-1] == "IDLE"


def test_only_the_named_response_is_cancelled(stage: Stage) -> None:
    stage.send(Build.response_start("q", "r"), Build.response_cancel("other"))
    assert stage.states == ["STAGING"]
    stage.send(Build.response_cancel("r"))
    assert stage.states == ["STAGING", "IDLE"]
    assert stage.player.turns[0].outcome == "cancelled"


def test_a_finish_of_another_response_ends_nothing(stage: Stage) -> None:
    stage.send(Build.response_audio_start("q", "r"), Build.response_audio_finish("q", "other"))
    stage.send(Build.response_done("q", "r"))
    stage.clock.advance(10)
    assert stage.player.turns[0].outcome == "playing"


def test_a_new_turn_replaces_the_open_one(stage: Stage) -> None:
    stage.send(Build.response_audio_start("q", "1"))
    stage.frame()
    stage.send(Build.response_audio_start("q", "2"))
    assert [turn.outcome for turn in stage.player.turns] == ["replaced", "playing"]
    assert stage.states == ["STAGING", "SPEAKING", "STAGING"]


def test_the_end_of_the_session_ends_the_turn(stage: Stage) -> None:
    stage.send(Build.response_start("q", "r"), Build.response_done("q", "r"))
    stage.player.stop()
    stage.clock.advance(10)
    assert stage.player.turns[0].outcome == "unfinished"
    assert stage.states == ["STAGING"]


def test_underruns_and_drift(stage: Stage) -> None:
    stage.send(Build.response_audio_start("r", "p"))
    (turn,) = stage.player.turns
    for _ in range(5):
        stage.frame()
    assert (turn.underruns, turn.drift_ms) == (0, pytest.approx(-160))
    stage.clock.advance(0.25)
    stage.frame()
    assert (turn.underruns, turn.underrun_ms) == (1, pytest.approx(50))
    assert turn.drift_ms == pytest.approx(50)
    stage.clock.advance(0.05)
    stage.frame()
    assert (turn.underruns, turn.underrun_ms) == (2, pytest.approx(60))
    assert turn.drift_ms == pytest.approx(60)


def test_the_silence_before_a_turn_is_no_underrun(stage: Stage) -> None:
    stage.send(Build.response_audio_start("r", "p"))
    stage.clock.advance(3)
    stage.frame()
    assert stage.player.turns[0].underruns == 0
    assert stage.player.turns[0].drift_ms == 0


@pytest.mark.parametrize("interrupt", [Build.control_interrupt(), Build.input_voice_start("v")])
def test_frames_after_an_interrupt_are_stale(stage: Stage, interrupt: dict[str, Any]) -> None:
    stage.send(Build.response_audio_start("r", "p"))
    stage.frame()
    stage.send(interrupt)
    stage.frame()
    stage.frame()
    stage.send(Build.response_audio_finish("r", "p"), Build.response_audio_start("r", "q"))
    stage.frame()
    assert [turn.stale_frames for turn in stage.player.turns] == [2, 0]


def test_frames_after_a_turn_that_was_played_are_not_stale(stage: Stage) -> None:
    stage.send(Build.response_audio_start("r", "p"), Build.response_audio_finish("r", "p"))
    stage.clock.advance(1)
    stage.frame()
    assert stage.player.turns[0].stale_frames == 0


def test_a_change_of_format_begins_a_new_run(stage: Stage) -> None:
    stage.frame(b"ab")
    stage.frame(b"cd", rate=0)
    stage.frame(b"efgh", channel=1)
    stage.frame(b"ijkl", channel=1)
    assert stage.player.runs == [
        (PcmFormat(24000), bytearray(b"ab")),
        (PcmFormat(16000), bytearray(b"cd")),
        (PcmFormat(24000, 2), bytearray(b"efghijkl")),
    ]


def test_opus_plays_by_its_samples_and_is_no_pcm(stage: Stage) -> None:
    stage.send(Build.response_audio_start("q", "r"))
    stage.player.audio(AudioFrame(0, True, 0, 0, 2, 960, 1, b"opus"))
    stage.send(Build.response_audio_finish("q", "r"))
    stage.clock.advance(0.019)
    assert stage.states[-1] == "SPEAKING"
    stage.clock.advance(0.001)
    assert stage.states[-1] == "IDLE"
    assert stage.player.runs == []


def test_a_rate_without_a_meaning_is_refused(stage: Stage) -> None:
    with pytest.raises(ValueError, match="sample_rate 3"):
        stage.frame(rate=3)


@pytest.mark.parametrize("data", [None, 5, [], {"text": 5}, {"interruptScope": []}])
@pytest.mark.parametrize(
    "name",
    [
        "response.start",
        "response.chunk",
        "response.done",
        "response.cancel",
        "control.interrupt",
        "system.prompt",
        "response.audio.start",
        "response.audio.finish",
        "no.such.event",
    ],
)
def test_wrong_types_anywhere_are_survived(stage: Stage, name: str, data: object) -> None:
    stage.send({"event": name, "requestId": 5, "responseId": {}, "data": data}, {"event": name})
    assert all(turn.text == "" for turn in stage.player.turns)
