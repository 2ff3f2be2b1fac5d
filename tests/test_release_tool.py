"""What a release does to a checkout before building it, and which tags it refuses."""

import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOL = ROOT / "tools" / "release.py"
URL = "https://git.example/owner/name"
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n## [0.1.0]\n"
WORKFLOW = {
    "GITHUB_SERVER_URL": "https://git.example",
    "GITHUB_REPOSITORY": "owner/name",
    "GITHUB_REF_NAME": "v0.2.0",
    "GITHUB_REF_TYPE": "tag",
}


@pytest.fixture(scope="module")
def tool():
    return runpy.run_path(str(TOOL))


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("[a](docs/a.md)", f"[a]({URL}/blob/v1/docs/a.md)"),
        ("[a](docs/a.md#b) · [b](B)", f"[a]({URL}/blob/v1/docs/a.md#b) · [b]({URL}/blob/v1/B)"),
        ("[two\nlines](a.md)", f"[two\nlines]({URL}/blob/v1/a.md)"),
        ("[`code`](a.md)", f"[`code`]({URL}/blob/v1/a.md)"),
        ("![plot](a.svg)", f"![plot]({URL}/raw/v1/a.svg)"),
        ("[![badge](b.svg)](b.md)", f"[![badge]({URL}/raw/v1/b.svg)]({URL}/blob/v1/b.md)"),
        ("[a](https://a.example/b)", None),
        ("[a](mailto:a@b.example)", None),
        ("[a](#section)", None),
        ("`x[0](y)`", None),
        ("```python\ncalls[0](1)\n```\n", None),
    ],
)
def test_what_a_link_becomes(tool, page, expected):
    assert tool["absolute"](page, URL, "v1") == (page if expected is None else expected)


def test_every_link_of_the_readme_is_absolute_and_names_a_file(tool):
    page = (ROOT / "README.md").read_text("utf-8")
    changed = tool["absolute"](page, URL, "v1")
    text = re.sub(r"^```.*?^```$", "", changed, flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)", text)
    assert len(targets) > 10
    for image, target in targets:
        assert target.startswith("https://"), target
        if target.startswith(URL):
            form, ref, path = target.removeprefix(f"{URL}/").split("/", 2)
            assert (form, ref) == ("raw" if image else "blob", "v1")
            assert (ROOT / path).is_file()
    assert changed.replace(f"{URL}/blob/v1/", "").replace(f"{URL}/raw/v1/", "") == page


def test_the_addresses_of_the_project_are_written_once(tool):
    before = (ROOT / "pyproject.toml").read_text("utf-8")
    after = tool["with_urls"](before, URL, "v1")
    settings = tomllib.loads(after)
    urls = settings["project"].pop("urls")
    assert urls == {
        "Source": URL,
        "Documentation": f"{URL}/blob/v1/docs/index.md",
        "Changelog": f"{URL}/blob/v1/CHANGELOG.md",
        "Issues": f"{URL}/issues",
    }
    assert settings == tomllib.loads(before)
    assert tool["with_urls"](after, "https://other.example/a/b", "v2") == after


@pytest.mark.parametrize(
    ("tag", "version", "words"),
    [
        ("v0.2.0", "0.2.0", []),
        ("v0.2.1", "0.2.0", ["the tag is v0.2.1, but _version.py says 0.2.0: expected v0.2.0"]),
        ("v0.1.0", "0.1.0", ['expected "## [0.1.0] - YYYY-MM-DD"']),
        ("v0x2.0", "0x2.0", ['expected "## [0x2.0] - YYYY-MM-DD"']),
        ("v2", "0.3.0", ["expected v0.3.0", 'expected "## [0.3.0] - YYYY-MM-DD"']),
    ],
)
def test_what_keeps_a_tag_from_being_released(tool, tag, version, words):
    found = tool["faults"](tag, version, CHANGELOG)
    assert len(found) == len(words)
    assert all(word in fault for fault, word in zip(found, words, strict=True))


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "src" / "avatarwire").mkdir(parents=True)
    (tmp_path / "src" / "avatarwire" / "_version.py").write_text('__version__ = "0.2.0"\n', "utf-8")
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG, "utf-8")
    (tmp_path / "README.md").write_text("é [a](a.md)\n", "utf-8")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a"\n', "utf-8")
    return tmp_path


def run(folder, environment):
    return subprocess.run(
        [sys.executable, "-W", "error", TOOL, folder],
        env={name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
        | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("kind", "ref"), [("tag", "v0.2.0"), ("branch", "main")])
def test_a_checkout_is_changed_in_place(checkout, kind, ref):
    done = run(checkout, WORKFLOW | {"GITHUB_REF_TYPE": kind, "GITHUB_REF_NAME": ref})
    assert (done.returncode, done.stderr) == (0, "")
    assert (checkout / "README.md").read_text("utf-8") == f"é [a]({URL}/blob/{ref}/a.md)\n"
    project = tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["urls"]["Source"] == URL


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (WORKFLOW | {"GITHUB_REF_NAME": "v0.3.0"}, "the tag is v0.3.0"),
        ({"GITHUB_SERVER_URL": "https://git.example"}, "GITHUB_REPOSITORY is not set"),
    ],
)
def test_what_it_refuses_leaves_the_checkout_alone(checkout, environment, words):
    before = {path.name: path.read_bytes() for path in checkout.glob("*.*")}
    done = run(checkout, environment)
    assert done.returncode == 1
    assert words in done.stderr
    assert {path.name: path.read_bytes() for path in checkout.glob("*.*")} == before
