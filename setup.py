"""Compile the native modules; all metadata lives in pyproject.toml."""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

# A report of a sanitizer names lines of the .pyx; its C files lie apart from those that ship.
SANITIZED = "-fsanitize" in os.environ.get("CFLAGS", "")
SOURCES = sorted(Path("src").rglob("*.pyx"))

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
    )
)
