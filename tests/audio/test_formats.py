import dataclasses

import numpy as np
import pytest

from avatarwire.audio import PcmFormat


def test_a_second_of_sound() -> None:
    assert PcmFormat(24000).bytes_per_second == 48000
    assert PcmFormat(48000, 2).bytes_per_second == 192000


def test_duration_in_milliseconds() -> None:
    assert PcmFormat(24000).ms(1920) == 40.0
    assert PcmFormat(16000, 2).ms(64) == 1.0
    assert PcmFormat(16000).ms(0) == 0.0


def test_it_prints_as_a_person_says_it() -> None:
    assert [str(PcmFormat(16000, n)) for n in (1, 2, 6)] == [
        "16000 Hz mono",
        "16000 Hz stereo",
        "16000 Hz 6 channels",
    ]


def test_it_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PcmFormat(16000).channels = 2  # type: ignore[misc]


@pytest.mark.parametrize(("rate", "channels"), [(0, 1), (-1, 1), (16000, 0)])
def test_nonsense_is_refused(rate: int, channels: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        PcmFormat(rate, channels)


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int64])
def test_any_integer_becomes_a_plain_one(kind: type) -> None:
    format_ = PcmFormat(kind(100), kind(1))
    assert format_ == PcmFormat(100)
    assert {type(format_.sample_rate), type(format_.channels)} == {int}
    assert format_.bytes_per_second == 200  # more than int8 holds


@pytest.mark.parametrize("value", ["24000", 24000.0, None, True, np.float64(1), b"1"])
def test_what_is_no_whole_number_is_named(value: object) -> None:
    with pytest.raises(TypeError, match="sample_rate must be a whole number, not"):
        PcmFormat(value)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="channels must be a whole number, not"):
        PcmFormat(24000, value)  # type: ignore[arg-type]
