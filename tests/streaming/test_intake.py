"""What is written: counted in the format sent, whatever is between the two."""

import logging

import pytest
from virtual import FakeSpeaker, new_stream, virtual

from avatarwire.audio import PcmFormat
from avatarwire.streaming.intake import Intake


@pytest.fixture
def speaker():
    return FakeSpeaker()


# Converted sound


class HalfRate:
    """Drops every second sample, and holds one back until the end."""

    def __init__(self):
        self._held = b""

    def push(self, pcm):
        data = self._held + bytes(pcm)
        whole = max(0, (len(data) - 4) // 4 * 4)
        self._held = data[whole:]
        return b"".join(data[at : at + 2] for at in range(0, whole, 4))

    def flush(self):
        data = self._held[: len(self._held) // 2 * 2]
        return b"".join(data[at : at + 2] for at in range(0, len(data), 4))


@virtual
async def test_converted_sound_is_accounted_for_in_full(speaker):
    fine = PcmFormat(48000)
    async with new_stream(speaker, written=fine, converter=HalfRate()) as stream:
        await stream.write(bytes(96 * 1000))
        assert stream.written_ms == 1000
    playout = await stream.wait_playout(0)
    assert playout.written_ms == playout.sent_ms == 1000
    assert playout.dropped_ms == 0
    await stream.write(bytes(96 * 10))
    playout = await stream.wait_playout(0)
    assert (playout.written_ms, playout.sent_ms, playout.dropped_ms) == (1010, 1000, 10)


@virtual
async def test_an_interrupt_drops_what_the_converter_holds(speaker):
    async with new_stream(speaker, written=PcmFormat(48000), converter=HalfRate()) as stream:
        await stream.write(bytes(96 * 20))
        playout = await stream.interrupt()
    assert (playout.written_ms, playout.sent_ms, playout.dropped_ms) == (20, 0, 20)


# By itself


def test_half_a_sample_counts_when_its_other_half_comes():
    stereo = PcmFormat(24000, 2)
    intake = Intake(stereo, stereo, None, "turn 7")
    assert intake.take(b"abc") == b"abc"
    assert (intake.samples, intake.whole_bytes) == (0, 0)
    intake.take(b"d")
    assert (intake.samples, intake.whole_bytes) == (1, 4)


def test_what_comes_after_the_end_is_counted_too(caplog):
    mono = PcmFormat(24000)
    intake = Intake(mono, mono, None, "turn 7")
    intake.take(bytes(5))
    with caplog.at_level(logging.WARNING):
        assert intake.finish() == b""
    assert "turn 7: the last 1 byte(s) written are no whole sample of 24000 Hz mono" in caplog.text
    intake.count(bytes(4))
    assert (intake.samples, intake.whole_bytes) == (4, 4)


def test_the_converters_rest_comes_at_the_end():
    intake = Intake(PcmFormat(48000), PcmFormat(24000), HalfRate(), "turn 7")
    assert len(intake.take(bytes(96))) == 46
    assert intake.samples == 24
    assert len(intake.finish()) == 2
    assert (intake.samples, intake.whole_bytes) == (24, 96)
