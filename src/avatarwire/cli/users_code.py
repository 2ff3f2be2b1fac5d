"""What a command takes from a program of the user's, named as ``module:name``."""

import difflib
import importlib
import os
import sys
import traceback
from pathlib import Path

__all__ = ["UsersCodeError", "find_here", "named", "split"]


class UsersCodeError(Exception):
    """It cannot be had; the text says why, and what to do."""


def split(spelling: str, form: str) -> tuple[str, str]:
    """Return the module and the name; the module can be imported where the command is run.

    Args:
        spelling: such as ``agent:Speaker``.
        form: how it is written, such as ``module:listener``.

    Raises:
        UsersCodeError: it is not of that form.
    """
    module, colon, name = spelling.partition(":")
    if not (module and colon and name):
        raise UsersCodeError(f"{spelling!r} is not of the form {form}")
    find_here()
    return module, name


def find_here() -> None:
    """Let modules of the current folder be imported.

    As with ``python -m``: a script's folder is in the path, the current one is not.
    """
    if os.getcwd() not in sys.path:  # noqa: PTH109 - as the path has it
        sys.path.insert(0, os.getcwd())  # noqa: PTH109


def named(spelling: str, form: str) -> object:
    """Import a module and return what it calls by that name.

    Args:
        spelling: such as ``agent:Speaker``.
        form: how it is written, such as ``module:listener``.

    Raises:
        UsersCodeError: it is not of that form, cannot be imported, or is not there.
    """
    module_name, name = split(spelling, form)
    if module_name.endswith(".py") or "/" in module_name or os.sep in module_name:
        right = Path(module_name).stem
        raise UsersCodeError(
            f"{module_name} is a file: name the module, {right}:{name}, in the folder where it is"
        )
    module = _imported(module_name)
    try:
        return getattr(module, name)
    except AttributeError:
        near = difflib.get_close_matches(name, [*vars(module)], n=1)
        hint = f"; there is {near[0]}" if near else ""
        raise UsersCodeError(f"{module_name} has no {name}{hint}") from None


def _imported(name: str) -> object:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is not None and (name == exc.name or name.startswith(f"{exc.name}.")):
            raise UsersCodeError(
                f"there is no module {name}: run the command in the folder where it is"
            ) from exc
        raise UsersCodeError(f"{name} cannot be imported: {exc}") from exc
    except SystemExit as exc:
        raise UsersCodeError(
            f"{name} ends the program as it is imported: have what runs it below"
            ' if __name__ == "__main__"'
        ) from exc
    except Exception as exc:
        where = traceback.extract_tb(exc.__traceback__)[-1]
        raise UsersCodeError(
            f"{name} cannot be imported: {type(exc).__name__}: {exc}"
            f" ({Path(where.filename).name}, line {where.lineno})"
        ) from exc
