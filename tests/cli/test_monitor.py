"""``avatarwire monitor``: in a terminal, in a pipe, and refused."""

import asyncio
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios

import pytest
from commands import COMMAND, WITHOUT_SETTINGS, run_command

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig, monitor
from avatarwire.emulator import LiveAvatarEmulator

TOKEN = "a-long-token-of-mine"
COLUMNS = 80


@pytest.fixture
async def emulator():
    async with LiveAvatarEmulator(greeting=None, playground=True) as emulator:
        yield emulator


@pytest.fixture
async def agent(emulator):
    config = AvatarAgentConfig("k", "a", base_url=emulator.base_url)
    async with AvatarAgent(config, AgentListener()) as agent:
        yield agent


class Terminal:
    """A terminal of 80 columns and 12 rows, with a command in it."""

    def __init__(self):
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 12, COLUMNS, 0, 0))
        self.shown = ""

    async def run(self, *args, **environment):
        self.process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *args,
            env=WITHOUT_SETTINGS | {"TERM": "xterm-256color"} | environment,
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
        )
        os.close(self.theirs)
        asyncio.get_running_loop().add_reader(self.ours, self._read)

    def _read(self):
        try:
            self.shown += os.read(self.ours, 65536).decode()
        except OSError:
            asyncio.get_running_loop().remove_reader(self.ours)

    @property
    def lines(self):
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.shown)
        return [line.rstrip() for line in re.split("[\r\n]+", text)]

    async def until(self, pattern):
        async with asyncio.timeout(20):
            while not any(re.search(pattern, line) for line in self.lines):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def end(self, number):
        self.process.send_signal(number)
        code = await asyncio.wait_for(self.process.wait(), 20)
        asyncio.get_running_loop().remove_reader(self.ours)
        os.close(self.ours)
        return code


async def test_a_platform_in_a_terminal(emulator, agent):
    terminal = Terminal()
    await terminal.run("monitor", emulator.base_url)
    name = agent.session_id[:8]
    await terminal.until(rf"^{name} idle ")
    async with agent.audio_stream(sample_rate=24000) as stream:
        await stream.write(b"\x00\x20" * 24000)
        await terminal.until(rf"^{name} speaking .*█")
    assert max(map(len, terminal.lines)) <= COLUMNS
    assert await terminal.end(signal.SIGINT) == 130
    assert terminal.shown.endswith("\x1b[?25h")  # the cursor is there again


async def test_a_program_in_a_terminal(agent):
    async with await monitor.serve(token=TOKEN, sessions=[agent]) as serving:
        terminal = Terminal()
        await terminal.run("monitor", serving.url, AVATARWIRE_MONITOR_TOKEN=TOKEN)
        await terminal.until(rf"^{agent.session_id[:8]} connected ")
        async with agent.audio_stream(sample_rate=24000) as stream:
            await stream.write(b"\x00\x20" * 48000)
            await terminal.until(r" speaking .*█ +1 +\d\.\d +\d+ +\d+ +0$")
        assert await terminal.end(signal.SIGTERM) == 143


async def test_records_as_lines_until_the_platform_ends(emulator, agent):
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("monitor", emulator.base_url, "--json"),
        env=WITHOUT_SETTINGS,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    first = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
    assert (first["session"], first["kind"]) == (agent.session_id, "snapshot")
    await agent.stop()
    while json.loads(await asyncio.wait_for(process.stdout.readline(), 20))["kind"] != "life":
        pass
    await emulator.__aexit__(None, None, None)
    output, errors = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, errors) == (0, b"")
    assert output.decode().endswith(f"{emulator.base_url} has ended\n")


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["http://127.0.0.1:9", "--json"], 1, "nobody shows sessions at http://127.0.0.1:9: "),
        (["moon", "--json"], 2, "'moon' is no address: give one such as http://127.0.0.1:8080. "),
        (["http://127.0.0.1:9"], 2, "the table needs a terminal: use --json elsewhere. "),
    ],
)
async def test_what_cannot_be_shown_is_one_line(args, code, words):
    done = await run_command("monitor", *args)
    assert (done[0], done[1], done[2].count("\n")) == (code, "", 1)
    assert done[2].startswith(f"avatarwire: {words}")


async def test_a_wrong_token_and_a_platform_without_a_page_are_one_line():
    async with await monitor.serve(token=TOKEN) as serving:
        code, output, errors = await run_command("monitor", serving.url, "--json", "--token", "no")
    assert (code, output) == (1, "")
    assert errors == (
        f"avatarwire: {serving.url} refused with HTTP 401: the token is missing or wrong: set"
        " AVATARWIRE_MONITOR_TOKEN\n"
    )
    async with LiveAvatarEmulator() as emulator:
        code, output, errors = await run_command("monitor", emulator.base_url, "--json")
    assert (code, output) == (1, "")
    assert errors.endswith("needs playground=True\n")
