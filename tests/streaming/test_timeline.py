"""A turn's sound in time: pieces in, other pieces out when they are due, and when it is played."""

import gc
import itertools
from sys import getrefcount

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

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


@pytest.mark.parametrize("rate", [1, 24])
def test_a_frame_holds_a_sample(rate):
    with pytest.raises(ValueError, match=f"no sample at {rate} Hz: sample_rate is in Hz, not kHz"):
        timeline(rate=rate)
    assert timeline(rate=25).frame_bytes == 2


@pytest.mark.parametrize("keep_ms", [-1, float("inf"), float("nan"), 1e30])
def test_no_more_can_be_kept_than_an_hour(keep_ms):
    with pytest.raises(ValueError, match="keep_ms must be 0 to 3,600,000"):
        timeline(keep_ms=keep_ms)


def test_an_hour_fits_into_memory():
    with pytest.raises(ValueError, match="more than memory can hold: sample_rate is in Hz"):
        timeline(rate=2**51)
    assert timeline(rate=2**40, keep_ms=3_600_000, lead_ms=3_600_000).batch_bytes > 0


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


@pytest.mark.parametrize("end", ["clear", "forget", "take_back", "skip"])
def test_what_was_offered_before_is_no_longer_sent(end):
    made = timeline(keep_ms=2000)
    made.put(bytes(400 * MS))
    made.finish()
    made.due(1.0)
    getattr(made, end)(*{"take_back": (1.0,), "skip": (400 * MS,)}.get(end, ()))
    queued_bytes = made.queued_bytes
    made.sent(1.0)
    assert made.queued_bytes == queued_bytes
    assert made.sent_samples == 0


@pytest.mark.parametrize("end", ["finish", "clear", "forget"])
def test_nothing_is_added_behind_an_end(end):
    made = timeline(keep_ms=100)
    made.put(b"abc")
    getattr(made, end)()
    queued_bytes = made.queued_bytes
    with pytest.raises(RuntimeError, match="has ended: nothing can be added"):
        made.put(b"de")
    assert made.queued_bytes == queued_bytes


def test_half_a_sample_that_was_offered_is_not_sent():
    made = timeline()
    made.put(b"abc")
    made.front(3)
    made.finish()
    made.sent(1.0)
    assert made.queued_bytes == 0
    assert made.sent_samples == 1


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


@pytest.mark.parametrize("now_s", [float("nan"), float("inf"), float("-inf"), 1e300])
@pytest.mark.parametrize("finishing", [False, True])
def test_a_clock_that_says_nothing_loses_nothing(now_s, finishing):
    made = timeline(keep_ms=2000)
    made.put(bytes(1000 * MS))
    if finishing:
        made.finish()
    sent_bytes = 0
    for _ in range(5):
        sent_bytes += len(made.due(now_s) or b"")
        made.next_due_s(now_s)
        made.sent(now_s)
        sent_bytes -= made.take_back(now_s)
        assert made.sent_samples == sent_bytes // 2
        assert made.queued_bytes == 1000 * MS - sent_bytes


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


@pytest.mark.parametrize("piece_ms", [1, 7, 90, 5000])
@pytest.mark.parametrize(("played_ms", "again_ms"), [(0, 400), (1, 399), (150, 250), (999, 0)])
def test_what_is_taken_back_exactly_begins_with_the_sample_that_is_due(
    piece_ms, played_ms, again_ms
):
    whole = numbered(5000)
    made = timeline(keep_ms=480)
    for at in range(0, len(whole), piece_ms * MS):
        made.put(whole[at : at + piece_ms * MS])
    take(made, 400 * MS, 1.0)
    assert made.take_back(1.0 + played_ms / 1000, exact=True) == again_ms * MS
    assert take(made, 100 * MS, 9.0) == whole[(400 - again_ms) * MS :][: 100 * MS]


def test_the_clock_stands_still_in_a_pause():
    made = timeline(keep_ms=480)
    made.put(bytes(5000 * MS))
    take(made, 400 * MS, 1.0)
    assert made.take_back(1.1, exact=True) == 300 * MS
    made.pause(1.1)
    assert made.position_s(7.0) == pytest.approx(0.1)
    made.resume(8.1)
    take(made, 400 * MS, 8.1)
    assert made.position_s(8.15) == pytest.approx(0.15)
    assert made.ends_at_s(8.1) == pytest.approx(8.5)
    assert made.underruns == 0


def test_a_pause_in_an_underrun_is_no_part_of_it():
    made = timeline()
    send_ms(made, 400, 1.0)
    made.pause(1.5)
    made.resume(8.5)
    send_ms(made, 400, 8.7)
    assert made.underruns == 1
    assert made.underrun_s == pytest.approx(0.1 + 0.2)


def test_what_was_not_taken_back_plays_on_in_a_pause():
    made = timeline()
    send_ms(made, 400, 1.0)
    made.pause(1.1)
    assert made.position_s(1.3) == pytest.approx(0.3)
    made.resume(1.3)  # nothing had run out
    assert made.ends_at_s(1.3) == pytest.approx(1.4)
    made.pause(1.3)
    made.resume(9.4)
    send_ms(made, 400, 9.4)
    assert made.ends_at_s(9.4) == pytest.approx(9.8)
    assert made.underruns == 0


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


def test_no_half_sample_is_kept():
    made = timeline(keep_ms=3.5 / MS)
    send_ms(made, 400, 1.0)
    assert made.take_back(1.0) == 2


def test_what_is_taken_back_from_an_earlier_piece_is_of_that_piece():
    made = timeline(keep_ms=2000)
    whole = numbered(2000)
    made.put(whole[: 1000 * MS])
    made.put(whole[1000 * MS :])
    take(made, 1100 * MS, 1.0)
    take(made, 100 * MS, 1.0)  # from the middle of the second
    assert made.take_back(1.0) == 1200 * MS
    assert take(made, 100 * MS, 1.0) == whole[: 100 * MS]


def test_what_was_heard_before_one_gap_is_not_heard_after_the_next():
    made = timeline(keep_ms=2000)
    made.put(numbered(415))
    made.finish()
    take(made, 400 * MS, 1.0)
    assert made.take_back(1.4) == 0
    take(made, 15 * MS, 1.4)
    assert made.take_back(1.4) == 15 * MS
    assert made.position_s(1.4) == pytest.approx(0.4)


# Memory


def held_of(chunks):
    """Give which of the chunks somebody holds, beside their list and the call that asks."""
    return [index for index in range(len(chunks)) if getrefcount(chunks[index]) > 2]


def pieces(count, ms=40):
    return [bytes([index % 256]) * (ms * MS) for index in range(count)]


def test_what_is_not_kept_is_let_go():
    made, chunks = timeline(keep_ms=120), pieces(1000)
    list(map(made.put, chunks))
    assert held_of(chunks) == list(range(1000))
    for _ in range(999):
        take(made, 40 * MS, 1.0)
    assert held_of(chunks) == [996, 997, 998, 999]  # 120 ms that were sent, and what waits
    assert [len(part) < 100 for part in gc.get_referents(made) if isinstance(part, list)] == [True]


@pytest.mark.parametrize(("keep_ms", "held"), [(0, []), (100, [0])])
def test_one_long_piece_is_let_go_at_the_end(keep_ms, held):
    made, chunks = timeline(keep_ms=keep_ms), pieces(1, ms=5000)
    made.put(chunks[0])
    take(made, 400 * MS, 1.0)
    made.clear()
    assert held_of(chunks) == held
    made.forget()
    assert held_of(chunks) == []
    assert made.sent_samples == 400 * MS // 2


def test_what_is_skipped_is_let_go():
    made = timeline(keep_ms=0)
    chunks = [bytes(1_000_001), *pieces(50)]
    made.put(chunks[0])
    made.skip(1_000_000)
    list(map(made.put, chunks[1:]))
    assert held_of(chunks) == list(range(1, 51))
    for _ in range(49):
        take(made, 40 * MS, 1.0)
    assert held_of(chunks) == [49, 50]  # half a sample comes first, so one is always begun


# What has arrived

WIRE = 50  # bytes on the wire for a millisecond, two of them a header's


def look(made, now_s, wire_ms, left_ms, way_s=0.0):
    """Tell of the wire, in milliseconds of the sound on it."""
    return made.acknowledged(now_s, wire_ms * WIRE, left_ms * WIRE, way_s)


def watched(**options):
    """A timeline that has been told that nothing is on its way, and goes on being told."""
    made = timeline(**options)
    look(made, 10.0, 0, 0)
    return made


def test_what_nothing_tells_of_has_arrived_before_the_next_write():
    made = timeline()
    send_ms(made, 400, 10.0)
    assert made.arrived_samples == 0
    send_ms(made, 200, 10.2)
    assert made.arrived_samples == 400 * MS // 2
    made.all_arrived()
    assert made.arrived_samples == 600 * MS // 2
    assert made.position_s(99) == pytest.approx(0.6)


def test_no_more_has_been_played_than_has_arrived():
    made = watched()
    send_ms(made, 400, 10.0)
    assert look(made, 10.0, 400, 400)
    assert look(made, 10.3, 400, 300)
    assert made.arrived_samples == 100 * MS // 2
    assert made.position_s(10.3) == pytest.approx(0.1)
    assert made.ends_at_s(10.3) == pytest.approx(10.6)
    assert not look(made, 10.4, 400, 0)
    assert made.position_s(10.4) == pytest.approx(0.2)


def test_before_the_first_has_arrived_nothing_has_run_out():
    made = watched()
    send_ms(made, 400, 10.0)
    look(made, 10.0, 400, 400)
    look(made, 10.5, 400, 400)
    assert (made.underruns, made.underrun_s) == (0, 0)
    assert made.begins_at_s(10.5) == pytest.approx(10.5)
    assert made.skip_late() == 0


def test_an_underrun_is_counted_while_it_lasts():
    made = watched()
    send_ms(made, 400, 10.0)
    look(made, 10.0, 400, 200)
    assert made.starves_at_s == pytest.approx(10.2)
    for now_s, lacking_s in [(10.15, 0), (10.3, 0.1), (10.5, 0.3)]:
        look(made, now_s, 400, 200)
        assert made.underruns == (lacking_s > 0)
        assert made.underrun_s == pytest.approx(lacking_s)
        assert made.position_s(now_s) == pytest.approx(min(0.2, now_s - 10))
    look(made, 10.5, 400, 0)
    look(made, 10.6, 400, 0)
    assert made.underruns == 1
    assert made.ends_at_s(10.6) == pytest.approx(10.7)
    send_ms(made, 400, 10.6)
    look(made, 10.6, 800, 400)
    look(made, 10.8, 800, 400)
    assert made.underruns == 2
    assert made.underrun_s == pytest.approx(0.4)


def test_what_goes_on_after_a_pause_has_not_run_out_before_it_arrives():
    made = watched()
    send_ms(made, 400, 10.0)
    look(made, 10.4, 400, 0)
    made.pause(10.4)
    made.resume(20.0)
    send_ms(made, 400, 20.0)
    look(made, 20.0, 800, 400)
    look(made, 20.1, 800, 400)
    assert (made.underruns, made.underrun_s) == (0, 0)
    assert made.ends_at_s(20.1) == pytest.approx(20.5)
    look(made, 20.1, 800, 300)
    look(made, 20.3, 800, 300)
    assert made.underruns == 1
    assert made.underrun_s == pytest.approx(0.1)


def test_an_underrun_lasts_until_what_ends_it_arrives():
    made = watched()
    send_ms(made, 400, 10.0)
    look(made, 10.4, 400, 0)
    send_ms(made, 400, 10.6)
    assert made.underruns == 1
    assert made.underrun_s == pytest.approx(0.2)
    look(made, 10.6, 800, 400)
    look(made, 10.9, 800, 400)
    assert made.underruns == 1
    assert made.underrun_s == pytest.approx(0.5)
    look(made, 10.9, 800, 200)
    look(made, 11.2, 800, 200)
    assert made.underruns == 2
    assert made.underrun_s == pytest.approx(0.6)


def test_an_acknowledgment_may_take_its_way():
    made = watched()
    send_ms(made, 400, 10.0)
    look(made, 10.1, 400, 300, 0.25)
    look(made, 10.3, 400, 300, 0.25)
    assert made.underruns == 0
    assert made.position_s(10.3) == pytest.approx(0.1)
    assert made.starves_at_s == pytest.approx(10.35)
    look(made, 10.4, 400, 300, 0.25)
    assert made.underrun_s == pytest.approx(0.05)


def test_what_is_met_on_its_way_has_not_arrived_at_all():
    """How much of the last write was acknowledged by then cannot be told."""
    made = timeline()
    send_ms(made, 400, 10.0)
    send_ms(made, 200, 10.2)
    look(made, 10.3, 600, 100)
    assert made.arrived_samples == 400 * MS // 2
    look(made, 10.3, 600, 50)
    assert made.arrived_samples == 500 * MS // 2


def test_what_others_write_lies_between():
    made = watched()
    send_ms(made, 400, 10.0)
    look(made, 10.0, 400, 400)
    look(made, 10.0, 1000, 1000)  # an image, behind the sound
    send_ms(made, 200, 10.0)
    look(made, 10.0, 1200, 1200)
    look(made, 10.0, 1200, 700)  # in the midst of the image
    assert made.arrived_samples == 400 * MS // 2
    look(made, 10.0, 1200, 100)
    assert made.arrived_samples == 500 * MS // 2


def test_many_writes_on_their_way_are_taken_as_one():
    made = watched()
    for count in range(50):
        send_ms(made, 40, 10.0)
        look(made, 10.0, (count + 1) * 40, (count + 1) * 40)
    for arrived_ms in range(0, 2000, 40):
        look(made, 10.0, 2000, 2000 - arrived_ms)
        assert made.arrived_samples == arrived_ms * MS // 2
    assert not look(made, 10.0, 2000, 0)


def test_behind_what_has_not_arrived_no_more_than_a_batch_is_due():
    made = watched()
    made.put(bytes(5000 * MS))
    assert len(made.due(10.0)) == 400 * MS
    made.sent(10.0)
    look(made, 10.0, 400, 400)
    look(made, 10.4, 400, 390)
    look(made, 10.8, 400, 1)
    assert len(made.due(11.2)) == 200 * MS
    made.all_arrived()
    assert len(made.due(11.2)) == 400 * MS


def test_what_is_late_is_skipped_once():
    whole = numbered(5000)
    made = watched(keep_ms=2000)
    made.put(whole)
    take(made, 400 * MS, 10.0)
    look(made, 10.0, 400, 200)
    look(made, 11.2, 400, 200)
    assert made.skip_late() == 1000 * MS
    assert made.skip_late() == 0
    assert take(made, 200 * MS, 11.2) == whole[1400 * MS : 1600 * MS]
    look(made, 11.2, 600, 0)
    assert made.sent_samples == 600 * MS // 2


def test_what_is_late_and_not_written_yet_is_skipped_when_it_comes():
    made = watched()
    made.put(bytes(500 * MS + 1))
    take(made, 400 * MS, 10.0)
    look(made, 10.0, 400, 200)
    look(made, 11.2, 400, 200)
    assert made.skip_late() == 100 * MS
    made.put(bytes(2000 * MS - 1))
    assert made.skip_late() == 900 * MS
    assert made.queued_bytes == 1100 * MS


def test_what_was_sent_on_another_connection_is_not_waited_for():
    made = watched(keep_ms=2000)
    made.put(bytes(5000 * MS))
    take(made, 400 * MS, 10.0)
    look(made, 10.1, 400, 200)
    made.take_back(10.1)
    take(made, 400 * MS, 12.0)
    assert look(made, 12.0, 800, 400)
    assert made.arrived_samples == made.sent_samples - 400 * MS // 2
    assert not look(made, 12.1, 800, 0)


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 500), st.integers(0, 300)), max_size=60
    ),
    way_ms=st.integers(0, 300),
)
def test_the_clock_and_what_has_arrived(steps, way_ms):
    """Whatever comes when: played <= arrived <= sent, time and sound add up, nothing goes back."""
    made = timeline()
    now_ms = wire_ms = gone_ms = played_s = underrun_s = 0.0
    first_ms = None
    for passed_ms, sent_ms, acknowledged_ms in steps:
        now_ms += passed_ms
        gone_ms = min(wire_ms, gone_ms + acknowledged_ms)
        made.acknowledged(
            now_ms / 1000, int(wire_ms * WIRE), int((wire_ms - gone_ms) * WIRE), way_ms / 1000
        )
        if sent_ms:
            send_ms(made, sent_ms, now_ms / 1000)
            wire_ms += sent_ms
            first_ms = now_ms if first_ms is None else first_ms
        position_s = made.position_s(now_ms / 1000)
        assert position_s <= made.arrived_samples / 24000 + 1e-9
        assert made.arrived_samples <= made.sent_samples
        assert made.arrived_samples / 24 <= gone_ms + 1
        assert position_s >= played_s - 1e-6
        assert made.underrun_s >= underrun_s
        played_s, underrun_s = position_s, made.underrun_s
        if first_ms is not None:
            assert played_s + underrun_s <= (now_ms - first_ms) / 1000 + 1e-6


# All of it, against a model that a reader can check


class Model:
    """The same in the plainest way: whole strings of bytes, and a list of when each was sent."""

    def __init__(self, keep_ms):
        self.keep_bytes = int(keep_ms * MS) // 2 * 2
        self.waiting = self.kept = b""
        self.sent_bytes = self.underruns = self.offered_bytes = 0
        self.begun_s = None
        self.paused_s = 0.0
        self.is_over = False

    def end_s(self, now_s):
        return now_s if self.begun_s is None else self.begun_s + self.sent_bytes / 48000

    def put(self, pcm):
        self.waiting += pcm

    def due(self, now_s):
        return self.front(self.due_bytes(now_s))

    def due_bytes(self, now_s):
        room_ms = 400 - max(0, self.end_s(now_s) - now_s) * 1000 + 1e-3
        if self.is_over and len(self.waiting) / MS <= room_ms:
            return len(self.waiting)
        if room_ms < 200:
            return 0
        return min(len(self.waiting) // (40 * MS), int(room_ms / 40)) * 40 * MS

    def front(self, size_bytes):
        pcm = self.waiting[:size_bytes]
        self.offered_bytes = len(pcm)
        return pcm

    def sent(self, now_s):
        pcm = self.waiting[: self.offered_bytes]
        self.waiting = self.waiting[len(pcm) :]
        self.offered_bytes = 0
        if not pcm:
            return
        self.kept += pcm
        if self.begun_s is None:
            self.begun_s = now_s
        gap_s = now_s - self.end_s(now_s)
        if gap_s > 0 and self.sent_bytes:
            self.begun_s += gap_s
            self.underruns += gap_s > 1e-6
        self.sent_bytes += len(pcm)

    def take_back(self, now_s, exact=False):
        ahead_s = max(0, self.end_s(now_s) - now_s)
        if exact:
            ahead_bytes = int(ahead_s * 24000 + 0.5) * 2
        else:
            ahead_bytes = -(-round(ahead_s * 48000) // (40 * MS)) * 40 * MS
        size = min(ahead_bytes, self.keep_bytes, len(self.kept))
        self.waiting = self.kept[len(self.kept) - size :] + self.waiting
        self.kept = b""
        self.sent_bytes -= size
        self.begun_s = now_s - self.sent_bytes / 48000 if self.sent_bytes else None
        self.offered_bytes = 0
        return size

    def pause(self, now_s):
        self.paused_s = now_s

    def resume(self, now_s):
        if self.begun_s is not None:
            self.begun_s += max(0, now_s - max(self.end_s(now_s), self.paused_s))

    def skip(self, size_bytes):
        self.waiting, self.kept = self.waiting[size_bytes:], b""
        self.offered_bytes = 0

    def finish(self):
        self.is_over = True
        self.waiting = self.waiting[: len(self.waiting) // 2 * 2]

    def clear(self):
        self.is_over = True
        self.waiting, self.offered_bytes = b"", 0

    def forget(self):
        self.clear()
        self.kept = b""


class Twins:
    """A timeline and its model, to which the same is done; they give the same."""

    def __init__(self, keep_ms, sizes):
        self.made, self.model = timeline(keep_ms=keep_ms), Model(keep_ms)
        self.now_s, self.count = 1.0, 0
        self.put(sizes)

    def put(self, sizes):
        for size in sizes:
            self.count += 1
            pcm = (self.count.to_bytes(4, "little") * (size // 4 + 1))[:size]
            if self.model.is_over:
                with pytest.raises(RuntimeError, match="nothing can be added"):
                    self.made.put(pcm)
            else:
                self.call("put", pcm)

    def call(self, name, *arguments, **options):
        given = getattr(self.made, name)(*arguments, **options)
        expected = getattr(self.model, name)(*arguments, **options)
        assert (bytes(given or b"") if isinstance(expected, bytes) else given) == expected

    def check(self):
        made, model = self.made, self.model
        assert made.queued_bytes == len(model.waiting)
        assert bytes(made.front(10**9)) == model.waiting
        made.front(model.offered_bytes)  # what it had offered before
        assert made.sent_samples == model.sent_bytes // 2
        assert made.underruns == model.underruns
        assert made.ends_at_s(self.now_s) == pytest.approx(model.end_s(self.now_s), abs=1e-6)


ORDERS = list(
    itertools.product(
        [
            [("front", 1), ("sent", 1.0)],
            [("front", 9600), ("sent", 1.0)],
            [("due", 1.2), ("sent", 1.2)],
            [("take_back", 1.1)],
            [("skip", 0)],
            [("skip", 2)],
            [("finish",)],
            [("clear",)],
            [("forget",)],
        ],
        repeat=4,
    )
)


@pytest.mark.parametrize("keep_ms", [0, 100])
@pytest.mark.parametrize("sizes", [[3], [19_201], [9599, 9602]])
def test_every_order_of_few_calls(keep_ms, sizes):
    for order in ORDERS:
        twins = Twins(keep_ms, sizes)
        for calls in order:
            for call in calls:
                twins.call(*call)
        twins.check()


# Of whole frames, of none, and of half a sample more or less than either.
SIZES = st.sampled_from([0, 1, 2, 3, 7, 960, 1919, 1920, 1921, 9600, 19_201, 50_000, 10**9])
PIECES = st.one_of(
    st.lists(st.sampled_from([0, 1, 2, 7, 960, 1920, 9600]), max_size=80),
    st.sampled_from([[1920], [9600], [19_201], [48_000], [9601, 9602]]),
)
KEEP_MS = st.sampled_from([0, 0, 0.07, 100, 2000])


class AnyOrder(RuleBasedStateMachine):
    """Any call, at any time: an end and a gap come where they please, and more than once."""

    @initialize(keep_ms=KEEP_MS, sizes=PIECES, sent_bytes=SIZES)
    def begin(self, keep_ms, sizes, sent_bytes):
        """Begin where most can go wrong: with a part sent, often not all of a chunk."""
        self.twins = Twins(keep_ms, sizes)
        self.front(sent_bytes, is_sent=True)

    @precondition(lambda self: self.twins.model.is_over)
    @rule(keep_ms=KEEP_MS, sizes=PIECES, sent_bytes=SIZES)
    def next_turn(self, keep_ms, sizes, sent_bytes):
        """Go on with another one: of what comes after an end there is not much to try."""
        self.begin(keep_ms, sizes, sent_bytes)

    @rule(sizes=PIECES)
    def put(self, sizes):
        self.twins.put(sizes)

    @rule(after_ms=st.sampled_from([1, 39, 40, 160, 200, 201, 400, 5000]))
    def wait(self, after_ms):
        self.twins.now_s += after_ms / 1000

    @rule(is_sent=st.booleans())
    def due(self, is_sent):
        self.twins.call("due", self.twins.now_s)
        if is_sent:
            self.sent()
        self.twins.made.next_due_s(self.twins.now_s)

    @rule(size=SIZES, is_sent=st.booleans())
    def front(self, size, is_sent):
        self.twins.call("front", size)
        if is_sent:
            self.sent()

    @rule()
    def sent(self):
        self.twins.call("sent", self.twins.now_s)

    @rule(exact=st.booleans())
    def take_back(self, exact):
        self.twins.call("take_back", self.twins.now_s, exact=exact)

    @rule()
    def pause(self):
        self.twins.call("pause", self.twins.now_s)

    @rule()
    def resume(self):
        self.twins.call("resume", self.twins.now_s)

    @rule(size=SIZES)
    def skip(self, size):
        self.twins.call("skip", size)

    @rule()
    def drop(self):
        """Skip whole samples, as a gap does."""
        self.twins.call("skip", self.twins.made.queued_samples * 2)

    @rule()
    def finish(self):
        self.twins.call("finish")

    @rule()
    def clear(self):
        self.twins.call("clear")

    @precondition(lambda self: self.twins.model.is_over)
    @rule()
    def forget(self):
        self.twins.call("forget")
        held = [part for part in gc.get_referents(self.twins.made) if isinstance(part, list)]
        assert held == [[]]

    @invariant()
    def same(self):
        self.twins.check()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=400, stateful_step_count=30, deadline=None)
