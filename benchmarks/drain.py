"""A platform that reads and discards, as cheaply as Python can, in a process of its own.

It answers the two REST calls, does the WebSocket handshake, sends ``session.init`` and then looks
at nothing but the end: with a real server the receiver would be what is measured.
"""

import asyncio
import base64
import hashlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import urlsplit

_HANDSHAKE_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: Received bytes are looked at before the next read, so one buffer does for all connections.
_BUFFER = bytearray(2**18)


class _Drain(asyncio.BufferedProtocol):
    def __init__(self) -> None:
        self._request = b""
        self._is_websocket = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        del sizehint
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        if self._is_websocket:
            if ends_with_close(_BUFFER[max(0, nbytes - 8) : nbytes]):
                self._transport.write(b"\x88\x02\x03\xe8")
                self._transport.close()
            return
        self._request += _BUFFER[:nbytes]
        head, end, body = self._request.partition(b"\r\n\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        }
        if end and len(body) >= int(headers.get(b"content-length", 0)):
            self._request = b""
            self._answer(headers)

    def _answer(self, headers: dict[bytes, bytes]) -> None:
        key = headers.get(b"sec-websocket-key")
        if key is None:
            port = self._transport.get_extra_info("sockname")[1]
            data = {
                "sessionId": "session",
                "sfuUrl": "",
                "userToken": "",
                "agentWsUrl": f"ws://127.0.0.1:{port}/",
            }
            body = json.dumps({"code": 0, "data": data}).encode()
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            return
        accept = base64.b64encode(hashlib.sha1(key + _HANDSHAKE_GUID).digest())  # noqa: S324
        init = {"event": "session.init", "data": {"sessionId": "session", "userId": "user"}}
        message = json.dumps(init).encode()
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %s\r\n\r\n\x81%c%s" % (accept, len(message), message)
        )
        self._is_websocket = True


def ends_with_close(tail: bytes | bytearray) -> bool:
    """Return whether these are the eight bytes of a masked close frame with 1000."""
    return (
        len(tail) == 8
        and tail[:2] == b"\x88\x82"
        and tail[6] ^ tail[2] == 0x03
        and tail[7] ^ tail[3] == 0xE8
    )


async def serve(protocol: Callable[[], asyncio.BaseProtocol]) -> None:
    """Serve connections by a protocol, for ever; print the base URL first."""
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


@contextmanager
def running(script: str, cpu: int | None = None) -> Iterator[str]:
    """Run a script that serves, on one processor if wanted, and yield its base URL."""
    command = [sys.executable, script, *([] if cpu is None else [str(cpu)])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def drain(cpu: int | None = None) -> AbstractContextManager[str]:
    """Run one, on one processor if wanted, and yield its base URL."""
    return running(__file__, cpu)


def websocket_url(base_url: str) -> str:
    """Return where the same server takes WebSocket connections."""
    return f"ws://{urlsplit(base_url).netloc}/"


if __name__ == "__main__":
    if sys.argv[1:]:
        os.sched_setaffinity(0, {int(sys.argv[1])})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(serve(_Drain))
