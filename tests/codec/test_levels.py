import array
import math
import struct
import sys
import threading
import time

import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

import avatarwire.audio
from avatarwire.codec import level

PCM = st.binary(max_size=3000).map(lambda data: data[: len(data) // 2 * 2])


def pcm(*samples):
    return struct.pack(f"<{len(samples)}h", *samples)


@given(PCM, st.integers(0, 63))
def test_level_is_what_the_reference_says_wherever_the_sound_lies(sound, offset):
    expected = reference.level(sound)
    assert level(sound) == expected
    assert level(memoryview(b"\xff" * offset + sound + b"\xff" * 64)[offset:][: len(sound)]) == (
        expected
    )


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ((0, 0), (0.0, 0.0)),
        ((-32768,), (1.0, 1.0)),
        ((-32768,) * 640, (1.0, 1.0)),
        ((32767,), (32767 / 32768, 32767 / 32768)),
        ((16384, -16384), (0.5, 0.5)),
        ((1,), (1 / 32768, 1 / 32768)),
        ((256, 0), (math.sqrt(32768) / 32768, 256 / 32768)),
        ((3, -4), (math.sqrt(12.5) / 32768, 4 / 32768)),
    ],
)
def test_exact_levels(samples, expected):
    assert level(pcm(*samples)) == expected


def test_no_sound_has_no_level():
    assert level(b"") == (0.0, 0.0)


def test_a_full_scale_sine_is_3_db_under_its_peak():
    sine = array.array("h", (round(32767 * math.sin(i * math.tau / 48)) for i in range(4800)))
    if sys.byteorder == "big":
        sine.byteswap()
    rms, peak = level(sine)
    assert rms == pytest.approx(32767 / 32768 / math.sqrt(2), rel=1e-4)
    assert peak == 32767 / 32768


# Sound is measured in blocks of 65,536 samples; sums pass 32 bits in a handful of samples.
@pytest.mark.parametrize("count", [65535, 65536, 65537, 3 * 65536, 200_001])
def test_long_sound_is_added_up_exactly(count):
    assert level(pcm(-32768) * count) == (1.0, 1.0)
    loudest_last = pcm(100) * (count - 1) + pcm(-20000)
    assert level(loudest_last) == reference.level(loudest_last)


def test_any_contiguous_buffer(as_buffer):
    assert level(as_buffer(pcm(16384, -16384))) == (0.5, 0.5)


def test_refused():
    with pytest.raises(ValueError, match="even number of bytes, not 3"):
        level(b"abc")
    with pytest.raises(ValueError, match="contiguous"):
        level(memoryview(bytes(8))[::2])
    for wrong in ("ab", None, 1, [1, 2]):
        with pytest.raises(TypeError):
            level(wrong)


@pytest.mark.parametrize("size", [2, 3, 300_000])
def test_the_buffer_is_given_back(unexported, size):
    sound = bytearray(size)
    try:
        level(sound)
    except ValueError:
        assert size == 3
    unexported(sound)


def test_other_threads_run_during_long_sound():
    sound = bytes(2 * 65536 * 16)
    asked, ran = threading.Lock(), []
    asked.acquire()

    def work():
        asked.acquire()
        ran.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # nobody gets a turn unless somebody lets go
    try:
        asked.release()
        give_up = time.monotonic() + 30
        while not ran and time.monotonic() < give_up:
            level(sound)
        assert ran
    finally:
        sys.setswitchinterval(interval_s)
        thread.join()


def test_audio_names_it_too():
    assert avatarwire.audio.level is level
