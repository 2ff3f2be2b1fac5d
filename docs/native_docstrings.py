"""Joins the stubs of the native modules, which have the types, with their docstrings."""

import importlib
import inspect

import griffe


class NativeDocstrings(griffe.Extension):
    """Copies the docstring of a compiled object to what its stub declares."""

    def on_package(self, *, pkg: griffe.Module, **_: object) -> None:
        """Copy the docstrings of the codec."""
        if pkg.path != "avatarwire":
            return
        for module in pkg["codec"].modules.values():
            if module.filepath.suffix == ".pyi":
                _fill(module, importlib.import_module(module.path))


def _fill(stub: griffe.Module | griffe.Class, native: object) -> None:
    for name, member in stub.members.items():
        if isinstance(member, griffe.Alias) or name.startswith("_"):
            continue
        words = inspect.getdoc(getattr(native, name)) or ""
        if words.startswith(f"{name}("):  # the signature, which the stub has with its types
            words = inspect.cleandoc(words.partition("\n")[2])
        if words:
            member.docstring = griffe.Docstring(words, parent=member, parser="google")
        if isinstance(member, griffe.Class):
            # Griffe takes a class's signature from __init__ alone.
            if "__new__" in member.members and "__init__" not in member.members:
                member.members["__init__"] = member.members["__new__"]
            _fill(member, getattr(native, name))
