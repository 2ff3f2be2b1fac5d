"""A platform whose users speak, in a process of its own.

It answers the REST calls, does the WebSocket handshake, sends ``session.init`` and then speaks on
demand: to the connections of one group, a frame each 40 ms or as fast as they take it.
"""

import asyncio
import base64
import hashlib
import json
import os
import resource
import sys
from collections import defaultdict
from contextlib import AbstractContextManager
from urllib.parse import SplitResult, parse_qs, urlsplit

from drain import ends_with_close, running, serve

from avatarwire.codec import AudioFrame

_HANDSHAKE_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
FRAME_S = 0.04
#: How a ping begins.
PING = 0x89
#: 40 ms at 16 kHz, which is what a user's voice comes in.
PAYLOAD_BYTES = 1280
#: Frames written at a time in a flood, unless the listener is full.
BURST = 100


def wire(seq: int) -> bytes:
    """Return a frame of a user's voice as the platform sends it: not masked."""
    message = AudioFrame(
        key=int(not seq), seq=seq, timestamp=seq * 40, samples=640, payload=bytes(PAYLOAD_BYTES)
    ).pack()
    return b"\x82\x7e" + len(message).to_bytes(2) + message


FRAMES = [wire(seq) for seq in range(4096)]


#: The listeners, by the first part of the path that they asked for.
groups: "defaultdict[str, list[Connection]]" = defaultdict(list)


class Connection(asyncio.Protocol):
    """One connection, or a request; after the handshake it only looks for pings and the close."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin as a request."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._request = b""
        self._group: str | None = None
        self._seq = 0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._speaking: asyncio.Task[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Speak to it no more."""
        del exc
        if self._group is not None:
            groups[self._group].remove(self)

    def pause_writing(self) -> None:
        """Note that the listener is full."""
        self._has_room.clear()

    def resume_writing(self) -> None:
        """Note that it has room."""
        self._has_room.set()

    def data_received(self, data: bytes) -> None:
        """Take a request, or look for a ping and for the close."""
        if self._group is not None:
            if data[0] == PING:
                # By the published SDK, which pings every 5 s and closes when nothing answers.
                end = 6 + data[1] % 128
                payload = bytes(each ^ data[2 + at % 4] for at, each in enumerate(data[6:end]))
                self.transport.write(b"\x8a%c%s" % (len(payload), payload))
            if ends_with_close(data[-8:]):
                self.transport.write(b"\x88\x02\x03\xe8")
                self.transport.close()
            return
        self._request += data
        head, end, body = self._request.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in lines)
        }
        if end and len(body) >= int(headers.get(b"content-length", 0)):
            self._request = b""
            self._answer(urlsplit(first.split()[1].decode()), headers)

    def _answer(self, url: SplitResult, headers: dict[bytes, bytes]) -> None:
        path, query = url.path, parse_qs(url.query)
        key = headers.get(b"sec-websocket-key")
        group = path.strip("/").partition("/")[0]
        if key is not None:
            accept = base64.b64encode(hashlib.sha1(key + _HANDSHAKE_GUID).digest())  # noqa: S324
            init = {"event": "session.init", "data": {"sessionId": "session", "userId": "user"}}
            message = json.dumps(init).encode()
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n\x81%c%s"
                % (accept, len(message), message)
            )
            self._group = group
            groups[group].append(self)
            return
        if path.endswith("/speak"):
            self._speak(groups[group], int(query["frames"][0]), "live" in query)
        port = self.transport.get_extra_info("sockname")[1]
        data = {
            "sessionId": "session",
            "sfuUrl": "",
            "userToken": "",
            "agentWsUrl": f"ws://127.0.0.1:{port}/{group}",
        }
        body = json.dumps({"code": 0, "data": data}).encode()
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )

    def _speak(self, listeners: list["Connection"], frames: int, is_live: bool) -> None:
        now_s = asyncio.get_running_loop().time()
        for index, each in enumerate(listeners):
            begin_s = now_s + FRAME_S * index / len(listeners)
            speaking = each._live(begin_s, frames) if is_live else each._flood(frames)  # noqa: SLF001
            each._speaking = asyncio.create_task(speaking)  # noqa: SLF001

    def _next(self) -> bytes:
        self._seq = (self._seq + 1) % 4096
        return FRAMES[self._seq]

    async def _live(self, begin_s: float, frames: int) -> None:
        loop = asyncio.get_running_loop()
        for number in range(frames):
            await asyncio.sleep(begin_s + number * FRAME_S - loop.time())
            self.transport.write(self._next())

    async def _flood(self, frames: int) -> None:
        for begin in range(0, frames, BURST):
            await self._has_room.wait()
            count = min(BURST, frames - begin)
            self.transport.write(b"".join(self._next() for _ in range(count)))


def speaker(cpu: int | None = None) -> AbstractContextManager[str]:
    """Run one, on one processor if wanted, and yield its base URL."""
    return running(__file__, cpu)


if __name__ == "__main__":
    if sys.argv[1:]:
        os.sched_setaffinity(0, {int(sys.argv[1])})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(serve(Connection))
