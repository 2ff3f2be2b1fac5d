"""Compile the native modules; all metadata lives in pyproject.toml."""

import os
import shutil
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# A report of a sanitizer names lines of the .pyx; its C files lie apart from those that ship.
SANITIZED = "-fsanitize" in os.environ.get("CFLAGS", "")
SOURCES = sorted(Path("src").rglob("*.pyx"))
CHANGED_S = max(
    path.stat().st_mtime for path in (Path(__file__), *Path("src").rglob("*.p[yx][xd]"))
)


class BuildModules(build_ext):
    """Compile what is not there yet: each environment of one Python works on the same modules."""

    def build_extension(self, ext: Extension) -> None:
        """Compile a module, or take it from where an editable installation has put it."""
        built = Path("src", self.get_ext_filename(ext.name))
        if self.editable_mode and built.exists() and built.stat().st_mtime > CHANGED_S:
            target = Path(self.get_ext_fullpath(ext.name))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(built, target)
        else:
            super().build_extension(ext)


setup(
    ext_modules=cythonize(
        [
            Extension(
                ".".join(source.relative_to("src").with_suffix("").parts),
                [source.as_posix()],
                extra_compile_args=[] if sys.platform == "win32" else ["-O3"],
            )
            for source in SOURCES
        ],
        include_path=["src"],
        build_dir="build/asan/cython" if SANITIZED else "build/cython",
        emit_linenums=SANITIZED,
        compiler_directives={
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "auto_pickle": False,
            "autotestdict": False,
            "embedsignature": True,
            "embedsignature.format": "python",
        },
    ),
    cmdclass={"build_ext": BuildModules},
    options={"build_ext": {"parallel": os.cpu_count()}},
)
