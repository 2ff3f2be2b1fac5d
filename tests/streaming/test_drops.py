"""What a gap drops, and how long it makes a writer wait."""

import pytest

from avatarwire.audio import PcmFormat
from avatarwire.streaming import Timeline, Timing
from avatarwire.streaming.drops import Drops
from avatarwire.streaming.intake import Intake

MONO = PcmFormat(24000)
SECOND = bytes(48_000)


@pytest.fixture
def turn():
    return Turn()


class Turn:
    def __init__(self):
        self.intake = Intake(MONO, MONO, None, "turn 7")
        self.timeline = Timeline(Timing(buffer_ms=2000), MONO)
        self.drops = Drops(self.intake, self.timeline, MONO, 2000)

    def write(self, pcm):
        self.timeline.put(self.intake.take(pcm))
        if self.drops.is_on:
            self.drops.drop()


def test_what_waits_is_dropped_but_half_a_sample(turn):
    turn.write(bytes(961))
    turn.drops.begin(100.0)
    assert turn.drops.is_on
    assert turn.timeline.queued_bytes == 1
    turn.write(b"x")
    assert turn.timeline.queued_bytes == 0


def test_a_writer_waits_until_no_more_than_the_buffer_is_ahead(turn):
    turn.write(SECOND)
    turn.drops.begin(100.0)  # what waited has been waited for
    assert turn.drops.wait_s(100.0) == pytest.approx(-2.0)
    for _ in range(3):
        turn.write(SECOND)
    assert turn.drops.wait_s(100.0) == pytest.approx(1.0)
    assert turn.drops.wait_s(101.0) == pytest.approx(0.0)
    turn.drops.begin(105.0)  # another gap
    assert turn.drops.wait_s(105.0) == pytest.approx(-2.0)


def test_the_end_is_dropped_until_more_is_written(turn):
    assert not turn.drops.has_the_end
    turn.write(bytes(961))
    turn.drops.begin(100.0)
    assert turn.drops.has_the_end
    turn.drops.is_on = False
    turn.write(b"x")  # the other half of a sample that was not dropped
    assert not turn.drops.has_the_end


def test_what_comes_after_the_end_does_not_change_what_was_dropped(turn):
    turn.write(bytes(960))
    turn.drops.begin(100.0)
    turn.intake.finish()
    turn.intake.count(bytes(960))
    assert turn.drops.has_the_end


def test_a_gap_that_finds_nothing_drops_no_end(turn):
    turn.write(bytes(960))
    turn.timeline.front(960)
    turn.timeline.sent(100.0)
    turn.drops.begin(100.0)
    assert not turn.drops.has_the_end
