"""A host's figures: what they are called, and what a report says of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["FIGURES", "Figure"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a host.

    Attributes:
        name: its name, which the documentation lists.
        text: what it is.
        value: returns it, of a report.
    """

    name: str
    text: str
    value: Callable[[Mapping[str, Any]], float]


FIGURES = (
    Figure("avatarwire_worker_sessions", "Sessions on the host.", lambda host: host["sessions"]),
    Figure(
        "avatarwire_worker_load",
        "Sessions as a part of the most.",
        lambda host: host["sessions"] / host["max_sessions"],
    ),
    Figure(
        "avatarwire_worker_draining", "1 while it drains.", lambda host: int(host["is_draining"])
    ),
)
