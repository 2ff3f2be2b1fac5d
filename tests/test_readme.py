"""The README's programs run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from avatarwire.cli.local import LocalPlatform

README = Path(__file__).parents[1] / "README.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), flags=re.DOTALL)


def test_there_are_programs():
    assert len(PROGRAMS) == 3


@pytest.mark.parametrize(("index", "outcomes"), [(0, ["finished"]), (1, ["finished"]), (2, [])])
def test_program_runs(tmp_path, index, outcomes):
    program = tmp_path / "program.py"
    with LocalPlatform(greeting="Hello", user_audio=bytes(32000)) as platform:
        source = PROGRAMS[index].replace("http://127.0.0.1:8080", platform.base_url)
        assert platform.base_url in source
        program.write_text(source, "utf-8")
        done = subprocess.run(
            [sys.executable, "-W", "error", program],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout
    (session,) = platform.sessions
    assert [turn.outcome for turn in session.turns] == outcomes
