"""Each event of the platform, typed for its callback."""

from dataclasses import replace

import pytest

from avatarwire.liveavatar.events import ResourceTransitionData, ResponseStateEvent, parse
from avatarwire.liveavatar.messages import MessageBuilder, SessionState

FINISHED = ResponseStateEvent("s", "r", "p", 3, 1700, "FINISHED", "COMPLETED")


def response_state(*, state="FINISHED", reason="COMPLETED", **changes):
    top = {"sessionId": "s", "requestId": "r", "responseId": "p", "seq": 3, "timestamp": 1700}
    return {
        "event": "response.state",
        **{key: value for key, value in {**top, **changes}.items() if value is not ...},
        "data": {"state": state, "reason": reason},
    }


def transition(previous, following, **more):
    data = {"previousResourceId": previous, "nextResourceId": following, **more}
    return {"event": "scene.resourceTransition", "sessionId": "s", "data": data}


def nested(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("event", "callback", "arguments"),
    [
        (MessageBuilder.session_init("s", "u"), "on_session_init", ("s", "u")),
        ({"event": "session.init", "data": {"sessionId": "s"}}, "on_session_init", ("s", "")),
        (MessageBuilder.session_state("IDLE", 1, 2), "on_session_state", (SessionState.IDLE,)),
        (MessageBuilder.session_closing("idle"), "on_session_closing", ("idle",)),
        ({"event": "session.closing"}, "on_session_closing", (None,)),
        (MessageBuilder.input_text("r", "hi"), "on_text_input", ("hi", "r")),
        (MessageBuilder.system_idle_trigger("quiet", 7), "on_idle_trigger", ("quiet", 7)),
        (MessageBuilder.error("E", "words"), "on_error", ("E", "words")),
        ({"event": "error", "data": {"code": 42}}, "on_error", ("42", "")),
        (
            {"event": "error", "data": {"code": None, "message": {"a": 1}}},
            "on_error",
            ("", '{"a":1}'),
        ),
        ({"event": "error", "data": {"message": nested(1000)}}, "on_error", ("", "…")),
        ({"event": "my.own", "x": 1}, "on_event", ({"event": "my.own", "x": 1},)),
        ({"event": "scene.ready"}, "on_scene_ready", ()),
        (MessageBuilder.input_voice_start("r"), "on_voice_start", ("r",)),
        ({"event": "input.voice.start"}, "on_voice_start", ("",)),
        (MessageBuilder.input_voice_finish("r"), "on_voice_finish", ("r",)),
        (response_state(), "on_response_state", (FINISHED,)),
        (MessageBuilder.input_asr_partial("r", "he", 2), "on_asr_partial", ("he", "r", 2)),
        (MessageBuilder.input_asr_final("r", "hello"), "on_asr_final", ("hello", "r")),
        (MessageBuilder.control_interrupt(), "on_interrupt", (None, None)),
        (
            MessageBuilder.control_interrupt("r", None, "BGM_ONLY"),
            "on_interrupt",
            ("r", "BGM_ONLY"),
        ),
        (
            transition("a", "b", message="next"),
            "on_resource_transition",
            (ResourceTransitionData("a", "b", "next"),),
        ),
        (
            transition("a", "b", message=7),
            "on_resource_transition",
            (ResourceTransitionData("a", "b"),),
        ),
        (response_state(reason=None), "on_response_state", (replace(FINISHED, reason=None),)),
        (
            MessageBuilder.input_asr_partial("r", "he", 2) | {"seq": 2.0},
            "on_asr_partial",
            ("he", "r", 2),
        ),
        (
            {"event": "system.idleTrigger", "data": {"reason": "quiet", "idleTimeMs": 7.5}},
            "on_idle_trigger",
            ("quiet", 7),
        ),
        (response_state(seq=3.0, timestamp=1700.75), "on_response_state", (FINISHED,)),
    ],
)
def test_event_names_its_callback(event, callback, arguments):
    inbound = parse(event)
    assert inbound.callback == callback
    assert inbound.arguments() == arguments


def test_unknown_state_is_delivered():
    (state,) = parse(MessageBuilder.session_state("DANCING", 1, 2)).arguments()
    assert state.value == "DANCING"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (response_state(sessionId=" "), "session_id must be text that is not blank"),
        (response_state(responseId=7), "response_id must be text that is not blank"),
        (response_state(state=None), "state must be text"),
        (response_state(seq="3"), "seq must be an integer, not str"),
        (response_state(seq=True), "seq must be an integer, not bool"),
        (response_state(seq=...), "seq is missing"),
        (response_state(seq=3.5), "seq must be an integer, not float"),
        (response_state(timestamp="1.5"), "timestamp must be an integer, not str"),
        (response_state(reason=5), "reason must be text, not int"),
        (transition("a", " "), "a resource id is blank"),
        (transition("", "b"), "a resource id is blank"),
        (transition("a", None), '"nextResourceId" must be text'),
        ({"event": "input.asr.final", "requestId": "r"}, '"text" must be text'),
        (MessageBuilder.input_asr_partial("r", "x", 1) | {"seq": "1"}, '"seq" must be an integer'),
        (MessageBuilder.input_asr_partial("r", "x", 1) | {"seq": True}, '"seq" must be an integer'),
        ({"event": "session.init"}, '"sessionId" must be text'),
        ({"event": "session.init", "data": []}, '"sessionId" must be text'),
        ({"event": "session.state", "data": {"state": 3}}, '"state" must be text, not int'),
        ({"event": "input.text", "data": {"text": "x"}}, '"requestId" must be text, not NoneType'),
        ({"event": "input.text", "requestId": "r"}, '"text" must be text'),
        ({"event": "system.idleTrigger", "data": {"reason": "x"}}, '"idleTimeMs" must be a number'),
        (
            {"event": "system.idleTrigger", "data": {"reason": "x", "idleTimeMs": float("inf")}},
            '"idleTimeMs" must be a number',
        ),
    ],
)
def test_missing_field_is_named(event, words):
    with pytest.raises(ValueError, match=words):
        parse(event)


@pytest.mark.parametrize(
    ("previous", "following", "has"),
    [("a", "b", True), ("", "b", False), ("a", "\t", False), (None, "b", False)],
)
def test_a_transition_knows_whether_its_ids_are_there(previous, following, has):
    assert ResourceTransitionData(previous, following).has_required_resource_ids() is has
