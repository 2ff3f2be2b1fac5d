import array
import itertools
import os

import pytest

from avatarwire.codec import _masks


@pytest.fixture
def masks(monkeypatch):
    """Masking keys in a known order: 4-byte key i is i + 1 in network byte order."""
    counter = itertools.count(1)

    def urandom(size):
        return b"".join(next(counter).to_bytes(4, "big") for _ in range(size // 4))

    monkeypatch.setattr(os, "urandom", urandom)
    _masks.discard()
    yield [i.to_bytes(4, "big") for i in range(1, 5000)]
    monkeypatch.undo()
    _masks.discard()


BUFFERS = {
    "bytes": bytes,
    "bytes subclass": type("Message", (bytes,), {}),
    "bytearray": bytearray,
    "memoryview": memoryview,
    "slice": lambda data: memoryview(b"x" + data + b"y")[1:-1],
    "array": lambda data: array.array("B", data),
}


@pytest.fixture(params=BUFFERS.values(), ids=BUFFERS.keys())
def as_buffer(request):
    return request.param


@pytest.fixture
def unexported():
    """Check that nobody holds on to a bytearray any more: only then can it be resized."""

    def check(*buffers):
        for buffer in buffers:
            buffer.append(0)
            buffer.pop()

    return check
