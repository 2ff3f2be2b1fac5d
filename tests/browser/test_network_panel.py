"""A recording as HAR, in the Network panel of the browser's own developer tools."""

import json
import re

import pytest
from test_recording_page import module

from avatarwire.cli.app import run

TOOLS = "devtools://devtools/bundled/devtools_app.html?panel=network"
BINARY = "Binary message"
INPUT = {"name": "input.text", "text": module("recordings").EVIL}
#: What each connection of the recording said.
SHOWN = (
    [
        ("send", '{"name":"hello","token":"***","id":"abc"}'),
        ("receive", json.dumps(INPUT, separators=(",", ":"))),
        ("send", BINARY),
    ],
    [
        ("send", BINARY),
        ("receive", BINARY),
        ("receive", '{"name":"session.state","data":{"state":"IDLE"}}'),
    ],
)


@pytest.fixture
def har(tmp_path):
    recordings = module("recordings")
    recordings.made(tmp_path / "recording", recordings.conversation)
    path = tmp_path / "session.har"
    assert run(["inspect", str(tmp_path / "recording"), "--har", str(path)]) == 0
    return path


async def test_the_browsers_tools_show_every_message_of_each_connection(har, browse):
    tools = await browse(TOOLS, taps=False)
    # What the button "Import HAR file" opens.
    await tools.locator("input[type=file]").set_input_files(har)
    connections = tools.locator("td.name-column").filter(has_text="toy")
    await connections.nth(1).wait_for()
    assert await connections.count() == 2
    for connection, expected in zip(await connections.all(), SHOWN, strict=True):
        await connection.click()
        await tools.get_by_role("tab", name="Messages").click()
        messages = tools.locator("[class*=resource-chunk-view-row]")
        of_this_one = next(words for _, words in expected if words != BINARY)
        await messages.filter(has_text=of_this_one).wait_for()
        shown = []
        for message in await messages.all():
            way = re.search(r"row-(send|receive)", await message.get_attribute("class"))[1]
            shown.append((way, (await message.inner_text()).split("\t")[0]))
        assert shown == expected
    await messages.filter(has_text=BINARY).first.click()
    byte = tools.locator(".byte-cell")
    await byte.nth(3).wait_for()
    begins = [await byte.nth(place).inner_text() for place in range(4)]
    assert begins == ["01", "02", "E8", "03"]  # the head, then the first sample of the sound
