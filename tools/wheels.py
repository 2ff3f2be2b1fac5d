"""Build, repair and test a wheel for each CPython on this Linux machine.

It does what cibuildwheel does for a release, by the same settings of ``pyproject.toml``, without
its containers: one sdist, from it a wheel for each interpreter, repaired, checked, and tested in a
virtual environment that has the wheel and its tests' needs and, on its PATH, nothing else.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from pythons import interpreters

ROOT = Path(__file__).parents[1]
CONFIG: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SETTINGS: dict[str, Any] = CONFIG["tool"]["cibuildwheel"]


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Run a command, or end with its output."""
    done = subprocess.run(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode != 0:
        sys.stdout.buffer.write(done.stdout)
        sys.exit(f"failed: {shlex.join(map(str, command))}")


def only(folder: Path, pattern: str) -> Path:
    """Return the one file of a folder that fits."""
    (path,) = folder.glob(pattern)
    return path


def build(python: Path, sdist: Path, work: Path, output: Path) -> Path:
    """Make a repaired wheel from the sdist."""
    # Flags of the environment would replace those of the interpreter.
    env = {name: value for name, value in os.environ.items() if name != "CFLAGS"}
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    pip = [sys.executable, "-m", "pip", "--python", str(python), "wheel", "--quiet", "--no-deps"]
    run(*pip, "--wheel-dir", work / "built", sdist, env=env)
    repair = SETTINGS["linux"]["repair-wheel-command"]
    wheel = only(work / "built", "*.whl")
    run(*placed(repair, wheel=wheel, dest_dir=work / "repaired"), env=env)
    repaired = only(work / "repaired", "*.whl")
    for command in SETTINGS["audit-command"]:
        run(*placed(command, wheel=repaired, project=ROOT), env=env)
    return Path(shutil.copy2(repaired, output))


def placed(command: str, **places: Path) -> list[str]:
    """Fill in what cibuildwheel fills in."""
    return shlex.split(command.format_map({name: str(path) for name, path in places.items()}))


def test(python: Path, wheel: Path, work: Path) -> str:
    """Run the fast tests on a wheel where nothing can be compiled; return their last line."""
    venv = work / "venv"
    run(python, "-m", "venv", venv)
    env = {"PATH": str(venv / "bin"), "HOME": str(work), "LC_ALL": "C.UTF-8"}
    env |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    groups = [f"--group={group}" for group in SETTINGS["test-groups"]]
    # The environment's own pip may be too old to know groups.
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "install"]
    run(*pip, "--quiet", "--only-binary=:all:", wheel, *groups, env=env)

    tests = work / "tests"
    tests.mkdir()
    for name in SETTINGS["test-sources"]:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, tests / name, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis")
            )
        else:
            shutil.copy2(source, tests / name)
    command = shlex.split(SETTINGS["test-command"])
    command[0] = str(venv / "bin" / command[0])
    done = subprocess.run(command, cwd=tests, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}{done.stderr}\n{wheel.name}: its tests failed")
    return done.stdout.rstrip().rsplit("\n", 1)[-1].strip(" =")


def main() -> None:
    """Build and test; say a line for each wheel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "wheelhouse")
    parser.add_argument("--python", type=Path, action="append", help="instead of all that are here")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.output, ignore_errors=True)
    arguments.output.mkdir(parents=True)
    run(sys.executable, "-m", "build", "--sdist", "--outdir", arguments.output)
    sdist = only(arguments.output, "*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", sdist)
    print(sdist.name, flush=True)
    for python in arguments.python or interpreters().values():
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            wheel = build(python, sdist, work, arguments.output)
            print(f"{wheel.name}: {test(python, wheel, work)}", flush=True)


if __name__ == "__main__":
    main()
