"""What the kernel tells of a socket, beside what the socket itself is seen to do."""

import contextlib
import socket
import sys

import pytest

from avatarwire.transport.sendqueue import is_full, least_round_trip_s, unacknowledged_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="macOS tells less, Windows nothing")
NO_SOCKET = 10_000_000


@pytest.fixture
def pair():
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    with ours, theirs:
        yield ours, theirs


def test_a_socket_that_has_said_nothing(pair):
    ours, _ = pair
    assert unacknowledged_bytes(ours.fileno()) == 0
    assert not is_full(ours.fileno(), 1)


def test_what_the_peer_has_no_place_for_is_unsent_and_unacknowledged(pair):
    ours, theirs = pair
    ours.setblocking(False)
    written = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            written += ours.send(bytes(10_000))
    left = unacknowledged_bytes(ours.fileno())
    assert 0 < left < written
    assert is_full(ours.fileno(), 1)
    assert not is_full(ours.fileno(), left + 1)
    theirs.settimeout(5)
    while written:
        written -= len(theirs.recv(2**20))
    assert unacknowledged_bytes(ours.fileno()) == 0
    assert not is_full(ours.fileno(), 1)


def test_the_least_round_trip(pair):
    ours, _ = pair
    assert 0 < least_round_trip_s(ours.fileno()) < 1


def test_what_is_no_socket_tells_nothing():
    assert unacknowledged_bytes(NO_SOCKET) is None
    assert unacknowledged_bytes(-1) is None
    assert not is_full(NO_SOCKET, 0)
    assert least_round_trip_s(NO_SOCKET) is None


def test_a_socket_that_is_not_tcp_has_no_round_trip():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert least_round_trip_s(ours.fileno()) is None
