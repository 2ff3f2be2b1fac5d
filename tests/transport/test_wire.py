"""What was framed is read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from avatarwire.transport import count_messages, read_messages


def framed(message):
    if isinstance(message, str):
        return Frame(Opcode.TEXT, message.encode()).serialize(mask=True)
    return Frame(Opcode.BINARY, message).serialize(mask=True)


@given(st.lists(st.one_of(st.text(), st.binary(max_size=300))))
def test_messages_come_back(messages):
    wire = b"".join(framed(message) for message in messages)
    assert list(read_messages(wire)) == messages
    texts = sum(isinstance(message, str) for message in messages)
    assert count_messages(wire) == (texts, len(messages) - texts)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 70_001])
def test_every_length(size):
    message = bytes(n % 251 for n in range(size))
    assert list(read_messages(framed(message) + framed("x"))) == [message, "x"]
