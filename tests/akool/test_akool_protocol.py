import json

import pytest

from avatarwire.akool.messages import Ack, Other, ServerError
from avatarwire.akool.protocol import AGORA, WEBSOCKET, AkoolProtocol


@pytest.fixture
def protocol():
    return AkoolProtocol()


def text(kind, mid="m", **payload):
    return json.dumps({"v": 2, "type": kind, "mid": mid, "pld": payload})


def test_the_platform_says_when_it_is_connected(protocol):
    assert (protocol.is_connected, protocol.is_agora_connected) == (False, False)
    protocol.expect(WEBSOCKET)
    assert protocol.receive(text("system", status="websocket_connected")).done == {WEBSOCKET}
    assert (protocol.is_connected, protocol.is_agora_connected) == (True, False)
    protocol.expect(AGORA)
    assert protocol.receive(text("system", status="agora_connected")).done == {AGORA}
    assert protocol.is_agora_connected


def test_an_ack_is_for_the_call_of_its_mid_and_once(protocol):
    protocol.expect("one")
    protocol.expect("two")
    received = protocol.receive(text("ack", original_mid="two"))
    assert (received.inbound, received.done, received.failed) == (Ack("two"), {"two"}, frozenset())
    assert protocol.receive(text("ack", original_mid="two")).done == frozenset()
    assert protocol.receive(text("ack", original_mid="other")).done == frozenset()


@pytest.mark.parametrize("where", ["payload", "message"])
def test_an_error_fails_the_call_that_it_names(protocol, where):
    protocol.expect("one")
    protocol.expect("two")
    message = (
        text("error", error_code=1, original_mid="one")
        if where == "payload"
        else text("error", mid="one", error_code=1)
    )
    received = protocol.receive(message)
    assert isinstance(received.inbound, ServerError)
    assert (received.done, received.failed) == (frozenset(), {"one"})
    assert protocol.receive(text("ack", original_mid="two")).done == {"two"}


def test_an_error_that_names_no_call_fails_all_that_wait(protocol):
    for what in ("one", "two", AGORA, "gone"):
        protocol.expect(what)
    protocol.forget("gone")
    received = protocol.receive(text("error", mid="error-1", error_code=5))
    assert received.failed == {"one", "two", AGORA}
    assert protocol.receive(text("error")).failed == frozenset()


def test_anything_else_is_only_told(protocol):
    protocol.expect("one")
    received = protocol.receive(text("chat", audio="…"))
    assert (received.inbound, received.done, received.failed) == (
        Other(),
        frozenset(),
        frozenset(),
    )
    assert received.message["pld"] == {"audio": "…"}


def test_what_is_no_message_is_counted_and_told_once(protocol, caplog):
    for message in ("{", "hush", b"\x00", "[]"):
        assert protocol.receive(message) is None
    assert protocol.ignored == {"text that is not a JSON message": 3, "a binary message": 1}
    assert len(caplog.records) == 2
    assert "hush" not in caplog.text


def test_a_received_message_is_in_no_repr(protocol):
    assert "secret" not in repr(protocol.receive(text("chat", audio="secret")))


def test_what_calls_wait_for_outlives_the_connection(protocol):
    protocol.expect("two")
    protocol.begin()
    assert protocol.receive(text("ack", original_mid="two")).done == {"two"}
