"""The fuzzer starts from what its script writes, and finds nothing in a short run."""

import runpy
import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).parents[2] / "fuzz"


def test_corpus_is_what_its_script_writes():
    expected = runpy.run_path(str(FUZZ / "corpus.py"))["messages"]()
    assert {path.stem: path.read_bytes() for path in FUZZ.glob("corpus/*.bin")} == expected


def test_short_run_finds_nothing():
    done = subprocess.run(
        [sys.executable, FUZZ / "codec.py", "--count", "2000"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2000 mutated messages")
