"""The playground as somebody uses it: typed, spoken, heard, seen, broken."""

import asyncio
import os
import re
import time
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from avatarwire.audio import PcmFormat, converter_between, read

SPEECH = Path(__file__).parents[1] / "data" / "speech.wav"
LEAST = 0.95
TRIES = 3
SILENT_MS = 300
BEFORE = 4000
SCREENSHOTS = Path(os.environ.get("SCREENSHOTS", "build/browser"))
VIEWS = [("light", 1280, 900), ("dark", 1280, 900), ("light", 375, 800), ("dark", 375, 800)]


def speech():
    return b"".join(read(SPEECH)[0])


def likeness(heard, said):
    """Return the best correlation of two sounds, and where the second begins in the first."""
    heard, said = (np.frombuffer(each, "<i2").astype(float) for each in (heard, said))
    # What was opened a moment too late misses the very beginning.
    heard = np.concatenate([np.zeros(BEFORE), heard])
    size = 1 << (len(heard) + len(said)).bit_length()
    spectra = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size))
    at = int(np.argmax(np.fft.irfft(spectra, size)[: max(1, len(heard) - len(said) + 1)]))
    part = heard[at : at + len(said)]
    return float(np.corrcoef(part, said[: len(part)])[0, 1]), at - BEFORE


async def tapped(page):
    samples = await page.evaluate("tapped.flatMap((each) => Array.from(each))")
    return np.round(np.array(samples) * 32768).astype("<i2").tobytes()


async def until(page, condition):
    """Wait until a condition holds, which the page's policy keeps the driver from doing inside."""
    async with asyncio.timeout(30):
        while not await page.evaluate(condition):
            await page.wait_for_timeout(50)


async def say(page, words):
    await page.get_by_label("Say as the user").fill(words)
    await page.keyboard.press("Enter")


async def is_listed(page):
    await page.locator("#sessions button[aria-pressed=true]").wait_for()
    await until(page, "document.querySelector('#state').textContent === 'IDLE'")


async def test_a_typed_line_is_answered_and_words_are_no_markup(emulator, speaker, browse):
    speaker.answers = "You said <b>{text}</b><script>document.title = 'owned'</script>"
    page = await browse(emulator.playground_url)
    await is_listed(page)
    await say(page, "Good morning")
    answer = page.locator("#log p.avatar")
    await answer.wait_for()
    assert await answer.inner_text() == speaker.answers.format(text="Good morning")
    assert await page.locator("#log p.user").inner_text() == "Good morning"
    assert await page.locator("#log b, #log script").count() == 0
    assert await page.title() == "Live Avatar playground"


async def test_the_voice_is_what_the_agent_sent(emulator, speaker, browse, tell):
    speaker.voice = speech()
    page = await browse(emulator.playground_url)
    await is_listed(page)
    await page.get_by_role("button", name="Sound off").click()
    await page.get_by_role("button", name="Sound on").wait_for()
    await say(page, "Speak")
    await until(page, "Number(document.querySelector('#mouth').dataset.opening) > 3")
    turn = page.locator("#turns tr", has_text="completed").first
    await turn.wait_for()
    await page.wait_for_timeout(500)
    _, written, sent, played, dropped, *_ = await turn.locator("td").all_inner_texts()
    assert (written, sent, dropped) == ("5.34 s", "5.34 s", "0.00 s")
    assert abs(float(played.split()[0]) - 5.34) < 0.1
    correlation, _ = likeness(await tapped(page), speaker.voice)
    begun_s = await page.evaluate("firstLoudMs") / 1000
    played_s = first_sound_s(emulator.sessions[0])
    assert correlation >= LEAST
    tell(f"voice: correlation {correlation:.4f}, {(begun_s - played_s) * 1000:.0f} ms later")
    assert begun_s - played_s < 1.0


def first_sound_s(session):
    """Return when, by the wall clock, the first frame of sound had arrived and was played."""
    arrived = next(
        entry.time_s
        for entry in session.transcript
        if isinstance(entry.data, bytes) and entry.direction == "received"
    )
    return time.time() - time.monotonic() + arrived


async def heard_of_the_microphone(emulator, speaker, browse):
    """Return what the agent hears of a page whose microphone plays the speech once."""
    heard = bytearray()

    async def listen():
        async for pcm in speaker.agent.user_audio(16000):
            heard.extend(pcm)

    listening = asyncio.create_task(listen())
    page = await browse(
        emulator.playground_url,
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={SPEECH}%noloop",
    )
    await is_listed(page)
    await page.get_by_label("Cancel echo").uncheck()
    await page.get_by_role("button", name="Microphone off").click()
    await page.get_by_role("button", name="Microphone on").wait_for()
    await until(page, "document.querySelector('#state').textContent === 'LISTENING'")
    await page.wait_for_timeout(7000)
    await page.get_by_role("button", name="Microphone on").click()
    await is_listed(page)
    listening.cancel()
    return bytes(heard)


async def test_the_microphone_is_what_the_agent_hears(emulator, speaker, browse, tell):
    await emulator.sessions[0].wait_for("session.ready")
    converter = converter_between(PcmFormat(24000), PcmFormat(16000))
    said = converter.push(speech()) + converter.flush()
    # A browser whose thread of sound gets no processor leaves out what it should record.
    for _ in range(TRIES):
        heard = await heard_of_the_microphone(emulator, speaker, browse)
        correlation, at = likeness(heard, said)
        tell(f"microphone: correlation {correlation:.4f}, {at / 16:.0f} ms after it was opened")
        if correlation >= LEAST:
            break
    assert correlation >= LEAST
    names = [entry.data for entry in emulator.sessions[0].transcript if "voice" in str(entry.data)]
    assert "input.voice.start" in names[0]


async def test_an_interrupt_from_the_keyboard_silences(emulator, speaker, browse, tell):
    speaker.voice = speech() * 3
    page = await browse(emulator.playground_url)
    await is_listed(page)
    await say(page, "Speak")
    await until(page, "window.firstLoudMs > 0")
    await page.wait_for_timeout(1000)
    await page.get_by_role("button", name="Interrupt").focus()
    await page.evaluate(
        "document.querySelector('#interrupt').addEventListener('click',"
        " () => (window.pressedMs = Date.now()))"
    )
    await page.keyboard.press("Enter")
    await page.wait_for_timeout(1500)
    silent_ms = await page.evaluate("lastLoudMs - pressedMs")
    tell(f"interrupt: silent after {silent_ms} ms")
    assert silent_ms <= SILENT_MS
    await page.locator("#turns tr", has_text="interrupted").wait_for()
    assert await page.locator("#log p.note", has_text="interrupted by the user").count() == 1


async def test_a_cut_shows_and_the_session_comes_back(emulator, speaker, browse):
    page = await browse(emulator.playground_url)
    await is_listed(page)
    await page.get_by_role("button", name="Cut").click()
    await page.locator("#log p.note", has_text="the connection has ended (1006)").wait_for()
    await page.locator("#log p.note", has_text=re.compile("^connected$")).wait_for()
    await say(page, "Still there?")
    answer = page.locator("#log p.avatar", has_text="You said Still there?.")
    await answer.wait_for()


async def test_faults_are_pressed_while_they_last(emulator, speaker, browse):
    page = await browse(emulator.playground_url)
    await is_listed(page)
    slow = page.get_by_role("button", name="Slow link")
    await slow.click()
    await page.locator("#faults [data-name=slow][aria-pressed=true]").wait_for()
    await page.get_by_role("button", name="Clear faults").click()
    await page.locator("#faults [data-name=slow][aria-pressed=false]").wait_for()


async def test_all_of_it_is_reached_by_the_keyboard(emulator, speaker, browse):
    page = await browse(emulator.playground_url)
    await is_listed(page)
    reached = set()
    for _ in range(30):
        await page.keyboard.press("Tab")
        reached.add(
            await page.evaluate(
                "document.activeElement.id || document.activeElement.dataset.name"
                " || document.activeElement.textContent"
            )
        )
    faults = {"cut", "stall", "slow", "reject", "refuse", "clear"}
    assert reached >= {"sound", "microphone", "interrupt", "echo", "log", "words", *faults}


@pytest.mark.parametrize(("scheme", "width", "height"), VIEWS)
async def test_everybody_can_read_it(emulator, speaker, browse, scheme, width, height):
    axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    page = await browse(emulator.playground_url, scheme=scheme, width=width, height=height)
    await is_listed(page)
    speaker.voice = speech()[: 48000 * 2]
    await say(page, "Good morning!")
    await page.locator("#turns tr", has_text="completed").first.wait_for()
    speaker.voice = speech()
    await say(page, "What can you tell me about the weather?")
    await until(page, "Number(document.querySelector('#mouth').dataset.opening) > 5")
    await page.wait_for_timeout(2500)
    await page.screenshot(path=SCREENSHOTS / f"playground-{scheme}-{width}.png", full_page=True)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await page.evaluate(axe)
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [(each["id"], each["help"]) for each in found["violations"]] == []
