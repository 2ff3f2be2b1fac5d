"""Exact bytes out, typed values in."""

import array
import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatarwire.akool import messages
from avatarwire.akool.messages import (
    Ack,
    AgoraConnected,
    AgoraParams,
    EnvelopeWire,
    FlatWire,
    Other,
    Pong,
    ServerError,
    WebSocketConnected,
    decode,
    parse,
)

PARAMS = AgoraParams(
    "app", "chan", "tok", "12", voice_id="v", language="de", background_url="https://b"
)


@pytest.fixture
def envelope(monkeypatch):
    monkeypatch.setattr(messages.time, "time_ns", lambda: 1_700_000_000_123_456_789)
    return EnvelopeWire()


def test_envelope_set_params(envelope):
    message = envelope.set_params(PARAMS)
    assert message.mid == "cmd-set-params-1700000000123"
    assert message.json == (
        b'{"v":2,"type":"command","mid":"cmd-set-params-1700000000123","pld":{"cmd":"set-params",'
        b'"data":{"vid":"v","lang":"de","mode":3,"bgurl":"https://b"},"metadata":{"agora_data":'
        b'{"appid":"app","channel_id":"chan","token":"tok","uid":"12"}}}}'
    )


def test_envelope_audio(envelope):
    assert envelope.audio(b"\x01\x02\x03\x04") == (
        b'{"v":2,"type":"chat","mid":"audio-1700000000123","pld":{"audio":"AQIDBA=="}}'
    )


def test_envelope_commands(envelope):
    assert envelope.hello("key", "avatar") is None
    assert envelope.ping() == b'{"v":2,"type":"ping","mid":"ping-1700000000123","pld":{}}'
    assert envelope.interrupt() == (
        "cmd-interrupt-1700000000124",
        b'{"v":2,"type":"command","mid":"cmd-interrupt-1700000000124","pld":{"cmd":"interrupt"}}',
    )
    goodbye = envelope.leave("client_disconnect")
    assert goodbye.mid == "event-leave-1700000000125"
    assert goodbye.json == (
        b'{"v":2,"type":"event","mid":"event-leave-1700000000125",'
        b'"pld":{"event":"leave_channel","reason":"client_disconnect"}}'
    )


def test_no_two_messages_share_a_mid(envelope):
    mids = []
    for _ in range(1500):
        mids += [json.loads(envelope.audio(b"12"))["mid"], json.loads(envelope.ping())["mid"]]
    assert [mid.partition("-")[0] for mid in mids[:2]] == ["audio", "ping"]
    stamps = [int(mid.rpartition("-")[2]) for mid in mids]
    assert stamps == list(range(1_700_000_000_123, 1_700_000_003_123))


@pytest.mark.parametrize(
    ("uid", "sent"),
    [
        ("12", "12"),
        (12, "12"),
        ("nobody", '"nobody"'),
        ("١٢", '"١٢"'),
        ("9" * 5000, '"' + "9" * 5000 + '"'),
    ],
)
def test_flat_messages(uid, sent):
    wire = FlatWire()
    params = AgoraParams("app", "chan", "tok", uid)
    assert wire.hello("key", "avatar") == (
        "",
        b'{"type":"auth","token":"key","avatar_id":"avatar"}',
    )
    assert wire.set_params(params).json.decode() == (
        '{"type":"agora_params","data":{"channel":"chan","userId":' + sent + ',"rtcToken":"tok"}}'
    )
    assert wire.audio(b"\x01\x02\x03\x04") == b'{"type":"audio_data","data":"AQIDBA=="}'
    assert wire.ping() == b'{"type":"ping"}'


@given(st.binary(max_size=4096))
@pytest.mark.parametrize("wire", [EnvelopeWire(), FlatWire()])
def test_audio_is_json_that_holds_the_sound(wire, pcm):
    message = json.loads(wire.audio(pcm))
    audio = message["data"] if "data" in message else message["pld"]["audio"]
    assert base64.b64decode(audio, validate=True) == pcm


@pytest.mark.parametrize(
    "pcm", [bytearray(b"abcd"), memoryview(b"abcd"), array.array("h", b"abcd")]
)
def test_audio_takes_any_buffer(pcm):
    assert FlatWire().audio(pcm) == FlatWire().audio(b"abcd")


def test_what_json_cannot_carry_is_a_type_error():
    with pytest.raises(TypeError):
        EnvelopeWire().set_params(AgoraParams("app", {1}, "tok", "12"))


@pytest.mark.parametrize("wire", [EnvelopeWire(), FlatWire()])
def test_half_a_character_is_a_replacement_in_both_directions(wire):
    message = wire.set_params(AgoraParams("app", "a\udc4d", "tok", "12"))
    assert "a\ufffd" in message.json.decode()
    assert decode(b'{"type":"chat","pld":{"text":"\\ud83d!"}}')["pld"]["text"] == "\ufffd!"


def test_parameters_keep_the_token_out_of_their_repr():
    assert "tok" not in repr(PARAMS)


def system(status, **more):
    return {"v": 2, "type": "system", "mid": "system-1", "pld": {"status": status, **more}}


@pytest.mark.parametrize(
    ("message", "inbound"),
    [
        (system("websocket_connected"), WebSocketConnected()),
        (system("agora_connected", channel_id="c"), AgoraConnected("c")),
        (system("agora_connected"), AgoraConnected("")),
        (system("agora_connected", channel_id=7), AgoraConnected("")),
        (system("rebooting"), Other()),
        ({"type": "system"}, Other()),
        ({"type": "system", "pld": []}, Other()),
        ({"type": "ack", "pld": {"original_mid": "m", "status": "success"}}, Ack("m")),
        ({"type": "ack", "pld": {"original_mid": 1}}, Other()),
        ({"type": "pong", "pld": {}}, Pong()),
        ({"type": "pong"}, Pong()),
        ({"type": "chat", "pld": {}}, Other()),
        (
            {"type": "error", "mid": "e", "pld": {"error_code": 4001, "error_message": "no"}},
            ServerError(4001, "no", ("e",)),
        ),
        (
            {"type": "error", "pld": {"error_code": "4001", "original_mid": "m", "mid": "n"}},
            ServerError(4001, "Unknown error", ("m", "n")),
        ),
        (
            {"type": "error", "pld": {"error_code": "9" * 5000, "error_message": {"why": None}}},
            ServerError(None, '{"why":null}', ()),
        ),
        ({"type": "error", "pld": {"error_message": None}}, ServerError(None, "Unknown error", ())),
        ({"type": "error", "pld": {"error_code": "bad"}}, ServerError(None, "Unknown error", ())),
        ({"type": "error"}, ServerError(None, "Unknown error", ())),
    ],
)
def test_parse(message, inbound):
    assert parse(decode(json.dumps(message))) == inbound


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"type":1}', '"pong"'])
def test_what_is_no_message_is_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the decoder's own words for the first two
        decode(text)
