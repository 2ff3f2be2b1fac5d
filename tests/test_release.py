"""What a release promises: its wheels, who builds them, and one version."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import avatarwire

ROOT = Path(__file__).parents[1]
PYTHONS = ["cp311", "cp312", "cp313", "cp314", "cp314t", "cp315", "cp315t"]
PLATFORMS = {
    "linux": (
        "x86_64,aarch64",
        ["manylinux_x86_64", "manylinux_aarch64", "musllinux_x86_64", "musllinux_aarch64"],
    ),
    "macos": ("x86_64,arm64", ["macosx_x86_64", "macosx_arm64"]),
    "windows": ("AMD64,ARM64", ["win_amd64", "win_arm64"]),
}
RUNNERS = {
    "ubuntu-24.04",
    "ubuntu-24.04-arm",
    "macos-15",
    "macos-15-intel",
    "windows-2025",
    "windows-11-arm",
}
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def identifiers(platform, archs):
    options = ["--print-build-identifiers", "--platform", platform, "--archs", archs]
    done = subprocess.run(
        [sys.executable, "-m", "cibuildwheel", *options, ROOT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_wheels_are_built_for_every_promised_platform():
    built = [
        name for platform, (archs, _) in PLATFORMS.items() for name in identifiers(platform, archs)
    ]
    promised = [
        f"{python}-{tag}" for _, tags in PLATFORMS.values() for tag in tags for python in PYTHONS
    ]
    assert len(promised) == 56
    assert sorted(built) == sorted(promised)


def test_each_architecture_has_a_native_runner():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["cibuildwheel"]
    assert settings["archs"] == "native"
    workflow = (ROOT / ".github" / "workflows" / "wheels.yml").read_text("utf-8")
    (runners,) = re.findall(r"os: \[(.*)\]", workflow)
    assert set(runners.split(", ")) == RUNNERS


def test_the_fast_tests_of_a_wheel_exist():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["cibuildwheel"]
    words = settings["test-command"].split()
    paths = [word.removeprefix("--ignore=") for word in words if "tests/" in word]
    assert len(paths) > 5
    assert all((ROOT / path).exists() for path in paths)
    assert all((ROOT / source).exists() for source in settings["test-sources"])


def test_actions_are_pinned_by_commit():
    uses = [use for path in WORKFLOWS for use in re.findall(r"uses: (.*)", path.read_text("utf-8"))]
    assert len(uses) > 5
    for use in uses:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v[\d.]+", use), use


def test_workflows_may_do_nothing_that_a_job_does_not_ask_for():
    for path in WORKFLOWS:
        assert "\npermissions: {}\n" in path.read_text("utf-8"), path


def test_there_is_one_version():
    assert avatarwire.__version__ == metadata.version("avatarwire")
    text = (ROOT / "src" / "avatarwire" / "_version.py").read_text("utf-8")
    assert f'__version__ = "{avatarwire.__version__}"' in text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "version" not in project
    assert project["dynamic"] == ["version"]


def test_the_changelog_keeps_its_form():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "[Keep a Changelog](https://keepachangelog.com/en/1.1.0/)" in text
    sections = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert sections[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", each) for each in sections[1:])
    kinds = re.findall(r"^### (.*)$", text, flags=re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
