"""Make a checkout ready to be built for a package index, inside the workflow that releases it.

The index shows the README alone: what it links to beside itself gets its full address, and
pyproject.toml the project's own. Both are known only where the workflow runs. What a tag releases
must have its version and a dated section of the changelog.
"""

import argparse
import os
import re
import sys
import tomllib
from pathlib import Path

# Code is passed over, an image's path told from a link's; an address or an anchor needs nothing.
CODE = r"^```.*?^```$|`[^`\n]*`"
RELATIVE = re.compile(
    rf"(?P<code>{CODE})|(?P<head>(?P<image>!\[[^\]]*)?\]\()(?![a-z][a-z\d+.-]*:|[#/])(?P<path>[^)\s]+)",
    re.DOTALL | re.MULTILINE,
)


def absolute(page: str, repository_url: str, ref: str) -> str:
    """Return a Markdown page whose relative links name files of the repository at ``ref``."""

    def full(found: re.Match[str]) -> str:
        if found["code"]:
            return found["code"]
        form = "raw" if found["image"] else "blob"
        return f"{found['head']}{repository_url}/{form}/{ref}/{found['path']}"

    return RELATIVE.sub(full, page)


def with_urls(pyproject: str, repository_url: str, ref: str) -> str:
    """Return a ``pyproject.toml`` that has the project's addresses, unless it had some."""
    if "urls" in tomllib.loads(pyproject)["project"]:
        return pyproject
    return f"""{pyproject}
[project.urls]
Source = "{repository_url}"
Documentation = "{repository_url}/blob/{ref}/docs/index.md"
Changelog = "{repository_url}/blob/{ref}/CHANGELOG.md"
Issues = "{repository_url}/issues"
"""


def faults(tag: str, version: str, changelog: str) -> list[str]:
    """Return what keeps ``tag`` from being released, a line each."""
    found = []
    if tag != f"v{version}":
        found.append(f"the tag is {tag}, but _version.py says {version}: expected v{version}")
    section = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$"
    if not re.search(section, changelog, re.MULTILINE):
        found.append(
            f"CHANGELOG.md has no dated section of this version: expected"
            f' "## [{version}] - YYYY-MM-DD"'
        )
    return found


def main() -> None:
    """Check the tag, if there is one, and change README.md and pyproject.toml in place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), help="the checkout")
    folder = parser.parse_args().folder
    try:
        repository_url = f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}"
        ref, kind = os.environ["GITHUB_REF_NAME"], os.environ["GITHUB_REF_TYPE"]
    except KeyError as exc:
        sys.exit(f"{exc.args[0]} is not set: expected the variables of a GitHub workflow")
    if kind == "tag":
        source = (folder / "src" / "avatarwire" / "_version.py").read_text("utf-8")
        (version,) = re.findall(r'^__version__ = "(.*)"$', source, re.MULTILINE)
        if found := faults(ref, version, (folder / "CHANGELOG.md").read_text("utf-8")):
            sys.exit("\n".join(found))
    for name, change in (("README.md", absolute), ("pyproject.toml", with_urls)):
        path = folder / name
        path.write_text(change(path.read_text("utf-8"), repository_url, ref), "utf-8")
    print(f"README.md and pyproject.toml name {repository_url} at {ref}")


if __name__ == "__main__":
    main()
