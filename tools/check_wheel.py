"""Check what wheels hold: all that a user needs, and nothing that only its making needs."""

import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

PACKAGE = "avatarwire"
NATIVE = {".so", ".pyd"}
SHIPPED = {".py", ".pyi", ".pxd", *NATIVE}
#: What others than Python read.
DATA = {".json", ".html", ".css", ".js", ".svg"}
REQUIRED = [
    f"{PACKAGE}/__init__.py",
    f"{PACKAGE}/py.typed",
    f"{PACKAGE}/emulator/playground/static/index.html",
    f"{PACKAGE}/emulator/playground/static/playground.js",
    *(f"{PACKAGE}/codec/{name}.pxd" for name in ("frames", "images", "gaps")),
]
CIMPORT = re.compile(rf"^from ({PACKAGE}\.\S+) cimport", re.MULTILINE)


def faults(wheel: Path) -> list[str]:
    """Return what is wrong with a wheel, a line each."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        layouts = {name: archive.read(name).decode() for name in names if name.endswith(".pxd")}
    return [*_missing(names), *_unwanted(names), *_unstubbed(names), *_unbuildable(layouts)]


def _missing(names: set[str]) -> Iterator[str]:
    for name in REQUIRED:
        if name not in names:
            yield f"{name} is missing"
    if not any(re.fullmatch(r"[^/]+\.dist-info/licenses/LICENSE", name) for name in names):
        yield "the licence is missing"


def _unwanted(names: set[str]) -> Iterator[str]:
    for name in sorted(names):
        path = PurePosixPath(name)
        if path.parts[0].endswith(".dist-info"):
            continue
        if path.parts[0] != PACKAGE:
            # Repairing puts borrowed libraries beside the package; we borrow none.
            yield f"{name} is outside {PACKAGE}/"
        elif path.suffix not in SHIPPED | DATA and path.name != "py.typed":
            yield f"{name} is no file that users need"
        elif "tests" in path.parts or path.name.startswith(("test_", "conftest")):
            yield f"{name} is a test"


def _unstubbed(names: set[str]) -> Iterator[str]:
    native = {name.split(".")[0] for name in names if PurePosixPath(name).suffix in NATIVE}
    stubs = {name.removesuffix(".pyi") for name in names if name.endswith(".pyi")}
    if not native:
        yield "nothing in it is compiled"
    yield from (f"{name} is compiled and has no stub" for name in sorted(native - stubs))
    yield from (f"{name}.pyi describes nothing" for name in sorted(stubs - native))


def _unbuildable(layouts: dict[str, str]) -> Iterator[str]:
    for name, text in sorted(layouts.items()):
        for module in CIMPORT.findall(text):
            if module.replace(".", "/") + ".pxd" not in layouts:
                yield f"{name} needs {module}, which is missing"


def main() -> None:
    """Check the wheels on the command line."""
    wheels = [Path(argument) for argument in sys.argv[1:]]
    if not wheels:
        sys.exit("usage: check_wheel.py WHEEL...")
    found = [f"{wheel.name}: {fault}" for wheel in wheels for fault in faults(wheel)]
    if found:
        sys.exit("\n".join(found))
    print(f"{len(wheels)} wheel(s) hold what they should")


if __name__ == "__main__":
    main()
