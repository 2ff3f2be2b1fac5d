"""What an agent of the same program tells of its turns, which no platform knows."""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from avatarwire.recording import Source
from avatarwire.recording.source import TurnsOnly

__all__ = ["Agents", "Written"]

MOST_KEPT = 200


class Written(NamedTuple):
    """A turn that has ended.

    Attributes:
        number: of all that were told, from 1.
        session_id: whose turn.
        turn_id: which turn.
        written_ms: what the agent gave to it.
        dropped_ms: what of that was never sent.
    """

    number: int
    session_id: str
    turn_id: str
    written_ms: float
    dropped_ms: float


class Agents:
    """Looks at agents, on whatever event loop they are; pages ask for it from theirs."""

    def __init__(self) -> None:
        self._written: deque[Written] = deque(maxlen=MOST_KEPT)
        self._count = 0

    def add(self, agent: Source) -> None:
        """Look at an agent from now on, until it is dropped."""
        agent.observe(_Turns(self, agent))

    def since(self, number: int) -> list[Written]:
        """Return what has been told after that number, as far as it is kept."""
        return [each for each in tuple(self._written) if each.number > number]

    def take(self, session_id: str, turn_id: str, written_ms: float, dropped_ms: float) -> None:
        """Keep what an agent tells."""
        self._count += 1
        self._written.append(Written(self._count, session_id, turn_id, written_ms, dropped_ms))


class _Turns(TurnsOnly):
    """Looks at the turns of one agent; the platform sees all else."""

    def __init__(self, agents: Agents, agent: Source) -> None:
        self._agents = agents
        self._agent = agent

    def turn(self, turn_id: str, change: str, facts: Mapping[str, object]) -> None:
        """Keep what was written to a turn that has ended."""
        session_id = self._agent.session_id
        if change != "ended" or session_id is None:
            return
        match facts:
            case {"written_ms": int() | float() as written_ms, "dropped_ms": dropped_ms}:
                if isinstance(dropped_ms, int | float):
                    self._agents.take(session_id, turn_id, written_ms, dropped_ms)
