"""Which Pythons and which lowest versions the suite is run on, and what is said of them."""

import json
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOL = ROOT / "tools" / "pythons.py"


def script(path, body):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def python(path, *version, can_build=True, has_gil=True):
    """An interpreter that answers as one of this version would."""
    answer = json.dumps([version, str(path), can_build, has_gil])
    return script(path, f"echo '{answer}'")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with no Python at all."""
    pytest.importorskip("fcntl", reason="the tool needs a shell")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    (tmp_path / "bin").mkdir()
    return tmp_path


def interpreters(*arguments):
    return runpy.run_path(str(TOOL))["interpreters"](*arguments)


def test_each_version_once_in_its_newest_patch_release(machine):
    python(machine / "bin/python3.12", 3, 12, 4)
    newest = python(machine / "pyenv/versions/a/bin/python3.12", 3, 12, 10)
    python(machine / "pyenv/versions/b/bin/python3.12", 3, 12, 9)
    eleven = python(machine / "pyenv/versions/c/bin/python3.11", 3, 11, 0)
    assert list(interpreters().items()) == [("3.11", eleven), ("3.12", newest)]


def test_what_is_passed_over(machine):
    python(machine / "bin/python3.10", 3, 10, 1)
    python(machine / "bin/python3.12", 3, 12, 1, can_build=False)  # no headers, or no CPython
    python(machine / "bin/python3.14", 3, 14, 1, has_gil=False)
    python(machine / "bin/python3.13t", 3, 13, 1, has_gil=False)
    script(machine / "bin/python3.13", "echo 'not installed' >&2; exit 127")
    python(machine / "bin/python3.14-config", 3, 14, 0)
    assert interpreters() == {}


def test_those_without_a_global_lock(machine):
    python(machine / "bin/python3.15", 3, 15, 1)
    named = python(machine / "bin/python3.13t", 3, 13, 1, has_gil=False)
    unnamed = python(machine / "pyenv/versions/a/bin/python3.14", 3, 14, 1, has_gil=False)
    found = runpy.run_path(str(TOOL))["interpreters"](free_threaded=True)
    assert found == {"3.13": named, "3.14": unnamed}


@pytest.mark.parametrize("place", ["", "bin", "a/bin", "a/b/bin"])
def test_a_folder_that_is_given(machine, place):
    path = python(machine / "given" / place / "python3.15", 3, 15, 2)
    assert interpreters() == {}
    assert interpreters(machine / "given") == {"3.15": path}


@pytest.fixture
def tree(machine):
    """A tree of the project with the tool alone, on a machine where make says what it is told."""
    tool = machine / "tree" / "tools" / "pythons.py"
    tool.parent.mkdir(parents=True)
    tool.write_text(TOOL.read_text("utf-8"))
    (machine / "tree" / "pyproject.toml").write_text(
        "[tool.cibuildwheel]\ntest-command = 'python -m pytest tests/codec'"
    )
    script(
        machine / "bin/make",
        'echo "make $*"\n'
        'case "$*" in *VENV=.venv-3.13*) echo "== 1 failed =="; exit 1;; esac\n'
        'echo "== 2 passed =="',
    )
    return machine / "tree"


def run(tree, *arguments):
    return subprocess.run(
        [sys.executable, tree / "tools" / "pythons.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_line_for_each_version_comes_last_and_one_failure_fails_all(tree, machine):
    paths = [python(machine / f"bin/python3.{minor}", 3, minor, 1) for minor in (11, 12, 13)]
    (tree / ".venv/lib/python3.12").mkdir(parents=True)
    done = run(tree)
    told = "make --no-print-directory PYTHON={} VENV={} test"
    environments = (".venv-3.11", ".venv", ".venv-3.13")
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("make")] == [
        told.format(path, venv) for path, venv in zip(paths, environments, strict=True)
    ]
    assert lines[-3:] == ["3.11: 2 passed", "3.12: 2 passed", "3.13: failed: 1 failed"]
    assert done.returncode == 1


def test_all_that_pass_are_no_failure(tree, machine):
    python(machine / "bin/python3.11", 3, 11, 1)
    done = run(tree)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "3.11: 2 passed")


def test_the_ends_are_the_suite_on_the_oldest_and_the_librarys_part_on_the_newest(tree, machine):
    for minor in (11, 12, 14):
        python(machine / f"bin/python3.{minor}", 3, minor, 1)
    script(tree / ".venv-3.14/bin/python", 'echo "python $*"; echo "== 3 passed =="')
    lines = run(tree, "--ends").stdout.splitlines()
    assert "python -m pytest tests/codec" in lines
    assert set(lines[-2:]) == {"3.11: 2 passed", "3.14: 3 passed"}
    assert not [line for line in lines if "3.12" in line]


def test_the_ends_leave_out_what_the_other_targets_have_tested(tree, machine):
    python(machine / "bin/python3.11", 3, 11, 1)
    (tree / ".venv/lib/python3.11").mkdir(parents=True)
    done = run(tree, "--ends")
    assert (done.returncode, done.stdout) == (0, "")


def test_one_python_is_both_ends_and_has_the_whole_suite(tree, machine):
    python(machine / "bin/python3.12", 3, 12, 1)
    done = run(tree, "--ends")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "3.12: 2 passed")


def test_the_oldest_is_named(tree, machine):
    oldest = python(machine / "bin/python3.11", 3, 11, 1)
    python(machine / "bin/python3.12", 3, 12, 1)
    assert run(tree, "--oldest").stdout == f"{oldest}\n"


def test_no_python_and_no_folder_are_said(tree, machine):
    done = run(tree)
    assert done.returncode == 1
    assert "found no CPython 3.11 or newer" in done.stderr
    done = run(tree, "--folder", machine / "nowhere")
    assert done.returncode == 1
    assert done.stderr == f"{machine / 'nowhere'} is not a folder\n"


def lowest(project):
    return runpy.run_path(str(ROOT / "tools" / "lowest.py"))["lowest"](project)


def test_the_lowest_versions_are_those_that_each_dependency_begins_with():
    project = {
        "name": "ours",
        "dependencies": ["a-b>=1.2,<3", "c>=10; python_version < '3.15'"],
        "optional-dependencies": {
            "d": ["ours[e]", "f>=2"],
            "e": ["g>=3.1,<4; os_name == 'nt'", "f>=2", "h[i]>=4"],
        },
    }
    assert lowest(project) == [
        "a-b==1.2",
        "c==10; python_version < '3.15'",
        "f==2",
        "g==3.1; os_name == 'nt'",
        "h==4",
    ]


@pytest.mark.parametrize("requirement", ["a", "a<2", "a==1", "a>=1,!=1.1", "a[b]"])
def test_a_dependency_without_a_lowest_version(requirement):
    project = {"name": "ours", "dependencies": [requirement], "optional-dependencies": {}}
    with pytest.raises(ValueError, match=re.escape(repr(requirement))):
        lowest(project)


def test_every_dependency_of_ours_has_a_lowest_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "websockets==15" in lowest(project)
