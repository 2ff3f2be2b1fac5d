"""Compile the codec; all metadata lives in pyproject.toml."""

import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

SOURCES = sorted(Path("src/avatarwire/codec").glob("*.pyx"))

setup(
    ext_modules=cythonize(
        [
            Extension(
                f"avatarwire.codec.{source.stem}",
                [source.as_posix()],
                extra_compile_args=[] if sys.platform == "win32" else ["-O3"],
            )
            for source in SOURCES
        ],
        include_path=["src"],
        build_dir="build/cython",
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
