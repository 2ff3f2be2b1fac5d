"""Print the lowest version of each dependency in pyproject.toml, as constraints for pip."""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
#: A constraint names no extra.
BOUNDED = re.compile(r"([\w-]+)(?:\[[\w,]+\])?>=([\d.]+)(?:,<[\d.]+)?( *;.*)?")


def lowest(project: dict[str, Any]) -> list[str]:
    """Return a constraint for each dependency of the package and of its extras.

    Raises:
        ValueError: one of them does not begin with ``>=`` and a release.
    """
    extras = project["optional-dependencies"]
    requirements = [
        *project["dependencies"],
        *(line for extra in extras.values() for line in extra),
    ]
    constraints = set()
    for requirement in requirements:
        if requirement.startswith(f"{project['name']}["):
            continue
        bounded = BOUNDED.fullmatch(requirement)
        if bounded is None:
            raise ValueError(
                f"{requirement!r} has no lowest version: write it as name>=release, then ,<release "
                f"and a marker where there is one"
            )
        name, release, marker = bounded.groups("")
        constraints.add(f"{name}=={release}{marker}")
    return sorted(constraints)


def main() -> None:
    """Print them."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    sys.stdout.writelines(f"{constraint}\n" for constraint in lowest(pyproject["project"]))


if __name__ == "__main__":
    main()
