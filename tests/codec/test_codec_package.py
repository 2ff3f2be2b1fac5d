import ast
import importlib
import pathlib
import pkgutil
import subprocess
import sys

import pytest

import avatarwire.codec

FOLDER = pathlib.Path(avatarwire.codec.__file__).parent
MODULES = sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)]))
#: A module in Python has its types beside its code.
NATIVE = [name for name in MODULES if not (FOLDER / f"{name}.py").exists()]


def test_exports():
    assert sorted(avatarwire.codec.__all__) == avatarwire.codec.__all__
    # pytest rewrites the assertions of installed packages that have a plugin, by names with an "@".
    public = {name for name in vars(avatarwire.codec) if not name.startswith(("_", "@"))}
    assert public - set(MODULES) == set(avatarwire.codec.__all__)


@pytest.mark.parametrize("name", NATIVE)
def test_stub_exports_equal_the_module(name):
    module = importlib.import_module(f"avatarwire.codec.{name}")
    tree = ast.parse((FOLDER / f"{name}.pyi").read_text())
    stubbed = {node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    defined = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and getattr(value, "__module__", None) == module.__name__
    }
    assert defined == stubbed


@pytest.mark.parametrize("name", ["", *(f".{name}" for name in MODULES)])
def test_imports_alone_and_loads_no_network_code(name):
    code = (
        f"import sys, avatarwire.codec{name}\n"
        "loaded = {'asyncio', 'websockets', 'httpx', 'socket', 'ssl'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_everything_public_is_documented():
    for name in avatarwire.codec.__all__:
        value = getattr(avatarwire.codec, name)
        assert value.__doc__
        for key, member in vars(value).items() if isinstance(value, type) else ():
            if not key.startswith("_") and name != "FrameType":
                assert member.__doc__, f"{name}.{key}"
