import base64
import hashlib
import json
import re
import shutil
import subprocess
from array import array

import pytest
from recordings import EVIL, conversation, made
from sources import MONO

from avatarwire.audio import decode_ulaw
from avatarwire.recording import page, webpage

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def parts(html):
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1]
    values = json.loads(data[1])
    pieces = re.findall(r'<script type="application/json" id="sound-(\d+)">(.*?)</script>', html)
    values["sound"]["pieces"] = {index: json.loads(coded) for index, coded in pieces}
    assert html.index(script) < html.rindex("</body>")
    assert all(html.index(f'"sound-{index}"') > html.index(script) for index, _ in pieces)
    return values, script


def test_it_loads_nothing_and_runs_its_own_script_alone(tmp_path):
    html = page(made(tmp_path, conversation))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)[1]
    _, script = parts(html)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"""(src|href)=["']?(https?:)?//|@import|url\(|fetch\(|innerHTML""", html)


def test_words_of_the_session_are_no_markup(tmp_path):
    html = page(made(tmp_path, conversation))
    assert EVIL not in html
    kinds = set(re.findall(r"<script[^>]*>", html)) - {'<script type="application/json" id="data">'}
    assert kinds == {"<script>", '<script type="application/json" id="sound-0">'}
    assert html.count("<script>") == 1
    data, _ = parts(html)
    typed = next(event for event in data["events"] if event["what"] == "input.text")
    assert EVIL in json.loads(typed["words"])["text"]


def test_sound_waveforms_and_turns_are_in_it(tmp_path):
    data, _ = parts(page(made(tmp_path, conversation)))
    assert data["sound"]["isWhole"]
    assert (data["sound"]["rate"], list(data["sound"]["pieces"])) == (1000, ["0"])
    _, right = data["sound"]["pieces"]["0"]
    heard = array("h", decode_ulaw(base64.b64decode(right)))
    assert [round(sample, -2) for sample in heard[1000:1500]] == [1000] * 500
    assert not any(heard[1500:2500])
    peaks = base64.b64decode(data["peaks"]["avatar"])
    assert data["peaks"]["step"] == 0.02
    assert set(peaks[50:75]) == {round(1000 / 32768 * 255)}
    assert [turn["id"] for turn in data["turns"]] == ["turn-a", "turn-b"]
    assert data["gaps"] == [[2.0, 0.5]]
    assert data["session"] == "session-1"


def test_a_long_one_has_the_sound_of_a_telephone_in_one_channel(tmp_path, monkeypatch):
    monkeypatch.setattr(webpage, "FINE_S", 2)

    def tell(to, at):
        to.sound("a", array("h", [3000] * 6000).tobytes(), MONO, 101, 101)
        at(30)

    data, _ = parts(page(made(tmp_path, tell, sent_rate=16000)))
    assert data["sound"]["rate"] == 8000
    assert {index: len(channels) for index, channels in data["sound"]["pieces"].items()} == {"0": 1}
    monkeypatch.setattr(webpage, "MOST_PIECES", 1)
    data, _ = parts(page(made(tmp_path / "b", tell, sent_rate=16000)))
    assert not data["sound"]["isWhole"]


def test_one_without_sound_is_a_page_too(tmp_path):
    data, _ = parts(page(made(tmp_path, conversation, content=False)))
    assert data["sound"]["pieces"] == {}


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_browser_draws_it_and_no_word_of_the_session_runs(tmp_path):
    path = tmp_path / "page.html"
    path.write_text(page(made(tmp_path / "recording", conversation)), encoding="utf-8")
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
         f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000", path.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "data-ready-ms=" in done.stdout
    assert "<title>toy session session-1</title>" in done.stdout
    assert done.stdout.count("<img") == 0
    assert "Content Security Policy" not in done.stderr
