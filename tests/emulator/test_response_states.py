"""What the emulated platform says of responses."""

from collections.abc import Sequence

import pytest

from avatarwire.emulator.liveavatar.faults import Faults
from avatarwire.emulator.liveavatar.player import Turn
from avatarwire.emulator.liveavatar.response_states import ResponseStates
from avatarwire.liveavatar.messages import Event
from avatarwire.liveavatar.messages import MessageBuilder as Build


class Desk:
    def __init__(self, rejections: Sequence[str] = ()) -> None:
        self.posted: list[Event] = []
        self.states = ResponseStates("s", self.posted.append)
        self.states.faults = Faults()
        self.states.faults.rejections.extend(rejections)

    @property
    def told(self) -> list[tuple[object, ...]]:
        return [
            (
                event["requestId"],
                event["responseId"],
                event["seq"],
                event["data"]["state"],
                event["data"].get("reason"),
            )
            for event in self.posted
        ]


def test_a_turn_is_accepted_and_its_end_is_told() -> None:
    desk = Desk()
    turn = Turn("text", "r", "p")
    desk.states.begun(turn)
    turn.reason = "COMPLETED"
    desk.states.ended(turn)
    assert desk.told == [("r", "p", 1, "ACCEPTED", None), ("r", "p", 2, "FINISHED", "COMPLETED")]
    assert desk.posted[0]["sessionId"] == "s"


def test_a_response_that_begins_anew_goes_on() -> None:
    desk = Desk()
    first, second = Turn("audio", "r", "p"), Turn("audio", "r", "p", reason="COMPLETED")
    desk.states.begun(first)
    desk.states.ended(first)
    desk.states.begun(second)
    desk.states.ended(second)
    assert [state for _, _, _, state, _ in desk.told] == ["ACCEPTED", "FINISHED"]


def test_what_has_no_id_is_not_spoken_of() -> None:
    desk = Desk()
    turn = Turn("prompt audio", reason="COMPLETED")
    desk.states.begun(turn)
    desk.states.ended(turn)
    assert desk.posted == []


def test_an_older_platform_says_nothing() -> None:
    desk = Desk(["SESSION_BUSY"])
    desk.states.faults.withhold_response_states = True
    desk.states.begun(Turn("text", "r", "p"))
    assert desk.states.rejects(Build.response_start("r", "q"))
    assert desk.posted == []


@pytest.mark.parametrize(
    "beginning",
    [
        Build.response_start("r", "p"),
        Build.response_chunk("r", "p", 0, 0, "x"),
        Build.response_audio_start("r", "p"),
        Build.system_prompt_start("r", "p"),
    ],
)
def test_a_response_is_rejected_whole_and_once(beginning: Event) -> None:
    desk = Desk(["SESSION_BUSY"])
    assert desk.states.rejects(beginning)
    for event in (Build.response_chunk("r", "p", 1, 0, "x"), Build.response_done("r", "p")):
        assert desk.states.rejects(event)
    assert not desk.states.rejects(Build.response_start("r", "q"))
    assert not desk.states.rejects(Build.system_prompt("no id"))
    assert desk.told == [("r", "p", 1, "REJECTED", "SESSION_BUSY")]


def test_the_first_chunk_of_a_started_response_begins_nothing() -> None:
    desk = Desk(["SESSION_BUSY"])
    assert desk.states.rejects(Build.response_start("r", "p"))
    desk.states.faults.rejections.append("SESSION_BUSY")
    assert desk.states.rejects(Build.response_chunk("r", "p", 0, 0, "x"))
    assert len(desk.posted) == 1
    assert desk.states.rejects(Build.response_chunk("r", "q", 0, 0, "x"))
    assert len(desk.posted) == 2
    assert not desk.states.rejects(Build.response_start("r", "p")), "its id is used anew"


def test_a_rejection_of_what_has_no_request_is_told_without() -> None:
    desk = Desk(["INVALID_REQUEST"])
    assert desk.states.rejects({"event": "response.start", "responseId": "p", "requestId": 7})
    assert desk.told == [("", "p", 1, "REJECTED", "INVALID_REQUEST")]


def test_a_state_may_come_out_of_its_order() -> None:
    desk = Desk()
    seqs = [desk.states.event("r", "p", "NEXT_YEARS", seq=seq)["seq"] for seq in (None, 9, None)]
    assert seqs == [1, 9, 2]
