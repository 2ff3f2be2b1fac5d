"""The checks of ``codec.py``, with atheris (libFuzzer) choosing the messages.

Arguments are libFuzzer's, such as ``-max_total_time=60``; what it finds interesting goes to
``build/fuzz`` and starts the next search. Without a clang build of the codec it sees the coverage
of the Python code alone, so ``make fuzz`` and ``make asan`` find as much; it is here for longer
searches.
"""

import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports():
    from codec import CORPUS, check

FOUND = Path("build/fuzz")


def one_input(data: bytes) -> None:
    """Check one message; the chunking is decided by the message, so that a find repeats."""
    check(bytearray(data), random.Random(data))


if __name__ == "__main__":
    FOUND.mkdir(parents=True, exist_ok=True)
    # The first folder takes what is found, the others are only read.
    atheris.Setup([*sys.argv, str(FOUND), str(CORPUS)], one_input)
    atheris.Fuzz()
