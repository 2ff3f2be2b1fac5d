"""What the owner of an engine brings to it, as one value."""

import logging
from dataclasses import dataclass
from typing import Generic, TypeVar

from avatarwire.session.dialect import Connect, Dialect, Part, Reporter
from avatarwire.session.outbox import Outbox

__all__ = ["Ports"]

ReceivedT = TypeVar("ReceivedT")


@dataclass(frozen=True, slots=True)
class Ports(Generic[ReceivedT]):
    """What an engine works with; see there. It stays the same in all sessions of one owner."""

    dialect: Dialect[ReceivedT]
    reporter: Reporter[ReceivedT]
    parts: tuple[Part[ReceivedT], ...]
    outbox: Outbox
    connect: Connect | None
    logger: logging.Logger

    def log(self, level: int, words: str, *args: object) -> None:
        """Log what happens to the session, under its id."""
        self.logger.log(level, "session %s: %s", self.dialect.session_id, words % args)
