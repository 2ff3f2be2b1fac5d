"""What a pace may be."""

from fractions import Fraction

import pytest

from avatarwire.streaming import Timing


class Whole(int):
    """An integer as NumPy has them: one by registration, here of its own type."""


@pytest.mark.parametrize("name", ["lead_ms", "batch_ms", "buffer_ms", "frame_ms"])
@pytest.mark.parametrize(
    ("value", "error"),
    [("40", TypeError), (True, TypeError), (None, TypeError), (-1, ValueError),
     (float("nan"), ValueError), (float("inf"), ValueError)],
)  # fmt: skip
def test_durations_are_checked(name, value, error):
    with pytest.raises(error, match=name):
        Timing(**{name: value})


@pytest.mark.parametrize("frame_ms", [0, 1001, 40.5])
def test_frame_is_whole_milliseconds(frame_ms):
    with pytest.raises(ValueError, match="frame_ms must be a whole number, 1 to 1,000"):
        Timing(frame_ms=frame_ms)


@pytest.mark.parametrize("name", ["lead_ms", "batch_ms", "buffer_ms", "frame_ms"])
def test_numbers_of_any_kind_become_plain_ones(name):
    number = getattr(Timing(**{name: Fraction(40)} if name != "frame_ms" else {}), name)
    assert type(number) in {int, float}
    assert type(getattr(Timing(**{name: Whole(40)}), name)) is int
