"""Puts what ``make bench`` wrote beside the pages that talk about it."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the tables and the plots."""
    for path in sorted(RESULTS.iterdir()):
        files.append(File.generated(config, f"results/{path.name}", abs_src_path=str(path)))
    return files


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the tables into the navigation."""
    pages = [f"results/{path.name}" for path in sorted(RESULTS.glob("*.md"))]
    assert config.nav is not None
    config.nav.insert(config.nav.index("performance.md") + 1, {"Measured": pages})
    return config
