"""Every program of the documentation runs as it stands, and prints what is printed there."""

import array
import asyncio
import math
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from avatarwire.audio import PcmFormat, write_wav
from avatarwire.cli import app as cli
from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator

ROOT = Path(__file__).parents[1]
SEEDS = ROOT / ".seeds"
BLOCK = re.compile(
    r'^```(\w*)(?: title="([^"]*)")?\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?',
    re.DOTALL | re.MULTILINE,
)
SERVE = re.compile(r"^\$ avatarwire (serve .*)$", re.MULTILINE)
#: What the user says: a second of a tone, and a second of nothing.
USER = array.array("h", (int(9000 * math.sin(n / 5)) for n in range(16000))).tobytes()
USER += bytes(len(USER))


@dataclass(frozen=True)
class Block:
    """A block of code, the output that is printed below it, and the platforms that it needs.

    Those are the last ``avatarwire serve`` of each kind above it on its page, as words; where there
    is none, the command without options, as the first page promises.
    """

    name: str
    kind: str
    title: str
    text: str
    output: str
    serving: tuple[list[str], ...]

    def side(self, sign: str) -> str:
        """Return the side of a diff that ``sign`` marks."""
        lines = self.text.splitlines(keepends=True)
        return "".join(line[1:] for line in lines if line[0] in {sign, " "})


def blocks() -> list[Block]:
    found = []
    for page in sorted((ROOT / "docs").rglob("*.md")):
        name = page.relative_to(ROOT / "docs").with_suffix("")
        serving = {kind: ["serve", kind] for kind in ("liveavatar", "akool")}
        for number, fields in enumerate(BLOCK.findall(page.read_text("utf-8")), start=1):
            for words in SERVE.findall(fields[2]) if fields[0] == "console" else ():
                command = shlex.split(words, comments=True)
                serving[command[1]] = command
            found.append(Block(f"{name}-{number}", *fields, tuple(serving.values())))
    return found


BLOCKS = blocks()


def of_kind(kind: str, *, is_test: bool = False) -> list[object]:
    return [
        pytest.param(block, id=block.name)
        for block in BLOCKS
        if block.kind == kind and bool(block.title) is is_test
    ]


def masked(output: str) -> str:
    """Leave out the figures, which differ from run to run."""
    return re.sub(r"\d+(\.\d+)?", "0", output)


async def hang_up(emulator: LiveAvatarEmulator) -> None:
    """End the session, as a user would, once a turn has been played and told."""
    while not any(  # noqa: ASYNC110 - nothing tells it
        turn.outcome == "finished" for session in emulator.sessions for turn in session.turns
    ):
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    await emulator.sessions[0].close()


def serve(command: list[str], folder: Path) -> LiveAvatarEmulator | AkoolEmulator:
    """Return the platform that a command would run, with ``folder`` for the files it names."""
    write_wav(folder / "speech.wav", USER, PcmFormat(16000))
    with pytest.MonkeyPatch.context() as patch:
        made: list[LiveAvatarEmulator | AkoolEmulator] = []
        patch.setattr("avatarwire.cli.serving._run", lambda emulator, *_: made.append(emulator))
        patch.chdir(folder)
        assert cli.run([*command, "--port", "0"]) == 0
    return made[0]


async def run(
    block: Block,
    source: str,
    folder: Path,
    *flags: str,
    environment: dict[str, str] | None = None,
    platforms: list[LiveAvatarEmulator | AkoolEmulator] | None = None,
) -> str:
    """Run a block's program against platforms of its own; return what it prints."""
    live, akool = platforms or [serve(command, folder) for command in block.serving]
    assert isinstance(live, LiveAvatarEmulator)
    assert isinstance(akool, AkoolEmulator)
    async with live, akool:
        source = source.replace("http://127.0.0.1:8080", live.base_url)
        source = source.replace(
            "http://127.0.0.1:8051/streamingAvatar/service_status", akool.discovery_url
        )
        program = folder / "program.py"
        program.write_text(source, "utf-8")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *flags, program),
            env=os.environ | (environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        user = asyncio.create_task(hang_up(live)) if ".wait_closed()" in source else None
        try:
            output, errors = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if user is not None:
                user.cancel()
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 0, errors.decode()
    if flags:
        assert errors == b""
    return output.decode()


def test_every_block_is_known() -> None:
    kinds = {block.kind for block in BLOCKS}
    assert kinds == {"python", "diff", "console", "text", "toml", "yaml"}
    # What is printed stands below what prints it. The design's drawing stands alone, and so do
    # programs that need a framework, which have their examples, tested beside it.
    alone = [block.name for block in BLOCKS if block.kind == "text"]
    assert alone == [
        "design-1",
        "how-to/fleet-2",
        "how-to/fleet-4",
        "how-to/fleet-5",
        "how-to/livekit-2",
        "how-to/pipecat-2",
    ]
    assert len(of_kind("python")) >= 20
    assert len(of_kind("python", is_test=True)) == 2
    assert len(of_kind("diff")) == 3


@pytest.mark.parametrize("block", of_kind("python"))
async def test_program(block: Block, tmp_path: Path) -> None:
    output = await run(block, block.text, tmp_path, "-W", "error")
    assert masked(output) == masked(block.output)


async def test_what_akool_receives_from_its_tutorial(tmp_path: Path) -> None:
    (block,) = (b for b in BLOCKS if b.name.startswith("tutorial/akool") and b.kind == "python")
    platforms = [serve(command, tmp_path) for command in block.serving]
    await run(block, block.text, tmp_path, "-W", "error", platforms=platforms)
    akool = platforms[1]
    assert isinstance(akool, AkoolEmulator)
    (session,) = akool.sessions
    assert (len(session.pcm), session.left) == (32000, "client_disconnect")


@pytest.mark.parametrize("block", of_kind("python", is_test=True))
def test_tests(block: Block, tmp_path: Path) -> None:
    (settings,) = (other for other in BLOCKS if other.title == "pyproject.toml")
    for file in (settings, block):
        (tmp_path / file.title).write_text(file.text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    count = block.text.count("async def test_")
    assert f"{count} passed" in done.stdout


@pytest.mark.parametrize("block", of_kind("diff"))
async def test_both_sides(block: Block, tmp_path: Path) -> None:
    after = await run(block, block.side("+"), tmp_path, "-W", "error")
    assert after == block.output
    sdk = SEEDS / ("akool-0.1.9" if "akool" in block.name else "liveavatar-0.4.4")
    if not sdk.is_dir():
        pytest.skip(f"no {sdk.name}: make test installs it")
    before = await run(block, block.side("-"), tmp_path, environment={"PYTHONPATH": str(sdk)})
    assert before == block.output


def test_every_logger_is_named() -> None:
    found = {
        name
        for module in (ROOT / "src").rglob("*.py")
        for name in re.findall(r'getLogger\("(avatarwire\.[^"]+)"\)', module.read_text("utf-8"))
    }
    found.add("avatarwire.transport.link")  # by its __name__
    page = (ROOT / "docs" / "how-to" / "observe.md").read_text("utf-8")
    assert found == set(re.findall(r"`(avatarwire\.[a-z.]+)`", page.partition("## Logs")[2]))


def test_every_page_is_found_by_the_type_checkers() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "$(wildcard docs/*.md docs/*/*.md)" in makefile
    deep = [page for page in (ROOT / "docs").rglob("*.md") if len(page.relative_to(ROOT).parts) > 3]
    assert deep == []
