"""Rates of 1000 Hz here: a sample is a millisecond."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatarwire.audio import PcmFormat
from avatarwire.recording.heard import Heard, Run

MONO = PcmFormat(1000)


def ramp(start, count):
    return array("h", range(start, start + count)).tobytes()


def channels(heard, until=10.0, step=None):
    """Return both channels of what was heard, taken in steps."""
    stereo = array("h", bytes(4 * round(until * 1000)))
    times = [until] if step is None else [*(step * k for k in range(1, int(until / step))), until]
    for t in times:
        if (piece := heard.take(t)) is not None:
            samples = array("h", piece.pcm)
            stereo[2 * piece.at : 2 * piece.at + len(samples)] = samples
    return list(stereo[0::2]), list(stereo[1::2])


def test_the_avatar_is_on_the_right_in_its_place_and_the_user_on_the_left():
    heard = Heard(1000)
    heard.avatar("a", ramp(1, 3), MONO, 0.010)
    heard.user(ramp(50, 2), MONO, 0.022)  # said before it came
    left, right = channels(heard, 0.03)
    assert right == [0] * 10 + [1, 2, 3] + [0] * 17
    assert left == [0] * 20 + [50, 51] + [0] * 8


def test_sound_that_follows_does_so_to_the_sample_whatever_the_times_rounding():
    heard = Heard(1000)
    heard.avatar("a", ramp(1, 3), MONO, 0.0104)
    heard.avatar("a", ramp(4, 3), MONO, 0.01341)
    assert channels(heard, 0.02)[1] == [0] * 10 + [1, 2, 3, 4, 5, 6] + [0] * 4


def test_a_gap_is_silence_of_its_length():
    heard = Heard(1000)
    heard.avatar("a", ramp(1, 2), MONO, 0.0)
    heard.avatar("a", ramp(3, 2), MONO, 0.005)
    assert channels(heard, 0.008)[1] == [1, 2, 0, 0, 0, 3, 4, 0]
    assert heard.runs(are_over=True) == [Run("a", 0, 2), Run("a", 5, 2)]


def test_silence_takes_away_what_was_not_played_of_that_turn_alone():
    heard = Heard(1000)
    heard.avatar("a", ramp(1, 5), MONO, 0.0)
    heard.avatar("b", ramp(11, 2), MONO, 0.005)
    heard.silence("a", 0.003)
    heard.avatar("b", ramp(21, 1), MONO, 0.007)
    assert channels(heard, 0.009)[1] == [1, 2, 3, 0, 0, 11, 12, 21, 0]


def test_what_comes_after_silence_begins_there():
    heard = Heard(1000)
    heard.avatar("a", ramp(1, 5), MONO, 0.0)
    heard.silence("a", 0.002)
    heard.avatar("b", ramp(11, 2), MONO, 0.003)
    assert channels(heard, 0.006)[1] == [1, 2, 0, 11, 12, 0]


def test_what_was_taken_is_certain():
    heard = Heard(1000)
    heard.avatar("a", ramp(1, 5), MONO, 0.0)
    assert array("h", heard.take(0.003).pcm)[1::2] == array("h", [1, 2, 3])
    heard.silence("a", 0.001)
    assert heard.take(0.010) is None
    assert heard.take(0.005) is None


def test_frames_of_the_user_that_jitter_are_one_run():
    heard = Heard(1000)
    for index, late in enumerate([0.0, 0.03, 0.01, 0.09, -0.02]):
        heard.user(ramp(1 + 40 * index, 40), MONO, 0.040 * (index + 1) + 0.1 + late)
    assert channels(heard, 0.4)[0] == [0] * 100 + list(range(1, 201)) + [0] * 100


def test_after_a_pause_the_user_goes_on_in_time():
    heard = Heard(1000)
    heard.user(ramp(1, 10), MONO, 0.010)
    heard.user(ramp(11, 10), MONO, 0.300)
    assert channels(heard, 0.3)[0] == [*range(1, 11), *([0] * 280), *range(11, 21)]


def test_stereo_is_heard_by_its_left_channel():
    heard = Heard(1000)
    heard.avatar("a", array("h", [1, 9, 2, 9]).tobytes(), PcmFormat(1000, 2), 0.0)
    assert channels(heard, 0.003)[1] == [1, 2, 0]


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100, 48000])
def test_another_rate_lasts_as_long_and_sounds_the_same(rate):
    heard = Heard(16000)
    wave = array("h", [round(8000 * (k % (rate // 100)) / (rate // 100)) for k in range(rate)])
    for start in range(0, rate, 441):
        heard.avatar("a", wave[start : start + 441].tobytes(), PcmFormat(rate), start / rate)
    piece = heard.take(2.0)
    right = array("h", piece.pcm)[1::2]
    assert piece.at == 0
    assert abs(len(right) - 16000) <= 2
    off = [abs(right[k] - 8000 * (k % 160) / 160) for k in range(len(right)) if 3 < k % 160 < 157]
    assert max(off) < 60


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(1, 40), st.booleans()), min_size=1, max_size=12
    ),
    st.sampled_from([None, 0.004, 0.013]),
)
def test_it_is_what_a_player_plays_however_it_is_taken(events, step):
    """The reference plays a sample a millisecond, one turn after another."""
    heard, expected, at, end, value = Heard(1000), [0] * 3000, 0, 0, 1
    last_taken = 0.0
    for index, (wait, count, is_cut) in enumerate(events):
        at += wait
        if step is not None:  # as the thread does: only what cannot change any more
            last_taken = max(last_taken, at / 1000 - 0.001)
        begin = max(at, end)
        heard.avatar(f"{index}", ramp(value, count), MONO, begin / 1000)
        expected[begin : begin + count] = range(value, value + count)
        end = begin + count
        value += count
        if is_cut:
            at += count // 2
            cut = max(at, begin)
            heard.silence(f"{index}", at / 1000)
            expected[cut:] = [0] * (3000 - cut)
            end = min(end, cut)
            end = max(end, begin)
    assert channels(heard, 3.0, step)[1] == expected
