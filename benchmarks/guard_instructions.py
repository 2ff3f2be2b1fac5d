"""Counts the instructions of the hot paths under callgrind: no noise, whatever else runs.

``--check`` fails when a count is more than 3 % above its figure in ``floors.toml``; ``--update``
writes the counts there. A count says nothing about another interpreter build, C library or
processor, so each such machine has figures of its own, and one without figures is only reported.
The processor matters by one thing: the codec takes its wide path where there is AVX2. (callgrind
hides AVX-512 from the libraries, and shows them the same model of processor everywhere.)
"""

import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ratios import FLOORS

import avatarwire

WORK = ("frame_repack", "header_unpack", "pcm_websocket", "paced_write")
# What a run costs before its first call is the same in both, and so is not in the difference.
FEW, MANY = 1000, 5000
TOLERANCE = 0.03
COUNTED = Path(__file__).with_name("counted.py")


def machine() -> str:
    """Return a name for what the counts depend on."""
    cpu = Path("/proc/cpuinfo")
    has_avx2 = cpu.exists() and re.search(r"\bavx2\b", cpu.read_text()) is not None
    return ", ".join(
        (
            f"{platform.python_implementation()} {platform.python_version()}",
            platform.machine() + (" with AVX2" if has_avx2 else ""),
            platform.python_compiler(),
            " ".join(platform.libc_ver()),
        )
    )


def command(*arguments: str) -> list[str]:
    """Return the command that does the work: the real interpreter, not a launcher or a shim."""
    binary = Path(sys.base_prefix) / "bin" / f"python{sysconfig.get_python_version()}"
    return [str(binary), "-S", str(COUNTED), *arguments]


def run(arguments: list[str]) -> str:
    """Run a command where nothing but its arguments can change its count; return its stderr."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(Path(avatarwire.__file__).parent.parent),
    }
    done = subprocess.run(
        arguments, env=environment, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}\n{done.stderr}")
    return done.stderr


def fixed_addresses() -> list[str]:
    """Return what turns address randomisation off, or nothing in a container that forbids it."""
    prefix = ["setarch", "-R"]
    if shutil.which("setarch") is None:
        return []
    done = subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL, check=False)
    return [] if done.returncode else prefix


def counts() -> dict[str, int]:
    """Return the instructions per call of each piece of work."""
    # Once natively: importing from source would be counted where bytecode is not cached yet.
    for name in WORK:
        run(command(name, "1"))
    callgrind = [
        *fixed_addresses(),
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
    ]

    def total(name: str, times: int) -> int:
        output = run([*callgrind, *command(name, str(times))])
        collected = re.search(r"Collected : (\d+)", output)
        if collected is None:
            sys.exit(f"callgrind told no count:\n{output}")
        return int(collected[1])

    with ThreadPoolExecutor(2) as pool:
        few = pool.map(total, WORK, [FEW] * len(WORK))
        many = pool.map(total, WORK, [MANY] * len(WORK))
        return {
            name: round((high - low) / (MANY - FEW))
            for name, low, high in zip(WORK, few, many, strict=True)
        }


def figures() -> dict[str, dict[str, int]]:
    """Return the recorded counts of every machine."""
    recorded: dict[str, dict[str, int]] = tomllib.loads(FLOORS.read_text()).get("instructions", {})
    return recorded


def update(counted: dict[str, int]) -> None:
    """Record the counts of this machine; the tables stand last in the file."""
    head, _, _ = FLOORS.read_text().partition("[instructions.")
    tables = figures() | {machine(): counted}
    parts = [
        f'[instructions."{name}"]\n' + "".join(f"{key} = {count}\n" for key, count in lines.items())
        for name, lines in sorted(tables.items())
    ]
    FLOORS.write_text(head + "\n".join(parts))


def compare(counted: dict[str, int], recorded: dict[str, int]) -> int:
    """Print the counts beside their figures; return 1 when one is too high."""
    print("| instructions | counted | recorded | change |\n|---|--:|--:|--:|")
    too_high, much_lower = [], []
    for name, count in counted.items():
        change = count / recorded[name] - 1
        print(f"| {name} | {count} | {recorded[name]} | {change:+.1%} |")
        if change > TOLERANCE:
            too_high.append(name)
        if change < -TOLERANCE:
            much_lower.append(name)
    if much_lower:
        print(f"Lower than recorded: {', '.join(much_lower)}. Keep it so: --update.")
    for name in too_high:
        print(f"{name}: needs more instructions than recorded", file=sys.stderr)
    return 1 if too_high else 0


def main(arguments: list[str]) -> int:
    """Count, then report, compare or record."""
    if shutil.which("valgrind") is None:
        print("valgrind is not here: instructions are not counted")
        return 0
    print(machine())
    counted = counts()
    if "--update" in arguments:
        update(counted)
    recorded = figures().get(machine())
    if recorded is None:
        print(", ".join(f"{name} {count}" for name, count in counted.items()))
        print("No figures for this machine: nothing to compare with (--update records these).")
        return 0
    missed = compare(counted, recorded)
    return missed if "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
