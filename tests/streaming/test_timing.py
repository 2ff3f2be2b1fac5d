"""What a pace may be."""

import pytest

from avatarwire.streaming import Timing


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
