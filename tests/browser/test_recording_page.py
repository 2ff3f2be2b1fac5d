"""The page of a recording as somebody uses it, and that of an hour."""

import importlib
import sys
from importlib import resources
from pathlib import Path

import pytest

from avatarwire.recording import Recording, page

RECORDINGS = Path(__file__).parents[1] / "recording"
OPENS_MS = 2000


def module(name):
    """Load what makes recordings for the tests beside."""
    sys.path.insert(0, str(RECORDINGS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(RECORDINGS))


def written(tmp_path, recording):
    path = tmp_path / "page.html"
    path.write_text(page(recording), "utf-8")
    return path.as_uri()


@pytest.fixture
def small(tmp_path):
    recordings = module("recordings")
    return written(
        tmp_path, recordings.made(tmp_path / "small", recordings.conversation, sent_rate=16000)
    )


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("dark", 375)])
async def test_everybody_can_read_the_page_of_a_recording(small, browse, scheme, width):
    axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    opened = await browse(small, scheme=scheme, width=width, taps=False)
    assert await opened.title() == "toy session session-1"
    assert await opened.evaluate("document.documentElement.scrollWidth") <= width
    await opened.evaluate(axe)
    found = await opened.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [(each["id"], each["help"]) for each in found["violations"]] == []


async def test_the_keyboard_plays_moves_and_zooms(small, browse):
    opened = await browse(small, taps=False)
    line = opened.locator("#line")
    await line.focus()

    async def at_s():
        return float(await line.get_attribute("aria-valuenow"))

    await opened.keyboard.press("]")
    await opened.wait_for_timeout(100)
    assert await at_s() == pytest.approx(1.0)
    events = await opened.locator("#shown").inner_text()
    for _ in range(3):
        await opened.keyboard.press("+")
    await opened.wait_for_timeout(400)
    assert await opened.locator("#shown").inner_text() != events
    await opened.keyboard.press("0")
    await opened.wait_for_timeout(400)
    assert await opened.locator("#shown").inner_text() == events
    await opened.keyboard.press(" ")
    await opened.wait_for_timeout(700)
    assert await opened.locator("#play").inner_text() == "Pause"
    await opened.keyboard.press(" ")
    assert await opened.locator("#play").inner_text() == "Play"
    assert 1.0 < await at_s() < 3.0


async def test_that_of_an_hour_opens_in_two_seconds(tmp_path_factory, browse, tell):
    an_hour = module("test_an_hour")
    path = an_hour.written(tmp_path_factory.mktemp("hour"))
    opened = await browse(written(path, Recording(path)), taps=False)
    ready_ms = await opened.evaluate("Number(document.documentElement.dataset.readyMs)")
    tell(f"an hour's page: ready after {ready_ms} ms")
    assert ready_ms < OPENS_MS
    assert await opened.evaluate("held('0') !== null && piece(new AudioContext(), '0') !== null")
