import dataclasses
import hashlib
import io
import json

import pytest
from rich.console import Console

from avatarwire.audio import PcmFormat
from avatarwire.cli.report import Report
from avatarwire.emulator import Turn
from avatarwire.streaming import Lateness, Playout

PCM = bytes(48000)
MONO = PcmFormat(24000)
COMPLETED = Playout("completed", 1000, 1000, 0, 1000)
INTERRUPTED = Playout("interrupted", 1000, 603, 397, 300)


def report(
    received: bytes | None = PCM, playout: Playout = COMPLETED, written: PcmFormat = MONO
) -> Report:
    lateness = Lateness()
    for late_s in [0.0004] * 98 + [0.0018, 0.003]:
        lateness.add(late_s)
    turn = Turn("audio", underruns=2, underrun_ms=31.4, stale_frames=1, drift_ms=-370.4)
    turn.pcm += received or b""
    return Report(
        name="a.wav",
        platform="http://localhost:1",
        written=written,
        sent=MONO,
        sent_pcm=PCM,
        frame_ms=40,
        received_pcm=received,
        turn=None if received is None else turn,
        playout=playout,
        lateness=lateness,
        interrupt_after_s=None,
        cpu_s=0.002,
    )


def shown(it: Report) -> str:
    console = Console(file=io.StringIO(), width=90)
    it.show(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_json_for_machines() -> None:
    sha256 = hashlib.sha256(PCM).hexdigest()
    assert json.loads(report().as_json()) == {
        "file": "a.wav",
        "platform": "http://localhost:1",
        "sample_rate": 24000,
        "channels": 1,
        "sent_sample_rate": 24000,
        "frames": 25,
        "audio_s": 1.0,
        "playout": {
            "reason": "completed",
            "written_ms": 1000,
            "sent_ms": 1000,
            "dropped_ms": 0,
            "played_ms": 1000,
        },
        "lateness_ms": {"p50": 0.5, "p99": 2, "max": 3.0},
        "cpu_ms_per_audio_s": 2.0,
        "sent_sha256": sha256,
        "received_sha256": sha256,
        "identical": True,
        "platform_heard": {
            "underruns": 2,
            "underrun_ms": 31.4,
            "stale_frames": 1,
            "drift_ms": -370.4,
        },
    }


def test_a_table_for_people() -> None:
    lines = [line.rstrip() for line in shown(report()).splitlines()]
    assert lines[:7] == [
        "platform         on this machine",
        "frames           25",
        "audio            1.00 s, 24000 Hz mono",
        "outcome          completed",
        "lateness         p50 0.5 ms, p99 2.0 ms, max 3.0 ms",
        "CPU              2.0 ms per second of audio",
        "platform heard   2 underruns (31 ms), 1 stale frames, drift -370 ms",
    ]
    assert lines[7].startswith("PCM received     identical (SHA-256 ")
    assert len(lines) == 8


def test_a_line_ends_where_its_words_do() -> None:
    lines = shown(dataclasses.replace(report(), name="x" * 200)).splitlines()
    assert lines == [line.rstrip() for line in lines]


def test_without_deadlines_there_is_no_lateness() -> None:
    it = dataclasses.replace(report(), lateness=None)
    assert "lateness" not in shown(it)
    assert json.loads(it.as_json())["lateness_ms"] is None


def test_an_interrupt_that_was_not_reached_is_told() -> None:
    words = shown(dataclasses.replace(report(), interrupt_after_s=2.5))
    assert "completed, before the interrupt after 2.5 s\n" in words


def test_what_nobody_confirmed_is_not_told_as_played() -> None:
    words = shown(report(playout=Playout("timed_out", 1000, 1000, 0, 1000)))
    assert "timed out: 1.00 s sent, 0.00 s dropped, not known to have been played\n" in words


def test_an_interrupted_turn_says_what_was_dropped() -> None:
    it = report(playout=INTERRUPTED)
    assert "interrupted: 0.60 s sent, 0.40 s dropped, 0.30 s played" in shown(it)
    assert it.frames == 16
    assert it.cpu_ms_per_audio_s == pytest.approx(2 / 0.603)


def test_converted_sound_says_what_was_sent() -> None:
    words = shown(report(written=PcmFormat(44100, 2)))
    assert "1.00 s, 44100 Hz stereo, sent as 24000 Hz mono" in words


def test_a_platform_that_tells_only_what_arrived() -> None:
    it = dataclasses.replace(report(), turn=None, frame_ms=64)
    assert it.identical is True
    assert it.frames == 16
    figures = json.loads(it.as_json())
    assert (figures["identical"], "platform_heard" in figures) == (True, False)
    assert [line.split()[0] for line in shown(it).splitlines()][-2:] == ["CPU", "PCM"]
    assert "on this machine" in shown(it)


def test_other_pcm_is_different() -> None:
    assert report(PCM[2:]).identical is False
    assert "DIFFERENT (47998 bytes of 48000)" in shown(report(PCM[2:]))


def test_pcm_that_nobody_gave_back_is_not_judged() -> None:
    assert report(None).identical is None
    assert json.loads(report(None).as_json())["received_sha256"] is None
    assert "not compared" in shown(report(None))
    assert "http://localhost:1" in shown(report(None))
