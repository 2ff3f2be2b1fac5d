"""Pieces in, other pieces out."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avatarwire.streaming import PcmQueue


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault
@given(st.lists(st.binary(max_size=9)), st.data())
def test_order_is_kept_whatever_the_pieces(pieces, data):
    queue = PcmQueue()
    whole, out = b"".join(pieces), b""
    waiting = list(pieces)
    while waiting or queue.size_bytes:
        if waiting and (not queue.size_bytes or data.draw(st.booleans())):
            queue.put(waiting.pop(0))
        at_least = min(1, queue.size_bytes)  # so that a run has an end that is in sight
        out += bytes(queue.take(data.draw(st.integers(at_least, queue.size_bytes))))
        assert queue.size_bytes == len(whole) - len(b"".join(waiting)) - len(out)
    assert out == whole


def test_one_piece_is_not_copied():
    queue = PcmQueue()
    pcm = bytes(range(10))
    queue.put(pcm)
    assert queue.take(4).obj is pcm
    assert queue.take(6).obj is pcm


def test_the_end_can_be_forgotten():
    queue = PcmQueue()
    queue.put(b"abc")
    queue.forget_last(1)
    assert bytes(queue.take(queue.size_bytes)) == b"ab"
    assert queue.size_bytes == 0


def test_clear():
    queue = PcmQueue()
    queue.put(b"abcd")
    queue.take(1)
    queue.clear()
    queue.put(b"xy")
    assert bytes(queue.take(2)) == b"xy"
