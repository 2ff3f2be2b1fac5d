"""The hosts' figures in the text that Prometheus reads."""

from collections.abc import Iterable, Mapping
from typing import Any

from avatarwire.fleet.figures import FIGURES

__all__ = ["exposition"]


def exposition(hosts: Iterable[Mapping[str, Any]]) -> str:
    """Return the figures of hosts, one sample of each for each host."""
    hosts = list(hosts)
    lines = []
    for figure in FIGURES:
        lines += [f"# HELP {figure.name} {figure.text}", f"# TYPE {figure.name} gauge"]
        lines += [
            f'{figure.name}{{host="{host["host"]}"}} {figure.value(host):g}' for host in hosts
        ]
    return "\n".join(lines) + "\n"
