"""What a fleet raises."""

from typing import Any, Self

from avatarwire.errors import AvatarwireError

__all__ = ["FleetError", "NoCapacityError", "UnknownSessionError"]


class FleetError(AvatarwireError):
    """The fleet cannot do what was asked; the text says why."""


class NoCapacityError(FleetError):
    """No host has room for another session now.

    Attributes:
        retry_after_s: when to ask again, in seconds.
    """

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...], dict[str, Any]]:
        return type(self), (str(self), self.retry_after_s), {}


class UnknownSessionError(FleetError):
    """The fleet has no such session, or none that still runs."""
