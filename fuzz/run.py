"""What every part of a run shares: its end, its counts, its findings, and who watches it."""

import asyncio
import contextlib
import logging
import random
import socket
import time
import weakref
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from avatarwire import AvatarwireError, transport
from avatarwire.transport import WebSocketConnection

__all__ = ["HANG_S", "Errors", "Run", "descriptors", "quietly", "resident_bytes", "watch_memory"]

#: Longer than any limit of a session, on a machine with much else to do too, and still an answer
#: to "does it hang?".
HANG_S = 60.0
#: So little waits in the system's own buffer: a peer that does not read is soon felt.
SEND_BUFFER_BYTES = 8192
#: As short as a step of the loop is meant to be: what starves it is lag, step by step.
STEP_S = 0.005
#: What may wait for a peer: the write buffer's high water, answers to pings, and large events.
UNREAD_LIMIT_BYTES = 450_000


class Run:
    """The end of a run, what it counts, and what it finds."""

    def __init__(self, seconds: float, seed: int) -> None:
        self.random = random.Random(seed)
        self.ends_s = time.monotonic() + seconds
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self.lag_s = 0.0
        self.most_unread_bytes = 0
        self._connections: weakref.WeakSet[WebSocketConnection] = weakref.WeakSet()

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.ends_s

    async def connect(self, url: str, **options: Any) -> WebSocketConnection:  # noqa: ANN401
        """Connect as a session does by itself, with little room in the system's buffer."""
        connection = await transport.connect(url, **options)
        raw = connection.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._connections.add(connection)
        return connection

    async def watch(self) -> None:
        """Sum up by how much the loop is late, and look at what waits for peers."""
        while True:
            begun_s = time.monotonic()
            await asyncio.sleep(STEP_S)
            self.lag_s += time.monotonic() - begun_s - STEP_S
            unread_bytes = max((c.buffered_bytes for c in self._connections), default=0)
            if unread_bytes > max(self.most_unread_bytes, UNREAD_LIMIT_BYTES):
                self.failures.append(f"{unread_bytes:,} bytes wait for a peer that does not read")
            self.most_unread_bytes = max(self.most_unread_bytes, unread_bytes)


async def quietly(work: Coroutine[None, None, None]) -> None:
    """Do something that may fail by the faults around it."""
    with contextlib.suppress(AvatarwireError, ConnectionError):
        await work


class Errors(logging.Handler):
    """Collects what is logged as an error."""

    def __init__(self, failures: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._failures = failures

    def emit(self, record: logging.LogRecord) -> None:
        trace = (
            "" if record.exc_info is None else logging.Formatter().formatException(record.exc_info)
        )
        self._failures.append(f"logged by {record.name}: {record.getMessage()} {trace}")


def descriptors() -> int:
    """How many file descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def resident_bytes() -> int:
    """How much memory this process occupies."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


async def watch_memory(run: Run, samples: list[int]) -> None:
    """Note the resident memory as long as the run goes."""
    while not run.is_over:
        await asyncio.sleep(1)
        samples.append(resident_bytes())
        if len(samples) % 60 == 0:
            print(f"{len(samples)} samples: {samples[-1] // 1_000_000} MB resident", flush=True)
