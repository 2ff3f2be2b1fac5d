"""What a wheel must hold and must not."""

import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[1] / "tools" / "check_wheel.py"
GOOD = {
    "avatarwire/__init__.py": "",
    "avatarwire/py.typed": "",
    "avatarwire/emulator/playground/static/index.html": "",
    "avatarwire/emulator/playground/static/playground.js": "",
    "avatarwire/codec/_bits.pxd": "",
    "avatarwire/codec/frames.pxd": "from avatarwire.codec._bits cimport AudioHeader\n",
    "avatarwire/codec/frames.pyi": "",
    "avatarwire/codec/frames.cpython-313-x86_64-linux-gnu.so": "",
    "avatarwire/codec/images.pxd": "from avatarwire.codec._bits cimport ImageHeader\n",
    "avatarwire/codec/images.pyi": "",
    "avatarwire/codec/images.cp313-win_amd64.pyd": "",
    "avatarwire/codec/gaps.pxd": "",
    "avatarwire-0.1.0.dist-info/METADATA": "",
    "avatarwire-0.1.0.dist-info/licenses/LICENSE": "",
}


@pytest.fixture
def wheel(tmp_path):
    def write(files):
        path = tmp_path / "avatarwire-0.1.0-cp313-cp313-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return path

    return write


@pytest.fixture(scope="module")
def faults():
    return runpy.run_path(str(CHECK))["faults"]


def test_a_good_wheel(wheel, faults):
    assert faults(wheel(GOOD)) == []


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("avatarwire/codec/frames.pyx", "avatarwire/codec/frames.pyx is no file that users need"),
        ("avatarwire/codec/frames.c", "avatarwire/codec/frames.c is no file that users need"),
        ("avatarwire/tests/reference.py", "avatarwire/tests/reference.py is a test"),
        ("avatarwire/codec/test_frames.py", "avatarwire/codec/test_frames.py is a test"),
        ("avatarwire/conftest.py", "avatarwire/conftest.py is a test"),
        ("tests/reference.py", "tests/reference.py is outside avatarwire/"),
        ("avatarwire.libs/libc.so", "avatarwire.libs/libc.so is outside avatarwire/"),
        ("avatarwire/codec/gaps.abi3.so", "avatarwire/codec/gaps is compiled and has no stub"),
        ("avatarwire/codec/gaps.pyi", "avatarwire/codec/gaps.pyi describes nothing"),
    ],
)
def test_what_is_too_much_is_named(wheel, faults, name, fault):
    assert fault in faults(wheel(GOOD | {name: ""}))


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("avatarwire/py.typed", "avatarwire/py.typed is missing"),
        (
            "avatarwire/emulator/playground/static/playground.js",
            "avatarwire/emulator/playground/static/playground.js is missing",
        ),
        ("avatarwire/codec/gaps.pxd", "avatarwire/codec/gaps.pxd is missing"),
        ("avatarwire-0.1.0.dist-info/licenses/LICENSE", "the licence is missing"),
        ("avatarwire/codec/images.pyi", "avatarwire/codec/images is compiled and has no stub"),
        (
            "avatarwire/codec/_bits.pxd",
            "avatarwire/codec/frames.pxd needs avatarwire.codec._bits, which is missing",
        ),
    ],
)
def test_what_is_missing_is_named(wheel, faults, name, fault):
    assert fault in faults(wheel({k: text for k, text in GOOD.items() if k != name}))


def test_a_wheel_without_compiled_modules_is_refused(wheel, faults):
    pure = {k: text for k, text in GOOD.items() if not k.endswith((".so", ".pyd", ".pyi"))}
    assert faults(wheel(pure)) == ["nothing in it is compiled"]


@pytest.mark.parametrize(("extra", "code"), [({}, 0), ({"avatarwire/codec/frames.c": ""}, 1)])
def test_the_command_fails_with_the_fault(wheel, extra, code):
    done = subprocess.run(
        [sys.executable, CHECK, wheel(GOOD | extra)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert ("frames.c is no file" in done.stderr) == bool(code)


def test_no_wheel_is_wrong_use():
    done = subprocess.run([sys.executable, CHECK], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("usage:")
