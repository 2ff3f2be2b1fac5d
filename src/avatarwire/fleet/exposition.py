"""The hosts' figures in the text that Prometheus reads."""

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["exposition"]


def exposition(hosts: Iterable[Mapping[str, Any]]) -> str:
    """Return the figures of hosts, one sample of each for each host."""
    hosts = list(hosts)
    lines = []
    for name, text, value in (
        ("avatarwire_worker_sessions", "Sessions on the host.", lambda h: h["sessions"]),
        (
            "avatarwire_worker_load",
            "Sessions as a part of the most.",
            lambda h: h["sessions"] / h["max_sessions"],
        ),
        ("avatarwire_worker_draining", "1 while it drains.", lambda h: int(h["is_draining"])),
    ):
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
        lines += [f'{name}{{host="{host["host"]}"}} {value(host):g}' for host in hosts]
    return "\n".join(lines) + "\n"
