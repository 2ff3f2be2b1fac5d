"""A host's figures, through Ray's exporter."""

from collections.abc import Mapping
from typing import Any

from ray.util.metrics import Gauge, Histogram

__all__ = ["HostMetrics"]

BLOCKED_S = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0]


class HostMetrics:
    """Shows what a host reports, by the names that the documentation lists.

    Args:
        host: the host's id.
    """

    def __init__(self, host: str) -> None:
        tags = {"host": host}
        self._load = _gauge("avatarwire_worker_load", "Sessions as a part of the most.", tags)
        self._sessions = _gauge("avatarwire_worker_sessions", "Sessions on the host.", tags)
        self._draining = _gauge("avatarwire_worker_draining", "1 while it drains.", tags)
        self._blocked = Histogram(
            "avatarwire_event_loop_blocked_duration_seconds",
            "How late the event loop came to a timer.",
            boundaries=BLOCKED_S,
            tag_keys=("host",),
        )
        self._blocked.set_default_tags(tags)

    def show(self, report: Mapping[str, Any]) -> None:
        """Show a report."""
        sessions = len(report["sessions"])
        self._sessions.set(sessions)
        self._load.set(sessions / report["max_sessions"])
        self._draining.set(float(report["is_draining"]))

    def blocked(self, late_s: float) -> None:
        """Count a lateness, if it is one."""
        if late_s >= BLOCKED_S[0]:
            self._blocked.observe(late_s)


def _gauge(name: str, text: str, tags: dict[str, str]) -> Gauge:
    gauge = Gauge(name, text, tag_keys=("host",))
    gauge.set_default_tags(tags)
    return gauge
