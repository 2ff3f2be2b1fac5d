"""Write the Python programs of Markdown files to a folder, for the type checkers to read."""

import argparse
import re
import shutil
from pathlib import Path

BLOCK = re.compile(r'^```(python|diff)(?: title="[^"]*")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)


def programs(page: Path) -> list[str]:
    """Return the Python blocks of a page, in order; a diff is what it leads to.

    A diff of less than a program, which has no line in common, is passed over.
    """
    found = []
    for kind, text in BLOCK.findall(page.read_text("utf-8")):
        if kind == "python":
            found.append(text)
        elif re.search(r"^ ", text, re.MULTILINE):
            found.append(changed(text))
    return found


def changed(diff: str) -> str:
    """Return a diff's new side."""
    return "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] != "-")


def main() -> None:
    """Replace the folder by one file for each program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("pages", type=Path, nargs="+")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.folder, ignore_errors=True)
    arguments.folder.mkdir(parents=True)
    for page in arguments.pages:
        name = "_".join(page.with_suffix("").parts).lower().replace("-", "_")
        for number, program in enumerate(programs(page), start=1):
            (arguments.folder / f"{name}_{number}.py").write_text(program, "utf-8")


if __name__ == "__main__":
    main()
