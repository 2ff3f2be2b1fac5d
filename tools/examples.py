"""Write the Python programs of Markdown files to a folder, for the type checkers to read."""

import argparse
import re
import shutil
from pathlib import Path

PROGRAM = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def programs(page: Path) -> list[str]:
    """Give the Python blocks of a page, in order."""
    return PROGRAM.findall(page.read_text("utf-8"))


def main() -> None:
    """Replace the folder by one file for each program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("pages", type=Path, nargs="+")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.folder, ignore_errors=True)
    arguments.folder.mkdir(parents=True)
    for page in arguments.pages:
        for number, program in enumerate(programs(page), start=1):
            path = arguments.folder / f"{page.stem.lower().replace('-', '_')}_{number}.py"
            path.write_text(program, "utf-8")


if __name__ == "__main__":
    main()
