"""A turn's sound in time: pieces in, other pieces out when they are due, and when it is played."""

from sys import getrefcount

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avatarwire.audio import PcmFormat
from avatarwire.streaming import Lateness, Timeline, Timing

MS = 48  # bytes of a millisecond


def timeline(rate=24000, keep_ms=0, lateness=None, **timing):
    return Timeline(Timing(**timing), PcmFormat(rate), keep_ms=keep_ms, lateness=lateness)


def take(made, size_bytes, now_s=0.0):
    pcm = made.front(size_bytes)
    made.sent(now_s)
    return bytes(pcm)


def send_ms(made, ms, now_s):
    """Send so much more, whatever is due."""
    made.put(bytes(ms * MS))
    take(made, ms * MS, now_s)


def test_sizes():
    made = timeline(batch_ms=230, buffer_ms=500)
    assert made.frame_bytes == 40 * MS
    assert made.batch_bytes == 200 * MS
    assert made.buffer_bytes == 500 * MS
    assert timeline(buffer_ms=0).buffer_bytes == 40 * MS


# The queue


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault
@given(st.lists(st.binary(max_size=9)), st.data())
def test_order_is_kept_whatever_the_pieces(pieces, data):
    made = timeline(keep_ms=data.draw(st.sampled_from([0, 0.2])))
    whole, out = b"".join(pieces), b""
    waiting = list(pieces)
    while waiting or made.queued_bytes:
        if waiting and (not made.queued_bytes or data.draw(st.booleans())):
            made.put(waiting.pop(0))
        at_least = min(1, made.queued_bytes)  # so that a run has an end that is in sight
        out += take(made, data.draw(st.integers(at_least, made.queued_bytes)))
        assert made.queued_bytes == len(whole) - len(b"".join(waiting)) - len(out)
    assert out == whole


def test_what_was_not_sent_is_still_there():
    made = timeline()
    made.put(b"abcd")
    assert bytes(made.front(3)) == b"abc"
    assert bytes(made.front(2)) == b"ab"
    assert made.queued_bytes == 4
    made.sent(0)
    assert bytes(made.front(9)) == b"cd"


def test_one_piece_is_not_copied():
    made = timeline()
    pcm = bytes(range(10))
    made.put(pcm)
    assert made.front(10) is pcm
    assert made.front(4).obj is pcm
    made.sent(0)
    assert made.front(6).obj is pcm


def test_only_bytes_are_queued():
    with pytest.raises(TypeError):
        timeline().put(bytearray(2))
    with pytest.raises(TypeError):
        timeline().put(None)


def test_there_is_room_up_to_the_buffer():
    made = timeline(buffer_ms=100)
    made.put(bytes(100 * MS))
    assert made.has_room
    made.put(b"a")
    assert not made.has_room


def test_half_a_sample_at_the_end_is_not_sent():
    made = timeline()
    made.put(b"abcde")
    made.finish()
    assert made.queued_samples == 2
    assert take(made, made.queued_bytes) == b"abcd"
    assert made.queued_bytes == 0


def test_what_is_skipped_is_not_sent():
    made = timeline()
    made.put(b"abcdef")
    made.skip(4)
    made.put(b"gh")
    assert take(made, 9) == b"efgh"
    assert made.sent_samples == 2
    made.skip(9)
    assert made.queued_bytes == 0


def test_clear():
    made = timeline()
    made.put(b"abcd")
    take(made, 1)
    made.clear()
    assert made.queued_bytes == 0
    assert made.front(9) == b""
    made.sent(0)
    assert made.sent_samples == 0


# When it leaves


@pytest.mark.parametrize(
    ("timing", "queued_ms", "ahead_ms", "finishing", "due_ms"),
    [
        ({}, 5000, 0, False, 400),  # the first write fills the lead
        ({}, 100, 0, False, 80),  # whole frames
        ({}, 39, 0, False, 0),
        ({}, 39, 0, True, 39),  # the last one may be short
        ({}, 5000, 200, False, 200),  # then a batch at a time
        ({}, 5000, 201, False, 0),
        ({}, 5000, 150, False, 240),  # a late tick makes up for it, up to the lead
        ({}, 40, 200, False, 40),  # what there is, rather than starve
        ({}, 100, 300, True, 100),  # the end leaves at end - lead
        ({}, 100, 301, True, 0),
        ({}, 250, 200, True, 200),
        ({"lead_ms": 0}, 5000, 0, False, 40),  # less than a frame is a frame
        ({"lead_ms": 0}, 5000, 1, False, 0),
        ({"lead_ms": 50}, 5000, 10, False, 40),
        ({"lead_ms": 200}, 5000, 120, False, 80),  # no batch beyond half the lead
        ({"lead_ms": 100, "batch_ms": 500}, 5000, 60, False, 40),
        ({"batch_ms": 0}, 5000, 360, False, 40),  # at least a frame
        ({"batch_ms": 79}, 5000, 360, False, 40),
    ],
)
def test_due(timing, queued_ms, ahead_ms, finishing, due_ms):
    made = timeline(**timing)
    send_ms(made, ahead_ms, 7.0)
    made.put(bytes(queued_ms * MS))
    if finishing:
        made.finish()
    due = made.due(7.0)
    assert (0 if due is None else len(due)) == due_ms * MS
    assert made.queued_bytes == queued_ms * MS
    made.sent(7.0)
    assert made.queued_bytes == (queued_ms - due_ms) * MS


@pytest.mark.parametrize(
    ("queued_ms", "finishing", "ahead_ms"),
    [
        (40, False, 200),
        (5000, False, 200),
        (39, False, None),
        (0, False, None),
        (120, True, 280),
        (5000, True, 200),
    ],
)
def test_next(queued_ms, finishing, ahead_ms):
    made = timeline()
    send_ms(made, 400, 7.0)
    made.put(bytes(queued_ms * MS))
    if finishing:
        made.finish()
    due_s = made.next_due_s(7.1)
    assert due_s == (None if ahead_ms is None else pytest.approx(7.4 - ahead_ms / 1000))


def test_what_comes_late_is_counted():
    lateness = Lateness()
    made = timeline(lateness=lateness)
    made.put(bytes(5000 * MS))
    assert made.due(1.0)  # it had no deadline
    made.sent(1.0)
    assert sum(lateness.counts) == 0
    due_s = made.next_due_s(1.0)
    assert made.due(due_s + 0.007)
    assert lateness.max_ms == pytest.approx(7)
    assert made.due(due_s + 0.1)  # each deadline counts once
    assert sum(lateness.counts) == 1


@pytest.mark.parametrize("gap", [lambda made: made.take_back(1.0), lambda made: made.skip(2)])
def test_a_gap_is_not_late(gap):
    lateness = Lateness()
    made = timeline(lateness=lateness)
    made.put(bytes(5000 * MS))
    made.due(1.0)
    made.sent(1.0)
    made.next_due_s(1.0)
    gap(made)
    assert made.due(9.0)
    assert sum(lateness.counts) == 0


# When it is played


def test_nothing_sent():
    made = timeline()
    assert made.begins_at_s(5.0) == 5.0
    assert made.ends_at_s(5.0) == 5.0
    assert made.position_s(5.0) == 0


def test_sound_plays_from_when_it_is_sent():
    made = timeline()
    send_ms(made, 400, 10.0)
    assert made.begins_at_s(10.1) == 10.0
    assert made.ends_at_s(10.1) == pytest.approx(10.4)
    assert made.position_s(10.1) == pytest.approx(0.1)
    assert made.position_s(99.0) == pytest.approx(0.4)


def test_sound_follows_sound():
    made = timeline()
    send_ms(made, 400, 10.0)
    send_ms(made, 200, 10.2)
    assert made.ends_at_s(10.2) == pytest.approx(10.6)
    assert (made.underruns, made.underrun_s) == (0, 0)


def test_underrun_moves_the_end():
    made = timeline()
    send_ms(made, 400, 10.0)
    send_ms(made, 400, 10.5)
    assert made.ends_at_s(10.5) == pytest.approx(10.9)
    assert made.underruns == 1
    assert made.underrun_s == pytest.approx(0.1)
    assert made.position_s(10.6) == pytest.approx(0.5)


def test_an_hour_of_frames_does_not_drift():
    made = timeline()
    for index in range(90_000):
        send_ms(made, 40, 1000 + index * 0.04 - 0.4)
    assert made.ends_at_s(0) == pytest.approx(1000 - 0.4 + 3600, abs=1e-6)


# What is sent again


def numbered(ms):
    """Sound of which every millisecond can be told from every other."""
    return b"".join(index.to_bytes(2, "little") * (MS // 2) for index in range(ms))


@pytest.mark.parametrize("piece_ms", [1, 7, 40, 90, 1000, 5000])
@pytest.mark.parametrize(
    ("keep_ms", "played_ms", "again_ms"),
    [
        (2000, 0, 400),
        (2000, 150, 280),  # from the start of a frame
        (2000, 160, 240),
        (2000, 999, 0),
        (100, 0, 100),  # no more than is kept
        (0, 0, 0),
    ],
)
def test_what_cannot_have_been_played_is_taken_back(piece_ms, keep_ms, played_ms, again_ms):
    whole = numbered(5000)
    made = timeline(keep_ms=keep_ms)
    for at in range(0, len(whole), piece_ms * MS):
        made.put(whole[at : at + piece_ms * MS])
    for begun_s in (1.0, 2.0):  # the second time behind what was taken back
        before = made.sent_samples * 2
        sent = take(made, 400 * MS, begun_s)
        assert sent == whole[before : before + 400 * MS]
        queued_bytes = made.queued_bytes
        assert made.take_back(begun_s + played_ms / 1000) == again_ms * MS
        assert made.queued_bytes == queued_bytes + again_ms * MS
        assert made.sent_samples * 2 == before + (400 - again_ms) * MS
        assert made.position_s(99) == pytest.approx(made.sent_samples / 24000)
    sent_bytes = made.sent_samples * 2
    assert take(made, len(whole), 9.0) == whole[sent_bytes:]


def test_a_turn_of_which_nothing_was_heard_begins_anew():
    made = timeline(keep_ms=2000)
    made.put(bytes(5000 * MS))
    take(made, 400 * MS, 1.0)
    assert made.take_back(1.0) == 400 * MS
    take(made, 400 * MS, 2.0)
    assert made.begins_at_s(2.0) == 2.0
    assert made.ends_at_s(2.0) == pytest.approx(2.4)
    assert made.due(2.0) is None
    assert made.underruns == 0


def test_what_follows_a_gap_follows_what_was_heard():
    made = timeline(keep_ms=2000)
    made.put(bytes(5000 * MS))
    take(made, 400 * MS, 1.0)
    assert made.take_back(1.1) == 320 * MS
    take(made, 400 * MS, 2.0)
    assert made.ends_at_s(2.0) == pytest.approx(2.4)
    assert made.position_s(2.1) == pytest.approx(0.18)
    assert made.underruns == 1  # the listener had to wait
    assert made.underrun_s == pytest.approx(0.9)


def test_what_was_sent_is_kept_when_the_rest_is_forgotten():
    whole = numbered(600)
    made = timeline(keep_ms=2000)
    made.put(whole[: 500 * MS])
    made.put(whole[500 * MS :])
    take(made, 400 * MS, 1.0)
    made.clear()
    assert made.take_back(1.0) == 400 * MS
    assert take(made, len(whole), 1.0) == whole[: 400 * MS]
    assert made.queued_bytes == 0


def test_what_was_skipped_is_not_taken_back():
    made = timeline(keep_ms=2000)
    made.put(numbered(1000))
    take(made, 400 * MS, 1.0)
    made.skip(100 * MS)
    take(made, 40 * MS, 1.1)
    assert made.take_back(1.1) == 40 * MS
    assert bytes(made.front(MS)) == numbered(501)[-MS:]


def test_what_is_not_kept_is_let_go():
    made = timeline(keep_ms=100)
    chunks = [bytes([index % 256]) * (40 * MS) for index in range(1000)]
    for chunk in chunks:
        made.put(chunk)
    held = getrefcount(chunks[0])
    for _ in chunks[:-1]:
        take(made, 40 * MS, 1.0)
    still_held = [index for index in range(1000) if getrefcount(chunks[index]) >= held]
    assert still_held == [996, 997, 998, 999]  # 120 ms that were sent, and what waits
