"""How much may leave, and when more does."""

import pytest

from avatarwire.audio import PcmFormat
from avatarwire.streaming import Schedule, Timing

FORMAT = PcmFormat(24000, 1)
MS = 48  # bytes of a millisecond


def schedule(**timing):
    return Schedule(Timing(**timing), FORMAT)


def test_sizes():
    made = schedule(batch_ms=230, buffer_ms=500)
    assert made.frame_bytes == 40 * MS
    assert made.batch_bytes == 200 * MS
    assert made.buffer_bytes == 500 * MS
    assert made.paced


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
    due = schedule(**timing).due_bytes(queued_ms * MS, ahead_ms / 1000, finishing=finishing)
    assert due == due_ms * MS


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
    ahead_s = schedule().next_ahead_s(queued_ms * MS, finishing=finishing)
    assert ahead_s == (None if ahead_ms is None else pytest.approx(ahead_ms / 1000))


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
