"""Every event exactly as it goes on the wire."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatarwire.liveavatar.messages import (
    EventType,
    MessageBuilder,
    SessionState,
    decode,
    encode,
)

META = {"trace": "t-1"}

# (call, the event it gives)
EVENTS = [
    (
        MessageBuilder.session_init("s", "u"),
        {"event": "session.init", "data": {"sessionId": "s", "userId": "u"}},
    ),
    (MessageBuilder.session_ready(), {"event": "session.ready"}),
    (
        MessageBuilder.session_state("IDLE", 4, 99),
        {"event": "session.state", "seq": 4, "timestamp": 99, "data": {"state": "IDLE"}},
    ),
    (MessageBuilder.session_closing(), {"event": "session.closing", "data": {}}),
    (
        MessageBuilder.session_closing("idle"),
        {"event": "session.closing", "data": {"reason": "idle"}},
    ),
    (MessageBuilder.session_stop(), {"event": "session.stop"}),
    (MessageBuilder.scene_ready(), {"event": "scene.ready"}),
    (
        MessageBuilder.input_text("r", "hi"),
        {"event": "input.text", "requestId": "r", "data": {"text": "hi"}},
    ),
    (
        MessageBuilder.input_text("r", "hi", META),
        {"event": "input.text", "requestId": "r", "data": {"text": "hi", "trace": "t-1"}},
    ),
    (
        MessageBuilder.input_asr_partial("r", "he", 2),
        {
            "event": "input.asr.partial",
            "requestId": "r",
            "seq": 2,
            "data": {"text": "he", "final": False},
        },
    ),
    (
        MessageBuilder.input_asr_final("r", "hello"),
        {"event": "input.asr.final", "requestId": "r", "data": {"text": "hello"}},
    ),
    (MessageBuilder.input_voice_start("r"), {"event": "input.voice.start", "requestId": "r"}),
    (
        MessageBuilder.input_voice_finish("r", META),
        {"event": "input.voice.finish", "requestId": "r", "data": META},
    ),
    (
        MessageBuilder.response_start("r", "p", 1.5, 0.5, "happy"),
        {
            "event": "response.start",
            "requestId": "r",
            "responseId": "p",
            "data": {"audioConfig": {"speed": 1.5, "volume": 0.5, "mood": "happy"}},
        },
    ),
    (
        MessageBuilder.response_start("r", "p"),
        {
            "event": "response.start",
            "requestId": "r",
            "responseId": "p",
            "data": {"audioConfig": {"speed": 1.0, "volume": 1.0}},
        },
    ),
    (
        MessageBuilder.response_chunk("r", "p", 0, 12, "word "),
        {
            "event": "response.chunk",
            "requestId": "r",
            "responseId": "p",
            "seq": 0,
            "timestamp": 12,
            "data": {"text": "word "},
        },
    ),
    (
        MessageBuilder.response_done("r", "p"),
        {"event": "response.done", "requestId": "r", "responseId": "p"},
    ),
    (MessageBuilder.response_cancel("p"), {"event": "response.cancel", "responseId": "p"}),
    (
        MessageBuilder.response_audio_start("r", "p"),
        {"event": "response.audio.start", "requestId": "r", "responseId": "p"},
    ),
    (
        MessageBuilder.response_audio_finish("r", "p", META),
        {"event": "response.audio.finish", "requestId": "r", "responseId": "p", "data": META},
    ),
    (MessageBuilder.response_audio_prompt_start(), {"event": "response.audio.promptStart"}),
    (MessageBuilder.response_audio_prompt_finish(), {"event": "response.audio.promptFinish"}),
    (MessageBuilder.control_interrupt(), {"event": "control.interrupt"}),
    (MessageBuilder.control_interrupt("r"), {"event": "control.interrupt", "requestId": "r"}),
    (
        MessageBuilder.control_interrupt("r", META, " BGM_ONLY "),
        {
            "event": "control.interrupt",
            "requestId": "r",
            "data": {"interruptScope": "BGM_ONLY", "trace": "t-1"},
        },
    ),
    (
        MessageBuilder.control_interrupt(interrupt_scope="VOICE_ONLY"),
        {"event": "control.interrupt"},
    ),
    (MessageBuilder.control_interrupt(interrupt_scope="  "), {"event": "control.interrupt"}),
    (
        MessageBuilder.system_idle_trigger("quiet", 30000),
        {"event": "system.idleTrigger", "data": {"reason": "quiet", "idleTimeMs": 30000}},
    ),
    (
        MessageBuilder.system_prompt("still there?"),
        {"event": "system.prompt", "data": {"text": "still there?"}},
    ),
    (
        MessageBuilder.system_prompt_start("r", "p"),
        {"event": "system.prompt.start", "requestId": "r", "responseId": "p"},
    ),
    (
        MessageBuilder.system_prompt_chunk("r", "p", 1, 5, "so"),
        {
            "event": "system.prompt.chunk",
            "requestId": "r",
            "responseId": "p",
            "seq": 1,
            "timestamp": 5,
            "data": {"text": "so"},
        },
    ),
    (
        MessageBuilder.system_prompt_done("r", "p"),
        {"event": "system.prompt.done", "requestId": "r", "responseId": "p"},
    ),
    (
        MessageBuilder.error("E", "words"),
        {"event": "error", "data": {"code": "E", "message": "words"}},
    ),
    (
        MessageBuilder.error("E", "words", "r"),
        {"event": "error", "requestId": "r", "data": {"code": "E", "message": "words"}},
    ),
]


@pytest.mark.parametrize(("built", "wire"), EVENTS, ids=lambda value: value.get("event"))
def test_event_is_exactly_what_the_protocol_says(built, wire):
    assert built == wire
    assert type(built["event"]) is str
    assert json.loads(encode(built)) == wire
    assert decode(encode(built)) == wire


def test_every_builder_is_covered():
    builders = {name for name in vars(MessageBuilder) if not name.startswith("_")}
    covered = {built["event"] for built, _ in EVENTS}
    assert len(builders) == len(covered) == 26


def test_event_types_equal_their_strings():
    assert EventType.INPUT_TEXT == "input.text"
    assert {"event": "error"}["event"] == EventType.ERROR


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: MessageBuilder.input_text("r", None), TypeError, "text must be str, not NoneType"),
        (lambda: MessageBuilder.input_text(7, "x"), TypeError, "request_id must be str"),
        (lambda: MessageBuilder.response_chunk("r", "p", 0.5, 0, "x"), TypeError, "seq must be"),
        (lambda: MessageBuilder.response_chunk("r", "p", True, 0, "x"), TypeError, "seq must be"),
        (lambda: MessageBuilder.response_chunk("r", "p", 0, "0", "x"), TypeError, "timestamp"),
        (lambda: MessageBuilder.response_start("r", "p", float("nan")), ValueError, "speed"),
        (lambda: MessageBuilder.response_start("r", "p", 1, float("inf")), ValueError, "volume"),
        (lambda: MessageBuilder.response_start("r", "p", "fast"), TypeError, "speed"),
        (lambda: MessageBuilder.response_start("r", "p", mood=1), TypeError, "mood"),
        (lambda: MessageBuilder.response_done("r", "p", ["x"]), TypeError, "metadata must be"),
        (lambda: MessageBuilder.control_interrupt(interrupt_scope="ALL"), ValueError, "'ALL'"),
        (lambda: MessageBuilder.system_prompt_start(" ", "p"), ValueError, "must be non-empty"),
        (lambda: MessageBuilder.system_prompt_done("r", None), ValueError, "must be non-empty"),
        (lambda: MessageBuilder.system_prompt_chunk("r", "p", 0, 0, "x"), ValueError, "seq"),
        (lambda: MessageBuilder.system_prompt_chunk("r", "p", True, 0, "x"), ValueError, "seq"),
        (
            lambda: MessageBuilder.system_prompt_chunk("r", "p", 1, 1.5, "x"),
            ValueError,
            "timestamp",
        ),
    ],
)
def test_bad_argument_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_metadata_may_not_override_a_field_of_the_event():
    with pytest.raises(ValueError, match=r"reserved data field\(s\): final, text"):
        MessageBuilder.input_asr_partial("r", "x", 0, {"text": 1, "final": 2, "ok": 3})
    with pytest.raises(ValueError, match="interruptScope"):
        MessageBuilder.control_interrupt("r", {"interruptScope": "x"}, "BGM_ONLY")


def test_encode_names_the_event_that_json_cannot_carry():
    with pytest.raises(TypeError, match=r"^my\.event: cannot be written as JSON"):
        encode({"event": "my.event", "data": {"x": object()}})
    with pytest.raises(TypeError, match=r"^input\.text"):
        encode(MessageBuilder.input_text("r", "hello", {"x": {1}}))


def test_half_a_character_is_a_replacement_in_both_directions():
    assert b'"text":"a\xef\xbf\xbdb"' in encode(MessageBuilder.input_text("r", "a\ud83db"))
    assert b"\xf0\x9f\x91\x8d" in encode(MessageBuilder.input_text("r", "\ud83d\udc4d"))
    event = decode(b'{"event":"input.text","data":{"text":"a\\ud83d"}}')
    assert event["data"]["text"] == "a\ufffd"


@pytest.mark.parametrize("message", ["", "{", "[]", "null", '"x"', "{}", '{"event": 3}', "\x00"])
def test_decode_refuses_what_is_no_event(message):
    with pytest.raises(ValueError):  # noqa: PT011 - the decoder's own words differ by library
        decode(message)


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.text() | st.integers(0, 2**53)))
def test_custom_data_survives(data):
    event = {"event": "my.event", "data": data}
    assert decode(encode(event)) == event
    assert decode(encode(event).decode()) == event


def test_unknown_session_state_becomes_a_member_of_that_value():
    state = SessionState("DANCING")
    assert isinstance(state, SessionState)
    assert (state.value, state.name, state) == ("DANCING", "DANCING", "DANCING")
    assert state not in list(SessionState)
    assert pickle.loads(pickle.dumps(state)) == state  # noqa: S301 - our own bytes
    assert hash(state) == hash(SessionState("DANCING"))
    with pytest.raises(ValueError, match="3 is not a valid"):
        SessionState(3)
