"""An hour's recording, made by writing what a recorder writes."""

import json
import time
from array import array

import pytest

from avatarwire.audio import PcmFormat
from avatarwire.recording import Recording, findings, har, page
from avatarwire.recording.records import snapshot
from avatarwire.recording.source import Wording
from avatarwire.recording.wav import GrowingWav

HOUR_S = 3600
FRAMES = 25 * HOUR_S


def written(path):
    """Write an hour's recording into a folder, and return it."""
    wording = Wording(platform="toy", side="client", read=str)
    first = snapshot(wording, "s", monotonic_s=0.0, unix_s=0.0, content=True)
    with (path / "timeline.jsonl").open("w") as lines:
        lines.write(json.dumps(first) + "\n")
        for k in range(FRAMES):
            t = k * 0.04
            for way, wav, n in (("send", "sent", 960), ("recv", "user", 640)):
                lines.write(
                    f'{{"t":{t:.6f},"ts":{t:.6f},"kind":"audio","dir":"{way}","bytes":{2 * n + 9},'
                    f'"seq":{k % 65536},"timestamp":{k * 40},"n":{n},"rate":{25 * n},"channels":1,'
                    f'"level":0.1234,"wav":"{wav}","at":{k * n},"head":"5000000004f0000780"}}\n'
                )
            if k % 250 == 0:
                lines.write(f'{{"t":{t},"ts":{t},"kind":"turn","turn":"{k}","change":"opened"}}\n')
            if k % 250 == 150:
                lines.write(
                    f'{{"t":{t},"ts":{t},"kind":"turn","turn":"{k - 150}","change":"ended",'
                    f'"reason":"completed","sent_ms":6000.0}}\n'
                )
    heard = GrowingWav(path / "heard.wav", PcmFormat(24000, 2))
    second = array("h", [(k * 7919) % 9001 for k in range(48000)]).tobytes()
    for k in range(HOUR_S):
        if k % 10 < 6:
            heard.put(k * 24000, second)
    heard.lengthen(HOUR_S * 24000)
    heard.close()
    return path


@pytest.fixture(scope="module")
def hour(tmp_path_factory):
    return written(tmp_path_factory.mktemp("hour"))


def test_it_is_inspected_in_ten_seconds(hour):
    begun_s = time.process_time()
    found = findings(Recording(hour))
    assert time.process_time() - begun_s < 10
    assert found.length_s == HOUR_S
    assert len(found.turns) == HOUR_S / 10
    assert found.messages == {("send", "audio"): FRAMES, ("recv", "audio"): FRAMES}


def test_its_page_is_made_in_ten_seconds_more_and_no_larger_than_opens(hour):
    recording = Recording(hour)
    begun_s = time.process_time()
    html = page(recording)
    assert time.process_time() - begun_s < 10
    assert len(html) < 50_000_000
    assert '"isWhole":true' in html


def test_its_har_has_all_that_has_content(hour):
    entry = har(Recording(hour))["log"]["entries"][0]
    assert len(entry["_webSocketMessages"]) == 2 * FRAMES
