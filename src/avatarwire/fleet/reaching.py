"""How hosts, gateways and programs reach the directory, also after it has been restarted."""

import asyncio
import contextlib
from typing import Any

import ray
from ray.exceptions import RayError

from avatarwire.fleet.errors import FleetError

__all__ = ["ASK_AGAIN_S", "NAMESPACE", "Directory", "actor_name", "end_directory"]

NAMESPACE = "avatarwire"
#: So long after a call that failed it is made again, by whoever has time.
ASK_AGAIN_S = 0.2


def actor_name(fleet: str) -> str:
    """Return what a fleet's directory is called."""
    return f"avatarwire-fleet-{fleet}"


def end_directory(fleet: str) -> None:
    """End a fleet's directory, if it runs: what it knew is of no use after its application."""
    with contextlib.suppress(ValueError):
        ray.kill(ray.get_actor(actor_name(fleet), NAMESPACE))


class Directory:
    """A fleet's directory, from any process of the cluster.

    Args:
        fleet: the name of the fleet.
    """

    def __init__(self, fleet: str) -> None:
        self._fleet = fleet
        self._actor: Any = None

    async def call(self, method: str, *arguments: Any, limit_s: float = 30.0) -> Any:
        """Call it.

        Raises:
            FleetError: it refuses, or cannot be reached within ``limit_s`` seconds.
        """
        try:
            async with asyncio.timeout(limit_s):
                if self._actor is None:
                    # A blocking call to Ray, once.
                    self._actor = await asyncio.to_thread(
                        ray.get_actor, actor_name(self._fleet), NAMESPACE
                    )
                outcome = await getattr(self._actor, method).remote(*arguments)
        except (RayError, ValueError, TimeoutError) as exc:
            self._actor = None
            cause = exc.cause if isinstance(exc, ray.exceptions.RayTaskError) else None
            if isinstance(cause, FleetError):
                raise cause from None
            raise FleetError(
                f"the directory of fleet {self._fleet!r} cannot be reached: {type(exc).__name__}"
            ) from exc
        if isinstance(outcome, FleetError):
            raise outcome
        return outcome
