"""The README is short, its program runs as it stands, and its figures can be written anew."""

import ast
import re
import subprocess
import sys
from pathlib import Path

from avatarwire.cli.local import LocalPlatform
from avatarwire.emulator import LiveAvatarEmulator

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_it_is_for_a_person_in_a_hurry():
    assert len(README.splitlines()) <= 170
    assert len(README.split()) <= 1300


def test_its_sections_stand_in_the_order_of_a_person_in_a_hurry():
    assert re.findall(r"^## (.*)$", README, re.MULTILINE) == [
        "Install",
        "A whole program",
        "What else it does",
        "In a clone",
        "How fast",
        "Who should not use this",
    ]


def test_its_program_answers_the_user(tmp_path):
    (source,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    emulator = LiveAvatarEmulator(greeting="Hello")
    with LocalPlatform(emulator):
        program = tmp_path / "program.py"
        program.write_text(source.replace("http://127.0.0.1:8080", emulator.base_url), "utf-8")
        assert emulator.base_url in program.read_text("utf-8")
        done = subprocess.run(
            [sys.executable, "-W", "error", program],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["the user says Hello", "completed: 1400 of 1400 ms heard"]
    (session,) = emulator.sessions
    (turn,) = session.turns
    assert (turn.outcome, len(turn.pcm)) == ("finished", 1400 * 48)


def test_its_figures_are_those_that_bench_writes():
    tree = ast.parse((ROOT / "benchmarks" / "bench.py").read_text("utf-8"))
    values = {
        target.elts[0].id if isinstance(target, ast.Tuple) else target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
    }
    begin, end = ast.literal_eval(values["BEGIN"])
    assert (README.count(begin), README.count(end)) == (1, 1)
    figures = README.partition(begin)[2].partition(end)[0]
    rows = [
        line.split(" | ")[0].removeprefix("| ") for line in figures.splitlines() if "x |" in line
    ]
    assert rows == [line.elts[0].value for line in values["LINES"].elts]
