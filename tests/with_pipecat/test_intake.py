"""What of a pipeline's sound is spoken."""

import pytest
from pipecat.frames.frames import OutputAudioRawFrame, TTSAudioRawFrame

from avatarwire.pipecat.intake import Intake


def frame(kind=TTSAudioRawFrame, channels=1, interruptible=True):
    frame = kind(bytes(480 * channels), 24000, channels)  # 10 ms
    frame.interruptible = interruptible
    return frame


def test_speech_is_stale_from_an_interruption_to_the_next_turn():
    intake = Intake()
    assert not intake.is_stale(frame())
    intake.interrupted()
    assert intake.is_stale(frame())
    assert not intake.is_stale(frame(OutputAudioRawFrame))
    assert not intake.is_stale(frame(interruptible=False))
    assert intake.dropped_ms == 10
    intake.turn_begins()
    assert not intake.is_stale(frame())


def test_a_chunk_that_was_made_before_an_interruption_is_stale_for_good():
    intake = Intake()
    chunks = frame(), frame(OutputAudioRawFrame), frame(interruptible=False)
    intake.interrupted()
    intake.turn_begins()
    assert [intake.is_stale_chunk(chunk) for chunk in chunks] == [True, True, False]
    assert not intake.is_stale_chunk(frame())
    assert intake.dropped_ms == 20


def test_two_channels_become_one():
    stereo = TTSAudioRawFrame(b"\x00\x01\x00\x03" * 240, 24000, 2)
    Intake().make_mono(stereo)
    assert (stereo.num_channels, stereo.audio) == (1, b"\x00\x02" * 240)


def test_six_are_refused_and_counted():
    intake, six = Intake(), frame(channels=6)
    with pytest.raises(ValueError, match="1 or 2, not 6"):
        intake.make_mono(six)
    assert intake.dropped_ms == 10
    assert [intake.is_news(six), intake.is_news(six), intake.is_news(frame())] == [
        True,
        False,
        True,
    ]
