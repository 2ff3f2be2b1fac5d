"""What the directory knows of one session, and where that outlives the directory."""

import asyncio
import json
import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ray.experimental.internal_kv import (
    _internal_kv_del,
    _internal_kv_get,
    _internal_kv_list,
    _internal_kv_put,
)

__all__ = ["Ledger", "Record"]

#: How many events of a session are kept for who asks late.
KEPT_EVENTS = 64
_TOKENS = ("user_token", "sfu_url")
_KEPT = ("id", "avatar_id", "data", "turns", "session_id", "host", "pid", "epoch", "resumed")


@dataclass(slots=True, eq=False)
class Record:
    """One session.

    Attributes:
        id: the fleet's id of it.
        avatar_id: which avatar.
        data: what the caller gave.
        turns: turns are told too.
        session_id: the platform's id; None before the first start.
        host: who owns it; None while nobody does.
        pid: the process of that host.
        epoch: how often it has been given to a host.
        resumed: how often a host went on with what another had begun.
        ending: why it has ended; None while it has not.
        credentials: what the browser needs, of the last start.
        events: what has happened, the last of it, each with a number.
        news: set when something has happened.
    """

    id: str
    avatar_id: str
    data: Any = None
    turns: bool = False
    session_id: str | None = None
    host: str | None = None
    pid: int | None = None
    epoch: int = 0
    resumed: int = 0
    ending: str | None = None
    credentials: dict[str, Any] = field(default_factory=dict, repr=False)
    tokens: list[str] = field(default_factory=list, repr=False)
    events: deque[dict[str, Any]] = field(
        default_factory=lambda: deque(maxlen=KEPT_EVENTS), repr=False
    )
    told: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def shown(self) -> dict[str, Any]:
        """Return it as anyone may see it: without tokens and data."""
        return {
            "id": self.id,
            "session_id": self.session_id,
            "state": "running" if self.ending is None else "ended",
            "host": self.host,
            "pid": self.pid,
            "resumed": self.resumed,
            "ending": self.ending,
        }

    def add_event(self, event: dict[str, Any]) -> None:
        """Keep an event, and wake who waits for one."""
        self.told += 1
        self.events.append({"number": self.told, **event})
        self.news.set()
        self.news = asyncio.Event()

    def events_after(self, number: int, *, shows_tokens: bool) -> list[dict[str, Any]]:
        """Return the events after one, without what the browser joins with unless it is shown."""
        events = [each for each in self.events if each["number"] > number]
        if shows_tokens:
            return events
        return [{k: v for k, v in each.items() if k not in _TOKENS} for each in events]

    def issue(self, item: dict[str, Any]) -> None:
        """Take the credentials of a start."""
        self.session_id = item["session_id"]
        self.credentials = {key: item[key] for key in _TOKENS}
        self.tokens = [*self.tokens[-7:], item["user_token"]]

    def is_starters(self, token: str) -> bool:
        """Return whether ``token`` was given to the one who started the session."""
        return any(secrets.compare_digest(token.encode(), each.encode()) for each in self.tokens)


class Ledger:
    """Which sessions there are and whose they are, in the engine's own store.

    It outlives the directory's process: another one goes on with what it says.

    Args:
        fleet: the name of the fleet.
    """

    def __init__(self, fleet: str) -> None:
        self._namespace = f"avatarwire-fleet-{fleet}".encode()

    def write(self, record: Record) -> None:
        """Write down whose a session is."""
        kept = {name: getattr(record, name) for name in _KEPT}
        kept["tokens"] = record.tokens
        _internal_kv_put(record.id.encode(), json.dumps(kept).encode(), namespace=self._namespace)

    def forget(self, session: str) -> None:
        """Forget a session that has ended."""
        _internal_kv_del(session.encode(), namespace=self._namespace)

    def read(self) -> list[Record]:
        """Return the sessions that had not ended."""
        keys = _internal_kv_list(b"", namespace=self._namespace)
        values = (_internal_kv_get(key, namespace=self._namespace) for key in keys)
        return [Record(**json.loads(value)) for value in values if value]

    def clear(self) -> None:
        """Forget all sessions."""
        for record in self.read():
            self.forget(record.id)
