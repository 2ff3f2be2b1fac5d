"""The conversation without a socket."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatarwire import AudioFrame, ImageFrame, MessageBuilder
from avatarwire.liveavatar.messages import encode
from avatarwire.liveavatar.protocol import LiveAvatarProtocol


@pytest.fixture
def protocol():
    return LiveAvatarProtocol()


def text(event):
    return encode(event).decode()


def test_session_init_opens_and_is_answered_each_time(protocol):
    assert not protocol.is_open
    for _ in range(2):
        inbound = protocol.receive(text(MessageBuilder.session_init("s", "u")))
        assert inbound.arguments() == ("s", "u")
        assert protocol.is_open
        assert protocol.replies() == [{"event": "session.ready"}]
        assert protocol.replies() == []


def test_session_closing_ends_sending(protocol):
    protocol.receive(text(MessageBuilder.session_closing("idle")))
    assert protocol.is_closing


def test_audio_comes_out_as_a_frame(protocol):
    frame = AudioFrame(seq=7, samples=1, payload=b"ab")
    assert protocol.hear([frame.pack()], 0, 1) == [frame]


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("{", "text that is not a JSON event"),
        ("[]", "text that is not a JSON event"),
        ('{"event": "input.text"}', "an event with a missing field"),
        (b"", "a binary message of unknown type"),
        (b"\xff" * 40, "a binary message of unknown type"),
        (AudioFrame(payload=b"abcd").pack()[:-1], "a truncated audio frame"),
        (b"\x40", "a truncated audio frame"),
        (ImageFrame(payload=b"x").pack(), "a frame of type IMAGE"),
    ],
)
def test_what_makes_no_sense_is_counted_and_told_once(protocol, caplog, message, cause):
    for _ in range(3):
        assert protocol.receive(message) is None
    assert sum(protocol.ignored.values()) == 3
    (told,) = caplog.records
    assert told.levelno == logging.WARNING
    assert cause in told.getMessage()


def test_a_payload_is_never_logged(protocol, caplog):
    caplog.set_level(logging.DEBUG)
    protocol.receive('{"event": "input.text", "data": {"text": "private words"}}')
    protocol.receive("private words")
    assert "private" not in caplog.text


@given(st.lists(st.text() | st.binary(max_size=64)))
def test_nothing_that_arrives_is_fatal(messages):
    protocol = LiveAvatarProtocol()
    for message in messages:
        protocol.receive(message)
    assert protocol.replies() == []
