"""An output on an emulated platform, and what it told the framework."""

import asyncio
import contextlib
import itertools
import logging
import time
from dataclasses import dataclass, field

from livekit import rtc

from avatarwire import MessageBuilder

RATE = 24000
FRAME_MS = 20


def sound(ms, rate=RATE, channels=1, begin=0):
    """Return PCM in which no two samples near each other are alike."""
    count = ms * rate // 1000 * channels
    return b"".join(((begin + 7001 * n) % 65521).to_bytes(2, "little") for n in range(count))


def frames(pcm, rate=RATE, channels=1, frame_ms=FRAME_MS):
    """Cut PCM into frames as a synthesiser gives them."""
    size = rate * frame_ms // 1000 * channels * 2
    return [
        rtc.AudioFrame(part, rate, channels, len(part) // 2 // channels)
        for part in (pcm[start : start + size] for start in range(0, len(pcm), size))
    ]


class Warnings(logging.Handler):
    """What the framework warns of."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.told = []
        logging.getLogger("livekit.agents").addHandler(self)

    def emit(self, record):
        self.told.append(record.getMessage())

    def close(self):
        logging.getLogger("livekit.agents").removeHandler(self)
        super().close()


@dataclass
class Bench:
    """Drives an output as the framework does.

    Attributes:
        output: what is tested.
        agent: the avatar's session.
        session: the platform's side of it.
        emulator: the platform.
        patience_s: how long the end of a segment is waited for.
        events: (name, event, time) that the output emitted.
    """

    output: object
    agent: object
    session: object
    emulator: object
    patience_s: float = 8.0
    events: list = field(default_factory=list)

    def __post_init__(self):
        self.warnings = Warnings()
        self.strays = []  # errors that nobody waited for
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: self.strays.append(context)
        )
        for name in ("playback_started", "playback_progressed", "playback_finished"):
            self.output.on(name, lambda event, name=name: self._note(name, event))
        self.numbers = itertools.count(1000)

    def _note(self, name, event):
        self.events.append((name, event, time.time()))

    @property
    def started(self):
        return [(event, at) for name, event, at in self.events if name == "playback_started"]

    @property
    def finished(self):
        return [event for name, event, _ in self.events if name == "playback_finished"]

    @property
    def progressed(self):
        return [event for name, event, _ in self.events if name == "playback_progressed"]

    async def until(self, condition, timeout_s=5.0):
        """Wait until something that an event or the platform brings about."""
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0.005)

    async def capture(self, pcm, **format_):
        for frame in frames(pcm, **format_):
            await self.output.capture_frame(frame)

    async def say(self, pcm, **format_):
        """Say a whole segment; return its end."""
        await self.capture(pcm, **format_)
        self.output.flush()
        return await self.played()

    async def played(self, timeout_s=None):
        async with asyncio.timeout(timeout_s or self.patience_s):
            return await self.output.wait_for_playout()

    async def interrupt(self, capturing=None):
        """Do what the framework does when speech is interrupted."""
        if capturing is not None:
            capturing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await capturing
            self.output.flush()
            self.output.clear_buffer()
        self.output.clear_buffer()
        return await self.played()

    @property
    def turns(self):
        return self.session.turns

    def arrived(self, kind):
        """Return when each message of a kind came, in seconds, and the message."""
        return [
            (entry.time_s, entry.data)
            for entry in self.session.transcript
            if entry.direction == "received" and entry.kind == kind
        ]

    async def tell_state(self, state):
        """Have the platform say what the avatar does, whatever it does."""
        await self.session.send_event(
            MessageBuilder.session_state(state, next(self.numbers), time.time_ns() // 1_000_000)
        )

    def names(self):
        return [event["event"] for event in self.session.events]
