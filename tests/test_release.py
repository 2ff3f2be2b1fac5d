"""What a release promises: its wheels, who builds them, and one version."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

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
# The dated form, and what may stand above it.
DATED = re.compile(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)")


def workflow(name):
    return (ROOT / ".github" / "workflows" / name).read_text("utf-8")


def job(text, name):
    """The lines of one job of a workflow."""
    (lines,) = re.findall(rf"^  {name}:\n((?:    .*\n|\n)*)", text, flags=re.MULTILINE)
    return lines


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
    (runners,) = re.findall(r"os: \[(.*)\]", workflow("wheels.yml"))
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
        if use.startswith("$/"):  # a file of the same commit
            assert (ROOT / use.removeprefix("$/")).is_file()
            continue
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v[\d.]+", use), use


def test_workflows_may_do_nothing_that_a_job_does_not_ask_for():
    for path in WORKFLOWS:
        assert "\npermissions: {}\n" in path.read_text("utf-8"), path


def test_a_tag_is_published_only_after_everything_has_passed():
    text = workflow("wheels.yml")
    publish = job(text, "publish")
    assert "\n    needs: [sdist, wheels, tests]\n" in publish
    condition = "github.event_name == 'push' && startsWith(github.ref, 'refs/tags/v')"
    assert f"\n    if: {condition}\n" in publish
    assert text.count("gh-action-pypi-publish") == publish.count("gh-action-pypi-publish") == 1
    assert '\n  push: { tags: ["v*"] }\n' in text

    tests = job(text, "tests")
    assert "\n    if: github.ref_type == 'tag'\n" in tests
    assert "\n    permissions:\n      contents: read # the checkout\n" in tests
    assert "\n    uses: $/.github/workflows/test.yml\n" in tests
    assert "\n  workflow_call: {}" in workflow("test.yml")
    assert "\n      - run: bash .ci/run\n" in job(workflow("test.yml"), "test")


def test_wheels_are_made_of_the_source_that_is_published():
    text = workflow("wheels.yml")
    sdist, wheels = job(text, "sdist"), job(text, "wheels")
    prepare, build = "run: python tools/release.py\n", "run: python -m build --sdist"
    assert 0 < sdist.index(prepare) < sdist.index(build)
    assert "\n    needs: sdist\n" in wheels
    assert "with: { name: dist-source, path: dist }" in wheels
    assert "run: python -m cibuildwheel --output-dir wheelhouse dist/*.tar.gz\n" in wheels


def test_free_threaded_wheels_are_not_published():
    text = workflow("wheels.yml")
    published = "            wheelhouse/*.whl\n            !wheelhouse/*-cp3??t-*.whl\n"
    assert f"\n          path: |\n{published}" in job(text, "wheels")
    # Nothing else is uploaded under the names that are published.
    assert "with: { pattern: dist-*, path: dist, merge-multiple: true }" in job(text, "publish")
    assert re.findall(r"name: (dist-\S+?),?(?:\s|$)", text) == [
        "dist-source",
        "dist-source",
        "dist-${{",
    ]


def test_a_change_of_whatever_a_wheel_is_made_of_builds_wheels():
    (paths,) = re.findall(r"^    paths:\n((?:      - .*\n)+)", workflow("wheels.yml"), re.MULTILINE)
    assert set(re.findall(r'- "?([^"\n]+)"?', paths)) >= {
        "src/**",
        "tests/**",
        "fuzz/**",
        "tools/**",
        "README.md",
        "pyproject.toml",
        "setup.py",
    }


def test_every_python_that_is_named_is_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert [f"cp{version.replace('.', '')}" for version in named] == [
        python for python in PYTHONS if not python.endswith("t")
    ]
    tested = re.findall(r'"(3\.\d+)"', workflow("test.yml"))
    assert set(tested) == set(named)


def test_what_contributing_names_is_in_the_source_archive():
    manifest = (ROOT / "MANIFEST.in").read_text("utf-8")
    for folder in (".ci", ".github", "tests", "fuzz", "tools", "docs", "benchmarks", "examples"):
        assert f"graft {folder}\n" in manifest
    for file in (".gitignore", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "mkdocs.yml"):
        assert re.search(rf"^include .*{re.escape(file)}\b", manifest, re.MULTILINE), file


def test_there_is_one_version():
    assert avatarwire.__version__ == metadata.version("avatarwire")
    text = (ROOT / "src" / "avatarwire" / "_version.py").read_text("utf-8")
    assert f'__version__ = "{avatarwire.__version__}"' in text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "version" not in project
    assert project["dynamic"] == ["version"]


def changelog_faults(text):
    sections = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    # A release names and dates the section; the next change opens a fresh one above it.
    released = sections[1:] if sections[:1] == ["[Unreleased]"] else sections
    found = [section for section in released if not DATED.fullmatch(section)]
    dates = [match[2] for match in map(DATED.fullmatch, released) if match]
    if dates != sorted(dates, reverse=True):
        found.append("the newest is not on top")
    kinds = re.findall(r"^### (.*)$", text, flags=re.MULTILINE)
    known = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    return found + sorted(set(kinds) - known)


def test_the_changelog_keeps_its_form():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "[Keep a Changelog](https://keepachangelog.com/en/1.1.0/)" in text
    assert "\n## [" in text
    assert changelog_faults(text) == []


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("## [Unreleased]\n### Added\n", []),
        ("## [0.1.0] - 2026-12-01\n### Added\n", []),
        ("## [Unreleased]\n## [0.1.0] - 2026-12-01\n", []),
        ("## [0.1.0] - 2026-12-01\n## [Unreleased]\n", ["[Unreleased]"]),
        ("## [0.1.0]\n", ["[0.1.0]"]),
        ("## [0.1.0] - 2026-12-01\n## [0.2.0] - 2026-12-02\n", ["the newest is not on top"]),
        ("## [Unreleased]\n### News\n", ["News"]),
    ],
)
def test_a_changelog_of_another_form_is_told(text, faults):
    assert changelog_faults(text) == faults
