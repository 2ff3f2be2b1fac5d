"""A fleet from Python, in any process that is connected to its Ray."""

from collections.abc import AsyncIterator
from typing import Any

from avatarwire._json import dumps
from avatarwire.fleet.deploying import FLEET
from avatarwire.fleet.errors import FleetError
from avatarwire.fleet.reaching import Directory
from avatarwire.transport import Secret

__all__ = ["FleetSession", "start"]


class FleetSession:
    """A session that a host of the fleet runs.

    Attributes:
        id: the fleet's id of it.
        session_id: the platform's.
        sfu_url: where the browser joins.
        user_token: what it joins with; ``events()`` tells the next one.
        host: the host that started it.
    """

    def __init__(self, directory: Directory, started: dict[str, Any]) -> None:
        self._directory = directory
        self.id: str = started["id"]
        self.session_id: str = started["session_id"]
        self.sfu_url: str = started["sfu_url"]
        self.user_token: str = Secret(started["user_token"])
        self.host: str = started["host"]

    def __repr__(self) -> str:
        return f"<FleetSession {self.id}>"

    async def say(self, text: str) -> None:
        """Let the avatar say a text, in the program's voice or the platform's."""
        await self._command({"do": "say", "text": text})

    async def interrupt(self) -> None:
        """Stop what the avatar says."""
        await self._command({"do": "interrupt"})

    async def custom(
        self, event: str, data: dict[str, Any] | None = None, *, request_id: str = ""
    ) -> None:
        """Send the platform an event of your own."""
        order = {"do": "custom", "event": event, "data": data, "request_id": request_id}
        await self._command(order)

    async def stop(self) -> None:
        """End the session."""
        await self._command({"do": "stop"})

    async def status(self) -> dict[str, Any]:
        """Return its state, its host and how it ended, as ``GET /sessions/{id}`` does."""
        status: dict[str, Any] = await self._directory.call("session", self.id)
        return status

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what happens to it, from its start to its end."""
        after = 0
        while True:
            for each in await self._directory.call("events", self.id, after, str(self.user_token)):
                after = each["number"]
                yield each
                if each["event"] == "ended":
                    return

    async def _command(self, order: dict[str, Any]) -> None:
        await self._directory.call("command", self.id, order)


async def start(
    avatar_id: str, data: Any = None, *, turns: bool = False, fleet: str = FLEET
) -> FleetSession:
    """Start a session on a host with room.

    Args:
        avatar_id: which avatar.
        data: what the program finds in ``job.data``; whatever JSON can say.
        turns: have ``events()`` tell turns too.
        fleet: the name of the fleet.

    Raises:
        NoCapacityError: no host has room.
        FleetError: the platform refused, or the fleet cannot be reached.
    """
    try:
        dumps(data)
    except (TypeError, ValueError) as exc:
        raise FleetError(f"data cannot be written as JSON: {exc}") from exc
    directory = Directory(fleet)
    started = await directory.call("start", avatar_id, data, turns, limit_s=90.0)
    return FleetSession(directory, started)
