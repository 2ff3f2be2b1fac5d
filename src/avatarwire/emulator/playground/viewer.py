"""One page that looks on: what it is told, and what it asks for."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

from aiohttp import WSMsgType, web

from avatarwire.emulator.playground.agents import Agents
from avatarwire.emulator.playground.controls import Controls, Microphone, Session
from avatarwire.emulator.playground.voice import Voice
from avatarwire.emulator.slow_link import LinkTransport
from avatarwire.monitor import Feed
from avatarwire.recording.masking import masked

__all__ = ["Viewer", "spare"]

#: Of what can be typed at once, in characters.
MOST_TEXT = 4_000
#: Of the conversation before the page was opened, in messages.
MOST_HISTORY = 200
LOOK_S = 0.2


class Viewer:
    """A page's connection.

    Args:
        controls: what the platform lets it do.
        agents: what agents of the same program tell.
        socket: the connection, open.
    """

    def __init__(self, controls: Controls, agents: Agents, socket: web.WebSocketResponse) -> None:
        self._controls = controls
        self._agents = agents
        self._socket = socket
        self._feed = Feed(controls.sessions, self._describe, socket.send_str)
        self._session: Session | None = None
        self._microphone: Microphone | None = None
        self._voice: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve the page until it is closed."""
        deeds = [
            {"name": deed.name, "label": deed.label, "meaning": deed.meaning}
            for deed in self._controls.deeds()
        ]
        await self._feed.tell(
            "hello",
            platform=self._controls.title,
            has_user=self._controls.has_user,
            why_not=self._controls.why_not,
            faults=deeds,
            clock={"loop_s": asyncio.get_running_loop().time(), "unix_s": time.time()},
        )
        told = (self._feed.run(), self._tell_faults(), self._tell_written())
        tasks = [asyncio.create_task(each) for each in told]
        try:
            async for message in self._socket:
                if message.type is WSMsgType.BINARY:
                    self._hear(message.data)
                elif message.type is WSMsgType.TEXT:
                    await self._do(message.data)
        finally:
            self._stop_voice()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _hear(self, pcm: bytes) -> None:
        if self._microphone is not None and len(pcm) % 2 == 0:
            self._microphone(pcm)

    async def _do(self, text: str) -> None:
        try:
            asked = json.loads(text)
        except ValueError:
            asked = None
        try:
            match asked:
                case {"type": "watch", "session": str(session_id)}:
                    await self._watch(session_id)
                case {"type": "watch", "sessions": list(session_ids)}:
                    await self._feed.watch(each for each in session_ids if isinstance(each, str))
                case {"type": "fault", "name": str(name)}:
                    self._go_wrong(name)
                case _:
                    await self._act_as_user(asked)
        except ConnectionError as exc:
            if not self._socket.closed:
                await self._feed.tell("error", message=str(exc))

    async def _act_as_user(self, asked: object) -> None:
        match asked:
            case {"type": "type", "text": str(words)} if words.strip():
                await self._controls.type_text(self._watched(), words[:MOST_TEXT])
            case {"type": "interrupt"}:
                self._controls.interrupt(self._watched())
            case {"type": "microphone", "on": True}:
                self._microphone = self._controls.open_microphone(self._watched())
            case {"type": "microphone"}:
                self._microphone = None
            case _:
                await self._feed.tell("error", message="the page asked for what there is not")

    def _watched(self) -> Session:
        if self._session is None:
            raise ConnectionError("there is no session yet")
        return self._session

    async def _watch(self, session_id: str) -> None:
        session = next(
            (each for each in self._controls.sessions() if each.session_id == session_id), None
        )
        if session is None:
            return
        self._session, self._microphone = session, None
        self._stop_voice()
        await self._feed.tell("history", session=session_id, records=_history(session))
        await self._feed.watch([session_id])
        self._voice = asyncio.create_task(self._tell_voice(session))

    async def _tell_voice(self, session: Session) -> None:
        voice = Voice()
        stop = session.observe(voice)
        try:
            while True:
                message = await voice.next()
                if isinstance(message, bytes):
                    await self._socket.send_bytes(message)
                else:
                    await self._feed.tell("silence", at_s=message, missed=voice.missed)
        finally:
            stop()

    def _stop_voice(self) -> None:
        if self._voice is not None:
            self._voice.cancel()
            self._voice = None

    def _go_wrong(self, name: str) -> None:
        for deed in self._controls.deeds():
            if deed.name == name:
                deed.do(self._session)

    async def _tell_faults(self) -> None:
        told: list[str] | None = None
        while True:
            on = [deed.name for deed in self._controls.deeds() if deed.is_on()]
            if on != told:
                told = on
                await self._feed.tell("faults", on=on)
            await asyncio.sleep(LOOK_S)

    async def _tell_written(self) -> None:
        number = 0
        while True:
            for written in self._agents.since(number):
                number = written.number
                await self._feed.tell(
                    "written",
                    session=written.session_id,
                    turn=written.turn_id,
                    written_ms=written.written_ms,
                    dropped_ms=written.dropped_ms,
                )
            await asyncio.sleep(LOOK_S)

    def _describe(self, session: Session) -> dict[str, object]:
        return {"is_connected": session.is_connected, **self._controls.describe(session)}


def spare(request: web.Request) -> None:
    """Let all pass at once on this connection: it is no client's."""
    if isinstance(request.transport, LinkTransport):
        request.transport.spare()


def _history(session: Session) -> Sequence[dict[str, Any]]:
    """Return the text messages so far, as records."""
    wording = session.wording()
    begun_s = time.time() - time.monotonic()
    found: list[dict[str, Any]] = []
    for entry in reversed(session.transcript):
        if isinstance(entry.data, bytes) or len(found) >= MOST_HISTORY:
            continue
        content = wording.read(entry.data)
        if content.kind == "text":
            direction = "send" if entry.direction == "sent" else "recv"
            found.append(
                {
                    "ts": begun_s + entry.time_s,
                    "kind": "text",
                    "dir": direction,
                    "name": content.name,
                    "json": masked(content.value, wording.redacted),
                }
            )
    return found[::-1]
