"""What a viewer of sessions is told, as JSON: which there are, and the records of those it watches.

Each message has a ``type``: ``sessions`` has a line for each session, sent when it changes;
``record`` has a record as ``docs/reference/recording.md`` describes it, under ``record``, and under
``missed`` how many records of that session the viewer was too slow for.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from avatarwire.recording import Live, Source

__all__ = ["PATH", "Feed", "asked_sessions"]

#: Where a monitor asks, whatever it looks at.
PATH = "/monitor"

LOOK_S = 0.2
#: More sessions than one viewer can read are not shown to it in detail.
MOST_WATCHED = 32


class Feed:
    """Tells one viewer.

    Args:
        sources: returns the sessions that there are; those without an id are not shown yet.
        describe: returns what the list says of a session, beside its id.
        send: sends a message. While it waits for a slow viewer, what is too old is not sent.
        content: False: records have no words and no pictures, but lengths and levels.
        look_s: how often it looks whether the list has changed, in seconds.
    """

    def __init__(
        self,
        sources: Callable[[], Iterable[Source]],
        describe: Callable[[Any], Mapping[str, object]],
        send: Callable[[str], Awaitable[None]],
        *,
        content: bool = True,
        look_s: float = LOOK_S,
    ) -> None:
        self._look_s = look_s
        self._sources = sources
        self._describe = describe
        self._send = send
        self._content = content
        self._watching: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Tell which sessions there are, until this is cancelled."""
        told: list[dict[str, object]] | None = None
        try:
            while True:
                lines = [
                    {"id": source.session_id, **self._describe(source)}
                    for source in self._sources()
                    if source.session_id is not None
                ]
                if lines != told:
                    told = lines
                    await self.tell("sessions", sessions=lines)
                await asyncio.sleep(self._look_s)
        finally:
            await self.watch(())

    async def watch(self, session_ids: Iterable[str]) -> None:
        """Tell the records of these sessions from now on, and of no others."""
        wanted = list(dict.fromkeys(session_ids))[:MOST_WATCHED]
        ended = [self._watching.pop(each) for each in [*self._watching] if each not in wanted]
        for task in ended:
            task.cancel()
        for task in ended:
            with suppress(asyncio.CancelledError, ConnectionError):  # the viewer has gone
                await task
        for session_id in wanted:
            source = self.find(session_id)
            if source is not None and session_id not in self._watching:
                task = asyncio.create_task(self._tell_records(session_id, source))
                self._watching[session_id] = task

    def find(self, session_id: str) -> Source | None:
        """Return the session of that id."""
        for source in self._sources():
            if source.session_id == session_id:
                return source
        return None

    async def tell(self, type_: str, **fields: object) -> None:
        """Send any message."""
        await self._send(json.dumps({"type": type_, **fields}, separators=(",", ":")))

    async def _tell_records(self, session_id: str, source: Source) -> None:
        with Live(source, content=self._content) as live:
            async for item in live:
                if isinstance(item, dict):
                    await self.tell("record", session=session_id, record=item, missed=live.missed)


def asked_sessions(message: str | bytes) -> list[str] | None:
    """Return which sessions a viewer asks to watch; None where it asks for something else."""
    try:
        asked = json.loads(message)
    except ValueError:
        return None
    match asked:
        case {"type": "watch", "sessions": list(session_ids)}:
            return [each for each in session_ids if isinstance(each, str)]
    return None
