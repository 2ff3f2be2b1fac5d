"""Run the tests on the CPythons of this machine, each in an environment of its own.

Looked for in PATH, in pyenv, and in a folder that is given. A line for each version comes last;
the exit code says whether all of them passed.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
OLDEST = (3, 11)
# A version manager's own names in PATH are scripts that may stand for no version at all.
PROBE = """
import json, os, sys, sysconfig
header = os.path.join(sysconfig.get_path("include"), "Python.h")
can_build = os.path.exists(header) and sys.implementation.name == "cpython"
has_gil = not sysconfig.get_config_var("Py_GIL_DISABLED")
print(json.dumps([list(sys.version_info[:3]), sys.executable, can_build, has_gil]))
"""


def interpreters(given: Path | None = None, *, free_threaded: bool = False) -> dict[str, Path]:
    """Find the newest patch release of each CPython that can build extensions, oldest first.

    Args:
        given: a folder to look in besides PATH and pyenv: interpreters lie in it, in its ``bin``,
            or in those of the folders in it, up to two levels down.
        free_threaded: those without a global lock, and no others.

    Returns:
        The interpreter of each version, such as "3.11".
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [Path(folder) for folder in os.get_exec_path()]
    folders += pyenv.glob("versions/*/bin")
    if given is not None:
        folders += [given, given / "bin", *given.glob("*/bin"), *given.glob("*/*/bin")]
    newest: dict[tuple[int, int], tuple[int, Path]] = {}
    for candidate in sorted({path for folder in folders for path in folder.glob("python3.[0-9]*")}):
        # A free-threaded one may be called python3.14t, or python3.14 as any other.
        if not candidate.name.removeprefix("python3.").removesuffix("t").isdigit():
            continue
        probe = subprocess.run(
            [candidate, "-c", PROBE], capture_output=True, text=True, check=False
        )
        if probe.returncode != 0:
            continue
        (major, minor, patch), executable, can_build, has_gil = json.loads(probe.stdout)
        key = (major, minor)
        if can_build and has_gil is not free_threaded and key >= OLDEST:
            newest[key] = max(newest.get(key, (-1, Path())), (patch, Path(executable)))
    return {f"{major}.{minor}": path for (major, minor), (_, path) in sorted(newest.items())}


def is_of_the_other_targets(version: str) -> bool:
    """Return whether ``.venv``, in which the other targets work, is of this version."""
    return (ROOT / ".venv" / "lib" / f"python{version}").is_dir()


def environment(version: str) -> str:
    """Return the name of the environment of a version."""
    return ".venv" if is_of_the_other_targets(version) else f".venv-{version}"


def test_whole(version: str, python: Path) -> tuple[bool, str]:
    """Run the whole suite; return whether it passed, and its last line."""
    return follow("make", *in_environment(version, python), "test")


def test_library(version: str, python: Path) -> tuple[bool, str]:
    """Run what needs neither a socket nor an extra, which every wheel must pass too."""
    venv = environment(version)
    made, last = follow("make", *in_environment(version, python), f"{venv}/.library")
    if not made:
        return made, last
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["cibuildwheel"]
    name, *arguments = shlex.split(settings["test-command"])
    return follow(str(ROOT / venv / "bin" / name), *arguments)


def in_environment(version: str, python: Path) -> list[str]:
    """Return the arguments by which make takes an environment other than its own."""
    return ["--no-print-directory", f"PYTHON={python}", f"VENV={environment(version)}"]


def follow(*command: str) -> tuple[bool, str]:
    """Run a command and show what it prints; return whether it succeeded, and its last line."""
    last = "it said nothing"
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None  # noqa: S101 - asked for above
        for line in running.stdout:
            print(line, end="", flush=True)
            last = line.strip(" =\n") or last
    return running.returncode == 0, last


def main() -> None:
    """Test on the versions that are asked for; say a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where to look besides PATH and pyenv")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--ends",
        action="store_true",
        help="the whole suite on the oldest and the library's part on the newest only, each unless "
        "it is the Python of .venv, on which `make check` runs all",
    )
    what.add_argument("--oldest", action="store_true", help="say where the oldest is, run nothing")
    what.add_argument(
        "--free-threaded",
        action="store_true",
        help="say where the newest without a global lock is, run nothing",
    )
    arguments = parser.parse_args()
    if arguments.folder is not None and not arguments.folder.is_dir():
        sys.exit(f"{arguments.folder} is not a folder")
    found = interpreters(arguments.folder, free_threaded=arguments.free_threaded)
    if not found:
        kind = "free-threaded CPython" if arguments.free_threaded else "CPython 3.11 or newer"
        sys.exit(f"found no {kind} that can build extensions")
    oldest, newest = next(iter(found)), next(reversed(found))
    if arguments.oldest or arguments.free_threaded:
        print(found[oldest if arguments.oldest else newest])
        return
    tests = dict.fromkeys(found, test_whole)
    if arguments.ends:
        ends = {newest: test_library, oldest: test_whole}
        tests = {end: test for end, test in ends.items() if not is_of_the_other_targets(end)}
    results = {version: test(version, found[version]) for version, test in tests.items()}
    for version, (passed, last) in results.items():
        print(f"{version}: {'' if passed else 'failed: '}{last}", flush=True)
    sys.exit(not all(passed for passed, _ in results.values()))


if __name__ == "__main__":
    main()
