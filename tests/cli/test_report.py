import hashlib
import io
import json

import pytest
from rich.console import Console

from avatarwire.audio import PcmFormat
from avatarwire.cli.report import Report, percentile

PCM = bytes(48000)


def report(received: bytes | None = PCM) -> Report:
    return Report(
        name="a.wav",
        platform="http://localhost:1",
        format=PcmFormat(24000),
        sent=PCM,
        received=received,
        lateness_ms=[0.25] * 24 + [3.0],
        cpu_s=0.002,
    )


def shown(it: Report) -> str:
    console = Console(file=io.StringIO(), width=80)
    it.show(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([5], 50, 5), ([1, 2, 3, 4], 50, 2), ([4, 3, 2, 1], 99, 4), (list(range(1, 201)), 99, 198)],
)
def test_percentile(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected


def test_json_for_machines() -> None:
    sha256 = hashlib.sha256(PCM).hexdigest()
    assert json.loads(report().as_json()) == {
        "file": "a.wav",
        "platform": "http://localhost:1",
        "sample_rate": 24000,
        "channels": 1,
        "frames": 25,
        "audio_s": 1.0,
        "lateness_ms": {"p50": 0.25, "p99": 3.0, "max": 3.0},
        "cpu_ms_per_audio_s": 2.0,
        "sent_sha256": sha256,
        "received_sha256": sha256,
        "identical": True,
    }


def test_a_table_for_people() -> None:
    lines = [line.rstrip() for line in shown(report()).splitlines()]
    assert lines[:5] == [
        "platform         on this machine",
        "frames           25",
        "audio            1.00 s, 24000 Hz mono",
        "frame lateness   p50 0.25 ms, p99 3.00 ms, max 3.00 ms",
        "CPU              2.0 ms per second of audio",
    ]
    assert lines[5].startswith("PCM received     identical (SHA-256 ")
    assert len(lines) == 6


def test_other_pcm_is_different() -> None:
    assert report(PCM[2:]).identical is False
    assert "DIFFERENT (47998 bytes of 48000)" in shown(report(PCM[2:]))


def test_pcm_that_nobody_gave_back_is_not_judged() -> None:
    assert report(None).identical is None
    assert json.loads(report(None).as_json())["received_sha256"] is None
    assert "not compared" in shown(report(None))
    assert "http://localhost:1" in shown(report(None))
