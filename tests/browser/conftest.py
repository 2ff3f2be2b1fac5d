"""A real browser, on a platform and an agent of this machine.

``make test-browser`` installs what drives it; elsewhere these tests are not there.
"""

import os
import shutil
import sys
from importlib.util import find_spec

import pytest

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.emulator import LiveAvatarEmulator
from avatarwire.emulator.playground import Playground

collect_ignore_glob = [] if find_spec("playwright") else ["test_*.py"]

#: Taps what goes to the loudspeakers: samples, and when by this machine's clock they were heard.
TAP = """
registerProcessor("tap", class extends AudioWorkletProcessor {
  process([[input]]) {
    if (input !== undefined) this.port.postMessage(input.slice());
    return true;
  }
});
"""
CONNECT_TAP = """
window.tapped = [];
window.lastLoudMs = window.firstLoudMs = 0;
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target === this.context.destination && !(this instanceof ScriptProcessorNode)) {
    this.context.audioWorklet.addModule("/playground/tap.js").then(() => {
      const tap = new AudioWorkletNode(this.context, "tap", { numberOfOutputs: 0 });
      tap.port.onmessage = ({ data }) => {
        window.tapped.push(data);
        if (data.some((sample) => sample !== 0)) {
          window.lastLoudMs = Date.now();
          window.firstLoudMs ||= Date.now();
        }
      };
      connect.call(this, tap);
    });
  }
  return connect.call(this, target, ...rest);
};
"""


class Speaker(AgentListener):
    """Answers what is typed by text, then by the voice that it was given."""

    def __init__(self):
        self.voice = b""
        self.answers = "You said {text}."

    async def on_text_input(self, text, request_id):
        async with self.agent.response_stream(request_id) as answer:
            await answer.send_chunk(self.answers.format(text=text))
        if self.voice:
            async with self.agent.audio_stream(
                request_id, sample_rate=24000, interrupt_on_input=True
            ) as turn:
                await turn.write(self.voice)


@pytest.fixture
async def emulator(monkeypatch):
    add_to = Playground.add_to

    def add_with_tap(playground, app):
        playground._files["tap.js"] = TAP.encode(), "text/javascript"
        add_to(playground, app)

    monkeypatch.setattr(Playground, "add_to", add_with_tap)
    async with LiveAvatarEmulator(playground=True, greeting=None) as emulator:
        yield emulator


@pytest.fixture
def tell(capsys):
    """Show a figure that was measured, whatever is captured."""

    def show(words):
        with capsys.disabled():
            sys.stdout.write(f"\n{words}\n")

    return show


@pytest.fixture
async def speaker(emulator):
    config = AvatarAgentConfig(
        "k", "a", base_url=emulator.base_url, reconnect=True, reconnect_base_delay=0.2
    )
    speaker = Speaker()
    speaker.agent = AvatarAgent(config, speaker)
    emulator.show_agent(speaker.agent)
    async with speaker.agent:
        yield speaker


@pytest.fixture
async def browse():
    """Open pages, each in a browser of its own; none may write an error to its console."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browsers, errors = [], []

        async def open_(url, *args, scheme="light", width=1280, height=900, taps=True):
            browser = await playwright.chromium.launch(
                executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"),
                args=["--no-sandbox", "--use-fake-ui-for-media-stream", *args],
            )
            browsers.append(browser)
            page = await browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                reduced_motion="reduce",  # no picture is taken in a blink
            )
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda said: said.type == "error" and errors.append(said.text))
            if taps:
                await page.add_init_script(CONNECT_TAP)
            await page.goto(url)
            return page

        yield open_
        for browser in browsers:
            await browser.close()
        assert errors == []
