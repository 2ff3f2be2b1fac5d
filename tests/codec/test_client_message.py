import random

import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from parsers import parse

from avatarwire.codec import client_message

SIZES = [0, 1, 7, 8, 9, 63, 64, 65, 125, 126, 127, 65535, 65536, 65537, 200_001]


@pytest.mark.parametrize("size", SIZES)
def test_exact_bytes(size, masks):
    payload = random.Random(size).randbytes(size)  # noqa: S311
    assert client_message(payload) == reference.client_message(payload, masks[0])
    text = b"a" * size
    assert client_message(text, text=True) == reference.client_message(text, masks[1], text=True)


@pytest.mark.parametrize("size", SIZES)
def test_two_implementations_read_it(size):
    payload = random.Random(size).randbytes(size)  # noqa: S311
    assert parse(client_message(payload)) == [payload]
    text = "é" * (size // 2)
    assert parse(client_message(text.encode(), text=True)) == [text]


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_batches(payloads):
    assert parse(b"".join(map(client_message, payloads))) == payloads


def test_buffers(as_buffer, masks):
    assert client_message(as_buffer(b"hello")) == reference.client_message(b"hello", masks[0])


def test_wrong_payloads(unexported):
    for wrong in ("text", None, 1, [1]):
        with pytest.raises(TypeError):
            client_message(wrong)
    with pytest.raises(ValueError, match="contiguous"):
        client_message(memoryview(bytes(10))[::2])
    with pytest.raises(TypeError):
        client_message(b"", True)
    payload = bytearray(b"hello")
    client_message(payload)
    unexported(payload)
