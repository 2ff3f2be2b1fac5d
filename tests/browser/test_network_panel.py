"""A recording as HAR, in the Network panel of the browser's own developer tools."""

import json
import re

import pytest
from test_recording_page import module

from avatarwire.cli.app import run

TOOLS = "devtools://devtools/bundled/devtools_app.html?panel=network"


@pytest.fixture
def har(tmp_path, capsys):
    recordings = module("recordings")
    recordings.made(tmp_path / "recording", recordings.conversation)
    path = tmp_path / "session.har"
    assert run(["inspect", str(tmp_path / "recording"), "--har", str(path)]) == 0
    capsys.readouterr()
    return path


async def test_the_browsers_tools_show_every_message_of_each_connection(har, browse):
    entries = json.loads(har.read_text("utf-8"))["log"]["entries"]
    tools = await browse(TOOLS, taps=False)
    # What the button "Import HAR file" opens.
    await tools.locator("input[type=file]").set_input_files(har)
    connections = tools.locator("td.name-column").filter(has_text="toy")
    await connections.nth(len(entries) - 1).wait_for()
    assert await connections.count() == len(entries) == 2
    for connection, entry in zip(await connections.all(), entries, strict=True):
        await connection.click()
        await tools.get_by_role("tab", name="Messages").click()
        shown = tools.locator("[class*=resource-chunk-view-row]")
        await shown.nth(len(entry["_webSocketMessages"]) - 1).wait_for()
        rows = []
        for row in await shown.all():
            way = re.search(r"row-(send|receive)", await row.get_attribute("class"))[1]
            rows.append((way, (await row.inner_text()).split("\t")[0]))
        assert rows == [
            (each["type"], each["data"] if each["opcode"] == 1 else "Binary message")
            for each in entry["_webSocketMessages"]
        ]
    await shown.filter(has_text="Binary message").first.click()
    byte = tools.locator(".byte-cell")
    await byte.nth(3).wait_for()
    begins = [await byte.nth(place).inner_text() for place in range(4)]
    assert begins == ["01", "02", "E8", "03"]  # the head, then the first sample of the sound
