"""A host's figures, through Ray's exporter."""

from collections.abc import Mapping
from typing import Any

from ray.util.metrics import Gauge, Histogram

from avatarwire.fleet.figures import FIGURES, Figure

__all__ = ["HostMetrics"]

BLOCKED_S = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0]


class HostMetrics:
    """Shows what a host reports, by the names that the documentation lists.

    Args:
        host: the host's id.
    """

    def __init__(self, host: str) -> None:
        tags = {"host": host}
        self._gauges = [(figure, _gauge(figure, tags)) for figure in FIGURES]
        self._blocked = Histogram(
            "avatarwire_event_loop_blocked_duration_seconds",
            "How late the event loop came to a timer.",
            boundaries=BLOCKED_S,
            tag_keys=("host",),
        )
        self._blocked.set_default_tags(tags)

    def show(self, report: Mapping[str, Any]) -> None:
        """Show a report."""
        for figure, gauge in self._gauges:
            gauge.set(figure.value(report))

    def blocked(self, late_s: float) -> None:
        """Count a lateness, if it is one."""
        if late_s >= BLOCKED_S[0]:
            self._blocked.observe(late_s)


def _gauge(figure: Figure, tags: dict[str, str]) -> Gauge:
    gauge = Gauge(figure.name, figure.text, tag_keys=("host",))
    gauge.set_default_tags(tags)
    return gauge
