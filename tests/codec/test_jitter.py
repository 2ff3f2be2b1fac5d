import copy
import pickle
import random
import sys
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from reference_jitter import Jitter

from avatarwire.codec import AudioFrame, Gap, JitterBuffer

COUNTERS = ("pushed", "duplicates", "late", "lost", "gaps", "restarts")
# Steps from a known frame, on both sides of everything that decides.
SEQ_EDGES = [-2048, -2047, -130, -129, -128, -127, -1, 0, 1, 2, 3, 127, 128, 129, 130, 2047]
TIMESTAMP_EDGES = [
    *(-524_288, -2001, -2000, -1999, -501, -40, -1),
    *(0, 1, 39, 40, 41, 80, 200, 201, 2001, 524_287),
]


def frame(number, *, seq=None, timestamp=None, key=None, ms=40, sound=None, **fields):
    """Frame `number` of a turn at 16 kHz; its sound is unlike any other frame's."""
    content = (number if sound is None else sound).to_bytes(4, "big", signed=True)
    return AudioFrame(
        key=number == 0 if key is None else key,
        seq=number if seq is None else seq,
        timestamp=number * ms if timestamp is None else timestamp,
        samples=16 * ms,
        payload=content * (8 * ms),
        **fields,
    )


def push(buffer, *frames):
    return [item for each in frames for item in buffer.push(each)]


def turn(*numbers, **fields):
    return [frame(number, **fields) for number in numbers]


def plain(items):
    return [item.__reduce__()[1] if isinstance(item, Gap) else item for item in items]


class AgainstTheReference(RuleBasedStateMachine):
    """Streams with every fault there is, and some that are none."""

    @initialize(
        window_ms=st.integers(200, 500),
        seq=st.sampled_from([0, 4080]),
        timestamp=st.sampled_from([0, 1_048_000]),
        ms=st.sampled_from([5, 20, 40, 120]),
    )
    def begin(self, window_ms, seq, timestamp, ms):
        self.buffer = JitterBuffer(window_ms=window_ms)
        self.model = Jitter(window_ms=window_ms)
        self.seq, self.timestamp, self.ms, self.sound = seq, timestamp, ms, 0
        self.sent = []

    def push(self, pushed):
        assert plain(self.buffer.push(pushed)) == self.model.push(pushed)

    def next_frame(self, key=0, **fields):
        self.sound += 1
        sent = frame(
            1, key=key, seq=self.seq, timestamp=self.timestamp, ms=self.ms, sound=self.sound,
            **fields,
        )  # fmt: skip
        self.seq += 1
        self.timestamp += self.ms
        self.sent.append(sent)
        return sent

    @rule(
        lost=st.integers(0, 3), keys=st.booleans(), order=st.randoms(use_true_random=False),
        count=st.integers(1, 12), fields=st.fixed_dictionaries(
            {}, optional={"codec": st.integers(0, 3), "sample_rate": st.integers(0, 3)}
        ),
    )  # fmt: skip
    def burst(self, lost, keys, order, count, fields):
        frames = [self.next_frame(keys and not i, **fields) for i in range(count)]
        order.shuffle(frames)
        for each in frames[lost:]:
            self.push(each)

    @rule(back=st.integers(1, 300))
    def straggler_or_duplicate(self, back):
        if self.sent:
            self.push(self.sent[-min(back, len(self.sent))])

    @rule(ms=st.sampled_from([1, 150, 600, 2500, 400_000, 700_000]))
    def silence(self, ms):
        self.timestamp += ms

    @rule(seq=st.integers(-140, 3000), timestamp=st.integers(-3000, 3000))
    def jump(self, seq, timestamp):
        self.seq += seq
        self.timestamp += timestamp

    @rule()
    def counts_anew(self):
        self.seq = self.timestamp = 0

    @rule(count=st.integers(1, 30))
    def stuck_seq(self, count):
        for _ in range(count):
            self.push(self.next_frame())
            self.seq -= 1

    @rule(count=st.integers(1, 30), lost=st.integers(0, 2))
    def stuck_timestamp(self, count, lost):
        self.seq += lost
        for _ in range(count):
            self.push(self.next_frame())
            self.timestamp -= self.ms

    @rule(
        newest=st.booleans(),
        seq=st.sampled_from(SEQ_EDGES),
        timestamp=st.sampled_from(TIMESTAMP_EDGES),
        key=st.integers(0, 1),
        sound=st.integers(0, 1),
    )
    def stray(self, newest, seq, timestamp, key, sound):
        known = self.model.waiting if newest else self.model.history
        if known:
            near = known[-1]
            place = {"seq": near.seq + seq, "timestamp": near.timestamp + timestamp}
            self.push(frame(1, key=key, sound=sound, ms=self.ms, **place))

    @rule()
    def flush(self):
        assert plain(self.buffer.flush()) == self.model.flush()

    @rule()
    def reset(self):
        self.buffer.reset()
        self.model = Jitter(window_ms=self.buffer.window_ms)

    @invariant()
    def counts_alike(self):
        for name in COUNTERS:
            assert getattr(self.buffer, name) == getattr(self.model, name), name
        assert self.buffer.held == len(self.model.waiting)
        assert self.buffer.released == len(self.model.history)


AgainstTheReference.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow],  # under the sanitizers, and a busy machine
)
test_it_does_what_the_reference_does = AgainstTheReference.TestCase


def network(seed, count, *, seq, timestamp, jitter_ms=150, loss=0.01, twice=0.01, ms=40):
    """Return the frames in the order in which they arrive, and the numbers of those lost."""
    rng = random.Random(seed)  # noqa: S311
    arrivals, lost = [], set()
    for number in range(count):
        sent = frame(number, seq=seq + number, timestamp=timestamp + number * ms, ms=ms)
        # What is lost before the first frame or behind the last cannot show.
        if 0 < number < count - 1 and rng.random() < loss:
            lost.add(number)
            continue
        copies = 1 + (rng.random() < twice)
        arrivals += [
            (number * ms + rng.uniform(-jitter_ms, jitter_ms), number, sent) for _ in range(copies)
        ]
    return [(number, sent) for _, number, sent in sorted(arrivals)], lost


def numbers_of(items, seq, count, at=0):
    """Tell which numbers of the stream came out, and which were told as missing."""
    got, missing = [], []
    for item in items:
        ahead = (item.seq - seq - at) % 4096
        assert ahead == 0, f"{item} is not what follows number {at - 1}"
        if isinstance(item, Gap):
            missing.extend(range(at, at + item.frames))
            at += item.frames
        else:
            assert item.payload == frame(at).payload
            got.append(at)
            at += 1
    assert at == count
    return got, missing


STREAMS = {
    "seed": st.integers(0, 2**32),
    "seq": st.sampled_from([0, 4095, 3900]),
    "timestamp": st.sampled_from([0, 1_048_575, 1_040_000]),
}


@settings(max_examples=40)
@given(**STREAMS)
def test_a_bad_network_within_the_window(seed, seq, timestamp):
    arrivals, lost = network(seed, 400, seq=seq, timestamp=timestamp, loss=0.02)
    buffer = JitterBuffer(window_ms=300)
    out = push(buffer, *(sent for _, sent in arrivals)) + buffer.flush()
    got, missing = numbers_of(out, seq, 400)
    assert missing == sorted(lost)
    assert got == sorted(set(range(400)) - lost)
    assert buffer.lost == len(lost)
    assert buffer.duplicates == len(arrivals) - len(got)
    assert (buffer.late, buffer.restarts, buffer.held, buffer.held_ms) == (0, 0, 0, 0)
    gaps = [item for item in out if isinstance(item, Gap)]
    for gap in gaps:
        assert gap.duration_ms == 40 * gap.frames
        assert gap.timestamp == (timestamp + 40 * ((gap.seq - seq) % 4096)) % 2**20


def test_ten_minutes_of_a_bad_network_through_both_wraps():
    # seq wraps after 96 frames, and three times more; the timestamp after 10 s.
    arrivals, lost = network(1, 15_000, seq=4000, timestamp=1_038_576)
    buffer = JitterBuffer(window_ms=300)
    out = push(buffer, *(sent for _, sent in arrivals)) + buffer.flush()
    got, missing = numbers_of(out, 4000, 15_000)
    assert len(lost) > 100
    assert missing == sorted(lost)
    assert len(got) + len(missing) == 15_000
    assert buffer.duplicates == len(arrivals) - len(got) > 100


@settings(max_examples=40)
@given(**STREAMS)
def test_what_comes_after_the_window_is_told_as_lost_and_counted_late(seed, seq, timestamp):
    arrivals, lost = network(seed, 400, seq=seq, timestamp=timestamp, jitter_ms=400)
    buffer = JitterBuffer()
    out = push(buffer, *(sent for _, sent in arrivals)) + buffer.flush()
    # When the key frame itself is later than the window, the stream begins without it.
    start = (out[0].seq - seq) % 4096
    got, missing = numbers_of(out, seq, 400, start)
    assert buffer.lost == len(missing)
    assert lost - set(range(start)) <= set(missing)
    assert buffer.pushed == len(arrivals) == buffer.released + buffer.duplicates + buffer.late
    assert buffer.late >= len({number for number, _ in arrivals} - set(got))


def test_in_order_every_frame_leaves_at_once():
    buffer = JitterBuffer()
    for number in range(5000):
        sent = frame(number)
        assert buffer.push(sent)[0] is sent
        assert buffer.held == 0


def test_a_missing_frame_is_waited_for_until_the_window_has_arrived():
    buffer = JitterBuffer(window_ms=200)
    push(buffer, *turn(0, 1))
    # Frame 3 begins at 120 ms, and 8 at 320: that is the window.
    assert push(buffer, *turn(3, 4, 5, 6, 7)) == []
    assert (buffer.held, buffer.held_ms) == (5, 200)
    assert buffer.push(frame(8)) == [Gap(2, 80, 1, 40), *turn(3, 4, 5, 6, 7, 8)]
    assert (buffer.held, buffer.held_ms, buffer.lost, buffer.gaps) == (0, 0, 1, 1)
    assert buffer.push(frame(2)) == []
    assert (buffer.late, buffer.lost) == (1, 1)


def test_it_goes_on_as_soon_as_the_missing_frame_comes():
    buffer = JitterBuffer()
    push(buffer, *turn(0))
    assert push(buffer, *turn(3, 2)) == []
    assert push(buffer, *turn(1)) == turn(1, 2, 3)
    assert (buffer.lost, buffer.late, buffer.duplicates) == (0, 0, 0)


def test_the_first_frame_without_a_key_waits_for_those_before_it():
    buffer = JitterBuffer()
    assert push(buffer, *turn(3, 2)) == []
    assert push(buffer, *turn(0)) == turn(0)
    assert push(buffer, *turn(1)) == turn(1, 2, 3)
    keyless = JitterBuffer()
    assert push(keyless, *turn(7, 8, 9, 10, 11)) == []
    assert push(keyless, *turn(12)) == turn(7, 8, 9, 10, 11, 12)
    assert keyless.lost == 0


def test_flush_gives_out_what_waits_and_the_stream_goes_on():
    buffer = JitterBuffer()
    push(buffer, *turn(0))
    push(buffer, *turn(4, 2))
    assert buffer.flush() == [Gap(1, 40, 1, 40), *turn(2), Gap(3, 120, 1, 40), *turn(4)]
    assert buffer.flush() == []
    assert push(buffer, *turn(5)) == turn(5)
    assert push(buffer, *turn(3)) == []
    assert buffer.late == 1


def test_duplicates_of_held_and_of_released_frames():
    buffer = JitterBuffer()
    push(buffer, *turn(0, 1, 3))
    assert push(buffer, *turn(0, 1, 3, 3)) == []
    assert (buffer.duplicates, buffer.late, buffer.held) == (4, 0, 1)
    assert push(buffer, *turn(2)) == turn(2, 3)


def test_128_released_frames_are_known_as_duplicates():
    buffer = JitterBuffer()
    # 10 ms each, so that nothing of it is 2 s behind.
    push(buffer, *turn(*range(130), ms=10))
    push(buffer, *turn(*range(2, 130), ms=10))
    assert (buffer.duplicates, buffer.late) == (128, 0)
    assert push(buffer, *turn(1, ms=10)) == []
    assert (buffer.duplicates, buffer.late) == (128, 1)


def test_silence_is_no_loss():
    buffer = JitterBuffer()
    spoken = turn(0, 1)
    # The third is so long that the timestamp seems to go back.
    for number, silence_ms in enumerate([300, 30_000, 600_000, 1_048_576], start=2):
        timestamp = spoken[-1].timestamp + 40 + silence_ms
        spoken.append(frame(number, timestamp=timestamp))
    assert push(buffer, *spoken) == spoken
    assert (buffer.lost, buffer.gaps) == (0, 0)


def test_a_loss_before_silence_lasts_no_longer_than_its_frames():
    buffer = JitterBuffer()
    push(buffer, *turn(0, 1))
    later = [frame(number, timestamp=60_000 + 40 * number) for number in range(3, 9)]
    assert push(buffer, *later) == [Gap(2, 80, 1, 40), *later]


def test_a_short_frame_that_is_lost_is_told_as_long_as_it_was():
    buffer = JitterBuffer()
    push(buffer, *turn(0, 1))
    buffer.push(frame(3, timestamp=87))
    assert buffer.flush()[0] == Gap(2, 80, 1, 7)


def test_a_counter_that_skips_while_the_time_does_not_hides_no_sound():
    buffer = JitterBuffer()
    push(buffer, *turn(0, 1))
    buffer.push(frame(3, timestamp=80))
    assert buffer.flush()[0] == Gap(2, 80, 1, 0)


@pytest.mark.parametrize("key", [0, 1])
@pytest.mark.parametrize(
    ("spoken", "again"),
    [
        (300, {}),  # seq and time from 0 again, long behind
        (10, {}),  # and short behind, where each number is known
        (10, {"seq": 10}),  # only the time
        (10, {"timestamp": 30_000}),  # only seq
        (10, {"seq": 9, "timestamp": 360}),  # at the very place of the last frame
    ],
)
def test_a_peer_that_counts_anew_is_followed(spoken, again, key):
    buffer = JitterBuffer()
    push(buffer, *turn(*range(spoken)))
    start = {"seq": 0, "timestamp": 0} | again
    fresh = [
        frame(
            1000 + number, key=key and not number,
            seq=start["seq"] + number, timestamp=start["timestamp"] + 40 * number,
        )
        for number in range(50)
    ]  # fmt: skip
    assert push(buffer, *fresh) + buffer.flush() == fresh
    assert buffer.restarts == 1
    assert (buffer.lost, buffer.late, buffer.duplicates) == (0, 0, 0)


def test_a_new_run_lets_go_of_what_the_old_one_held():
    buffer = JitterBuffer()
    push(buffer, *turn(*range(10), 11))
    fresh = frame(0, sound=500)
    assert buffer.push(fresh) == [Gap(10, 400, 1, 40), frame(11), fresh]
    assert buffer.push(frame(1, sound=501)) == [frame(1, sound=501)]


def test_a_new_run_that_begins_with_the_same_silence_loses_that_alone():
    buffer = JitterBuffer()
    push(buffer, frame(0, sound=0), *turn(1, 2, 3))
    fresh = [frame(number, sound=100 + number) for number in range(1, 8)]
    out = push(buffer, frame(0, sound=0), *fresh) + buffer.flush()
    assert out == fresh
    assert (buffer.duplicates, buffer.lost) == (1, 0)


def test_a_loss_between_two_runs_is_told_where_seq_goes_on():
    buffer = JitterBuffer()
    push(buffer, *turn(*range(10)))
    fresh = frame(0, seq=12, sound=500)
    assert buffer.push(fresh) == [Gap(10, 400, 2, 80), fresh]
    far = frame(0, seq=2000, timestamp=900_000, sound=501)
    assert buffer.push(far) == [far]
    assert (buffer.lost, buffer.restarts) == (2, 2)


def test_a_leap_of_the_counter_is_a_loss_unless_a_key_frame_leaps():
    buffer = JitterBuffer()
    push(buffer, *turn(*range(10)))
    leap = turn(1010, 1011)
    push(buffer, *leap)
    assert buffer.flush() == [Gap(10, 400, 1000, 40_000), *leap]
    key = frame(1500, key=1)
    assert buffer.push(key) == [key]
    # More than half the circle reads as a step back, while the time goes on.
    beyond = turn(*range(5000, 5010))
    assert push(buffer, *beyond) + buffer.flush() == beyond
    assert (buffer.lost, buffer.late, buffer.restarts) == (1000, 0, 2)


@pytest.mark.parametrize(("seq", "timestamp"), [(3000, 500_000), (2000, 1_000_000), (50, 700_000)])
def test_one_stray_frame_does_not_stop_the_stream(seq, timestamp):
    buffer = JitterBuffer()
    out = push(buffer, *turn(*range(10)))
    stray = frame(0, key=0, seq=seq, timestamp=timestamp, sound=999)
    out += push(buffer, stray, *turn(*range(10, 400))) + buffer.flush()
    assert [item for item in out if isinstance(item, AudioFrame) and item != stray] == turn(
        *range(400)
    )
    assert (buffer.late, buffer.duplicates) == (0, 0)


def test_a_peer_whose_seq_stands_still():
    buffer = JitterBuffer(window_ms=200)
    frames = [frame(number, seq=7) for number in range(40)]
    frames[20], frames[21] = frames[21], frames[20]
    out = []
    for number, each in enumerate(frames):
        out += buffer.push(each)
        assert number + 1 - len(out) <= 6
    out += buffer.flush()
    assert [item.timestamp for item in out] == [40 * number for number in range(40)]
    assert (buffer.lost, buffer.late) == (0, 0)


def test_a_peer_whose_timestamp_stands_still():
    buffer = JitterBuffer(window_ms=200)
    frames = [frame(number, timestamp=0) for number in range(40)]
    out = push(buffer, *frames[:10], *frames[11:16])
    assert out == frames[:10]
    out = push(buffer, frames[16])
    assert out == [Gap(10, 40, 1, 40), *frames[11:17]]
    assert push(buffer, frames[18], frames[17], *frames[19:]) == frames[17:]


def test_a_peer_that_counts_nothing_is_played_as_it_comes():
    buffer = JitterBuffer()
    frames = [frame(number, seq=0, timestamp=0) for number in range(300)]
    assert push(buffer, *frames) + buffer.flush() == frames


def test_opus_is_ordered_alike():
    def opus(number, key=0):
        sound = random.Random(number).randbytes(60)  # noqa: S311
        return AudioFrame(
            key=key or not number, seq=number, timestamp=20 * number, codec=1, payload=sound
        )

    buffer = JitterBuffer()
    # Without a count of samples the step from frame to frame tells how long each is.
    out = push(buffer, opus(0), opus(1), opus(4, key=1), opus(3)) + buffer.flush()
    assert out == [opus(0), opus(1), Gap(2, 40, 1, 20), opus(3), opus(4, key=1)]


def test_never_more_than_512_frames_are_held():
    buffer = JitterBuffer()
    buffer.push(frame(0, timestamp=0))
    frames = [
        AudioFrame(seq=number, codec=1, payload=number.to_bytes(2)) for number in range(2, 600)
    ]
    for each in frames:
        buffer.push(each)
        assert buffer.held < 512
    assert (buffer.lost, buffer.released) == (1, 599)


def test_frames_are_ordered_by_what_they_were_when_pushed():
    buffer = JitterBuffer()
    push(buffer, *turn(0))
    second = frame(2)
    buffer.push(second)
    second.seq, second.timestamp = 77, 7777
    assert push(buffer, *turn(1)) == [frame(1), second]
    assert push(buffer, *turn(3)) == turn(3)


@pytest.mark.parametrize("let_go", ["flush", "reset", "push", "forget"])
def test_frames_are_kept_as_long_as_they_are_held(let_go):
    buffer = JitterBuffer()
    push(buffer, *turn(0))
    held = frame(2)
    before = sys.getrefcount(held)
    push(buffer, held, held)
    assert sys.getrefcount(held) == before + 1
    if let_go == "push":
        push(buffer, *turn(1))
    elif let_go == "forget":
        del buffer
    else:
        getattr(buffer, let_go)()
    assert sys.getrefcount(held) == before


def test_reset_is_as_new():
    buffer = JitterBuffer(window_ms=500)
    push(buffer, *turn(0, 1, 1, 3))
    push(buffer, *turn(7))
    buffer.reset()
    assert buffer.window_ms == 500
    assert (buffer.held, buffer.held_ms, buffer.released) == (0, 0, 0)
    assert all(getattr(buffer, name) == 0 for name in COUNTERS)
    assert push(buffer, *turn(0, 1)) == turn(0, 1)
    assert buffer.duplicates == 0


def test_refused():
    buffer = JitterBuffer()
    for wrong in (frame(0).pack(), None, Gap(0, 0, 1, 0)):
        with pytest.raises(TypeError, match="must be an AudioFrame, not"):
            buffer.push(wrong)
    assert buffer.pushed == 0
    for wrong in (199, 501, -1, 2**70):
        with pytest.raises(ValueError, match="window_ms must be from 200 to 500"):
            JitterBuffer(window_ms=wrong)
    with pytest.raises(TypeError):
        JitterBuffer(window_ms=200.0)
    with pytest.raises(TypeError):
        JitterBuffer(300)
    with pytest.raises(AttributeError):
        buffer.lost = 0
    with pytest.raises(TypeError):
        pickle.dumps(buffer)


def test_gap_is_a_plain_value():
    gap = Gap(seq=4097, timestamp=-1, frames=2, duration_ms=80)
    assert (gap.seq, gap.timestamp, gap.frames, gap.duration_ms) == (1, 1_048_575, 2, 80)
    assert repr(gap) == "Gap(seq=1, timestamp=1048575, frames=2, duration_ms=80)"
    assert gap == pickle.loads(pickle.dumps(gap)) == copy.copy(gap)  # noqa: S301
    assert len({gap, Gap(1, 1_048_575, 2, 80), Gap(1, 0, 2, 80)}) == 2
    assert gap != (1, 1_048_575, 2, 80)
    match gap:
        case Gap(_, _, frames, duration_ms):
            assert (frames, duration_ms) == (2, 80)
    with pytest.raises(ValueError, match="frames must be from 1 to 4095"):
        Gap(0, 0, 0, 0)
    with pytest.raises(ValueError, match="duration_ms"):
        Gap(0, 0, 1, -1)
    with pytest.raises(AttributeError):
        gap.seq = 2


def test_several_threads_lose_and_repeat_nothing():
    buffer = JitterBuffer(window_ms=500)
    frames = [frame(number, timestamp=number, ms=1) for number in range(3000)]
    taken = [[] for _ in range(6)]
    begin = threading.Barrier(6)

    def work(mine, numbers):
        begin.wait()
        for number in numbers:
            mine.extend(buffer.push(frames[number]))
            assert buffer.held <= 512

    threads = [
        threading.Thread(target=work, args=(taken[i], range(i // 2, 3000, 3))) for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out = [item for mine in taken for item in mine] + buffer.flush()
    got = [item for item in out if isinstance(item, AudioFrame)]
    assert buffer.pushed == 6000 == buffer.released + buffer.duplicates + buffer.late
    assert len(got) == buffer.released
    assert sum(item.frames for item in out if isinstance(item, Gap)) == buffer.lost
