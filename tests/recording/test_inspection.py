from recordings import conversation, made, speak

from avatarwire.recording import findings
from avatarwire.recording.inspection import Problem


def test_turns_gaps_and_interrupts(tmp_path):
    found = findings(made(tmp_path, conversation))
    first, second = found.turns
    assert (first.reason, first.opened_s, first.ended_s) == ("completed", 1.0, 2.0)
    assert first.runs == [(1.0, 1.5)]
    assert first.silent_after_ms is None
    assert (second.reason, second.runs) == ("interrupted", [(2.5, 2.9)])
    assert (second.silent_after_ms, second.confirmed_after_ms) == (0.0, 0.0)
    assert found.gaps == [(2.0, 0.5)]
    assert found.states == [(2.9, "IDLE")]
    assert found.messages == {("send", "text"): 1, ("recv", "text"): 2, ("send", "audio"): 2,
                              ("recv", "audio"): 1}  # fmt: skip
    assert found.length_s == 4.0
    assert found.problems == [
        Problem(2.0, "the connection was lost: close code 1006"),
        Problem(2.9, "turn turn-b ran out of sound 2 times, 0 ms in all"),
    ]


def test_all_that_can_go_wrong_is_told_where_it_was(tmp_path):
    def tell(to, at):
        to.turn("a", "opened", {})
        at(1)
        to.turn("a", "underrun", {"underrun_ms": 40.4})
        to.turn("a", "ended", {"reason": "timed_out"})
        speak(to, "b", 1, 100)
        at(2)
        to.turn("b", "ended", {"reason": "lost", "stale_frames": 3})
        to.message("received", "text", '{"name":"error"}')
        to.life("ended", {"code": 1011, "reason": "silent"})
        to.life("lost_events", {"count": 5})
        to.life("full", {})

    recording = made(tmp_path, tell)
    recording.broken_lines = 1
    recording.records.append(
        {"t": 2, "ts": 2, "kind": "stats",
         "stats": {"lateness_max_ms": 300.0, "dropped": {"callback_slow": 2}}}
    )  # fmt: skip
    assert [problem.words for problem in findings(recording).problems] == [
        "turn a ran out of sound for 40 ms",
        "turn a timed out",
        "turn b lost",
        "3 frames of turn b came after its interrupt",
        "an error was received",
        "the session ended: close code 1011 silent",
        "5 events were not recorded: the disk was too slow",
        "the recording reached max_bytes: what follows is missing",
        "1 lines are cut short: the process may have been killed",
        "sound left up to 300 ms late: something held the event loop",
        "dropped: 2 callback_slow",
    ]


def test_a_name_that_comes_again_is_another_turn(tmp_path):
    def tell(to, at):
        for t in (1, 2):
            speak(to, "voice", t, 100)
            at(t + 0.5)
            to.turn("voice", "ended", {"reason": "completed"})

    assert [turn.opened_s for turn in findings(made(tmp_path, tell)).turns] == [0.0, 1.5]


def test_a_turn_that_is_open_has_no_reason(tmp_path):
    def tell(to, at):
        speak(to, "a", 0, 100)
        at(1)

    (turn,) = findings(made(tmp_path, tell)).turns
    assert (turn.reason, turn.ended_s, turn.heard_s) == ("", None, 0.1)
