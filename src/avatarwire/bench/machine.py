"""On what figures were measured."""

import os
import platform
import sys
import sysconfig
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["cpu", "python", "system", "versions"]


def cpu() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def python() -> str:
    """Return the interpreter's name, and whether it has a global lock."""
    name = f"{platform.python_implementation()} {platform.python_version()}"
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        return name
    is_gil_enabled: Any = getattr(sys, "_is_gil_enabled", lambda: False)
    return f"{name} free-threaded{', its lock turned on' if is_gil_enabled() else ''}"


def system() -> str:
    """Return the system, and how many processors this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.system()} {platform.machine()}, {count} processors"


def versions(candidates: Iterable[Any]) -> dict[str, str]:
    """Return the versions of the packages that candidates belong to."""
    names = {name for it in candidates for name in getattr(it, "distributions", ())}
    found = {}
    for name in sorted(names):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed as a package"
    return found
