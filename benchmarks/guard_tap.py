"""What one look at a message costs: a session with a tap beside the same session without.

Both platforms, both directions, a message at a time and many in a batch. ``--check`` fails when a
look costs more than ``floors.toml`` allows, in microseconds a message. The sessions are real, and
what they send then goes to a connection that drops it: the rest of a call is no part of this.
"""

import asyncio
import logging
import platform
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from ratios import Ratio, best_times, floors, report

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.akool import StreamingAvatarClient
from avatarwire.codec import AudioFrame
from avatarwire.emulator import AkoolEmulator, LiveAvatarEmulator

FRAME_MS = 40
FRAMES = 25
PCM = bytes(range(250)) * 192
FRAME = AudioFrame(sample_rate=1, samples=960, payload=PCM[:1920]).pack()
STATE = '{"event":"session.state","requestId":"r-1","data":{"state":"SPEAKING"}}'
PONG = '{"v":2,"type":"pong","mid":"p","pld":{}}'
LIMIT_S = 1e-6
# Short and many: what is looked for is small beside what a busy machine adds.
ROUNDS, ROUND_S = 200, 0.001

Session = AvatarAgent | StreamingAvatarClient


class Drain:
    """A connection that takes everything and keeps nothing."""

    close_code = round_trip_s = None
    close_reason = ""
    buffered_bytes = 0

    def write_batch(self, wire: bytes) -> bool:
        """Drop it."""
        return bool(wire)

    async def writable(self) -> None:
        """Have room."""

    def listen(self, listener: object) -> None:
        """Have nothing to say."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Have nothing to close."""


def look(direction: str, kind: str, data: str | bytes) -> None:
    """Look at a message, and do nothing with it."""


def at_once(call: Callable[[], Coroutine[Any, Any, object]]) -> Callable[[], None]:
    """Return a call that runs a coroutine to its end; none of these ever waits."""

    def run() -> None:
        try:
            call().send(None)
        except StopIteration:
            return
        raise AssertionError("it waited for something")

    return run


def calls_of(session: Session) -> Iterator[tuple[str, Callable[[], object], int]]:
    """Yield what is timed: its name, the call, and how many messages one call is."""
    receive = session._engine.receive  # noqa: SLF001 - what a connection's reader calls
    if isinstance(session, AvatarAgent):
        yield "sent text", at_once(lambda: session.send_asr_final("r-1", "Guten Morgen")), 1
        yield "sent frames", at_once(lambda: session.send_audio(PCM)), FRAMES
        yield "received text", lambda: receive([STATE]), 1
        yield "received frame", lambda: receive([FRAME]), 1
    else:
        yield "sent sound", at_once(lambda: session.send_audio(PCM[:2048])), 1
        yield "received text", lambda: receive([PONG]), 1


def measure_session(name: str, session: Session) -> Iterator[Ratio]:
    """Time each call with a tap and without, by turns."""
    session._outbox.connected(Drain())  # noqa: SLF001
    most = floors("tap")["most_us"]
    for what, call, messages in calls_of(session):

        def looked_at(call: Callable[[], object] = call) -> None:
            session._outbox.taps = (look,)  # noqa: SLF001
            call()
            session._outbox.taps = ()  # noqa: SLF001

        def unseen(call: Callable[[], object] = call) -> None:
            session._outbox.taps = (look,)  # noqa: SLF001
            session._outbox.taps = ()  # noqa: SLF001
            call()

        times = best_times(
            {"looked at": looked_at, "unseen": unseen}, rounds=ROUNDS, round_s=ROUND_S
        )
        cost_s = (times["looked at"] - times["unseen"]) / messages
        yield Ratio(f"{name}, {what}", max(cost_s, 0.0), LIMIT_S, most, at_most=True)


async def measure_all() -> list[Ratio]:
    """Start a session of each platform, and time it."""
    ratios: list[Ratio] = []
    async with LiveAvatarEmulator(greeting=None) as live, AkoolEmulator() as akool:
        config = AvatarAgentConfig("key", "avatar", base_url=live.base_url)
        agent = AvatarAgent(config, AgentListener())
        client = StreamingAvatarClient("key", "avatar", akool.discovery_url, message_timeout=1)
        for name, session in (("Live Avatar", agent), ("Akool", client)):
            await session.start()
            connection = session._outbox.connection  # noqa: SLF001
            ratios += measure_session(name, session)
            session._outbox.connected(connection)  # noqa: SLF001
            await session.stop()
    return ratios


def measure() -> list[Ratio]:
    """Time a look at each kind of message."""
    return asyncio.run(measure_all())


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    print(
        f"Python {platform.python_version()}, {platform.machine()}; a look, and a limit of 1 µs\n"
    )
    sys.exit(report(measure, theirs="limit"))
