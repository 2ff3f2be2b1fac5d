"""Speech over links that are slower than it, or stall: what is told, and how soon an interrupt is.

    .venv/bin/python benchmarks/slow_link.py [--uvloop] [--check]

The emulated platform is in the same process, behind a slow link of its own: a small receive buffer
that is read no faster than the link carries. How much the kernel holds is asked of the kernel here,
and not of the library. ``--check`` fails when a promise is not kept.
"""

import array
import asyncio
import fcntl
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.akool import StreamingAvatarClient
from avatarwire.emulator import AkoolEmulator, AkoolFaults, Faults, LiveAvatarEmulator, Stall
from avatarwire.streaming import AudioStream

SIOCOUTQNSD = 0x894B
BATCH_MS = 200
#: What the event loops, ours and the platform's, may add.
SLACK_MS = 60
#: Kilobits a second for speech of 384 there, and of about 350 here.
KBITS = {"live avatar": (350, 250), "akool": (310, 220)}
AFTER_S = (12, 60)
STALL, TURN_S = Stall(3.0, 5.0), 20


@dataclass(frozen=True, slots=True)
class Session:
    """One client and its platform's end.

    Attributes:
        client: of either platform.
        session: the emulator's.
        rate: what the platform plays, in Hz.
    """

    client: Any
    session: Any
    rate: int

    @property
    def connection(self) -> Any:  # noqa: ANN401
        """The client's connection."""
        return self.client._outbox.connection  # noqa: SLF001

    def queue_bytes(self, request: int) -> int:
        """Ask the kernel for the length of a queue."""
        size = array.array("i", [0])
        fcntl.ioctl(self.connection.transport.get_extra_info("socket").fileno(), request, size)
        return size[0] + int(self.connection.transport.get_write_buffer_size())

    def ms(self, size_bytes: float) -> float:
        """Return how much sound that is."""
        return size_bytes / self.rate / 2 * 1000


@asynccontextmanager
async def live_avatar(**faults: Any) -> AsyncIterator[Session]:  # noqa: ANN401
    """Connect to a Live Avatar platform."""
    async with LiveAvatarEmulator(greeting=None, faults=Faults(**faults)) as emulator:
        config = AvatarAgentConfig("key", "avatar", base_url=emulator.base_url)
        async with AvatarAgent(config, AgentListener()) as agent:
            yield Session(agent, emulator.sessions[0], 24000)


@asynccontextmanager
async def akool(**faults: Any) -> AsyncIterator[Session]:  # noqa: ANN401
    """Connect to an Akool platform."""
    async with AkoolEmulator(faults=AkoolFaults(**faults)) as emulator:
        client = StreamingAvatarClient(
            api_key="key",
            avatar_id="avatar",
            session_id="session",
            discovery_url=emulator.discovery_url,
        )
        await client.connect()
        yield Session(client, await emulator.wait_for_session(), 16000)
        await client.disconnect()


PLATFORMS = {"live avatar": live_avatar, "akool": akool}
INTERRUPTS = {"live avatar": "control.interrupt", "akool": "interrupt"}


@dataclass(frozen=True, slots=True)
class Interrupted:
    """What an interrupt on a slow link met. All are milliseconds, those of sound as it plays.

    Attributes:
        name: platform, bandwidth and how long the turn had lasted.
        took_ms: until it had reached the platform.
        limit_ms: what the link's buffers held, and a batch.
        unsent_ms: what lay unsent, of sound.
        heard_ms: what ``Playout`` says.
        acknowledged_ms: what the platform's system had acknowledged, of sound.
        underruns: how many were told.
        underrun_ms: for how long.
        told_ms: what ``on_underrun`` had told last.
        stale_frames: what the platform got of the turn after the interrupt.
    """

    name: str
    took_ms: float
    limit_ms: float
    unsent_ms: float
    heard_ms: float
    acknowledged_ms: float
    underruns: int
    underrun_ms: float
    told_ms: float
    stale_frames: int

    @property
    def is_kept(self) -> bool:
        """Whether it is as promised."""
        return (
            self.took_ms <= self.limit_ms + SLACK_MS
            and self.heard_ms <= self.acknowledged_ms + 1
            and self.acknowledged_ms - self.heard_ms <= 300
            and self.underruns > 0
            and self.underrun_ms - self.told_ms < 500
            and not self.stale_frames
        )


async def interrupt(platform: str, kbit: int, after_s: float) -> Interrupted:
    """Speak over a slow link, interrupt, and see what had been heard."""
    told = [0.0]
    async with PLATFORMS[platform](bandwidth_bit_s=kbit * 1000) as each:
        stream: AudioStream = each.client.audio_stream(
            sample_rate=each.rate, on_underrun=told.append
        )
        async with stream:
            speaking = asyncio.create_task(speak(stream, each.rate))
            await asyncio.sleep(after_s)
            arrived_ms = each.ms(len(each.session.pcm))
            wire_per_ms = each.client._outbox.wire_bytes / stream.sent_ms  # noqa: SLF001
            unsent = each.queue_bytes(SIOCOUTQNSD)
            sent_ms = stream.sent_ms
            wire_bytes = each.client._outbox.wire_bytes  # noqa: SLF001
            begun_s = asyncio.get_running_loop().time()
            playout = await stream.interrupt()
            said_bytes = each.client._outbox.wire_bytes - wire_bytes  # noqa: SLF001
            outstanding = each.queue_bytes(termios.TIOCOUTQ) - said_bytes
            await each.session.wait_for(INTERRUPTS[platform], 30)
            took_ms = (asyncio.get_running_loop().time() - begun_s) * 1000
            await speaking
        await asyncio.sleep(0.1)
        turns = getattr(each.session, "turns", ())
        per_ms = wire_per_ms * 8 / kbit  # of time, for a millisecond of sound
        return Interrupted(
            f"{platform}, {kbit} kbit/s, {after_s} s",
            took_ms,
            (sent_ms - arrived_ms - unsent / wire_per_ms + BATCH_MS) * per_ms,
            unsent / wire_per_ms,
            playout.played_ms,
            sent_ms - outstanding / wire_per_ms,
            stream.underruns,
            stream.underrun_ms,
            told[-1],
            sum(turn.stale_frames for turn in turns),
        )


async def speak(stream: AudioStream, rate: int) -> None:
    """Write as fast as the stream takes it."""
    while await stream.write(bytes(rate * 2 // 10)):
        pass


@dataclass(frozen=True, slots=True)
class Stalled:
    """A turn on a link that stalled. All are milliseconds.

    Attributes:
        name: platform and what became of late sound.
        written_ms: written.
        sent_ms: sent of it.
        dropped_ms: dropped of it.
        heard_ms: heard of it.
        arrived_ms: what the platform got.
        took_ms: from the first write to the end of playback.
        underrun_ms: told of the stall.
    """

    name: str
    written_ms: float
    sent_ms: float
    dropped_ms: float
    heard_ms: float
    arrived_ms: float
    took_ms: float
    underrun_ms: float

    @property
    def is_kept(self) -> bool:
        """Whether it is as promised."""
        late_ms = self.took_ms - self.written_ms
        skips = self.name.endswith("skip")
        return (
            abs(self.written_ms - self.sent_ms - self.dropped_ms) < 0.01
            and self.arrived_ms == self.sent_ms
            and self.heard_ms <= self.arrived_ms
            and (late_ms < 500 if skips else 2000 < late_ms < 3500)
            and (2000 < self.dropped_ms < 3500 if skips else not self.dropped_ms)
            and 2000 < self.underrun_ms < 3500
        )


async def stall(platform: str, late: Literal["play", "skip"]) -> Stalled:
    """Speak while the link stalls for a while, as a source in real time does."""
    async with PLATFORMS[platform](stalls=[STALL]) as each:
        loop = asyncio.get_running_loop()
        stream = each.client.audio_stream(sample_rate=each.rate, late=late)
        async with stream:
            begun_s = loop.time()
            for count in range(TURN_S * 10):
                await stream.write(bytes(each.rate * 2 // 10))
                await asyncio.sleep(max(0.0, begun_s + count / 10 - 0.5 - loop.time()))
        playout = await stream.wait_playout()
        return Stalled(
            f"{platform}, {late}",
            playout.written_ms,
            playout.sent_ms,
            playout.dropped_ms,
            playout.played_ms,
            each.ms(len(each.session.pcm)),
            (loop.time() - begun_s) * 1000,
            stream.underrun_ms,
        )


async def measure() -> bool:
    """Print both tables; return whether all is as promised."""
    interrupts = [
        asyncio.create_task(interrupt(platform, kbit, after_s))
        for platform, kbits in KBITS.items()
        for kbit in kbits
        for after_s in AFTER_S
    ]
    late: tuple[Literal["play", "skip"], ...] = ("play", "skip")
    stalls = [asyncio.create_task(stall(platform, each)) for platform in PLATFORMS for each in late]
    met, stalled = await asyncio.gather(*interrupts), await asyncio.gather(*stalls)
    print("| | interrupt | limit | unsent | heard | acknowledged | underruns | told | stale | |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|---|")
    for row in met:
        print(
            f"| {row.name} | {row.took_ms:.0f} ms | {row.limit_ms:.0f} ms | {row.unsent_ms:.0f} ms "
            f"| {row.heard_ms:.0f} ms | {row.acknowledged_ms:.0f} ms "
            f"| {row.underruns} of {row.underrun_ms:.0f} ms | {row.told_ms:.0f} ms "
            f"| {row.stale_frames} | {'kept' if row.is_kept else 'NOT KEPT'} |"
        )
    print("\n| a stall of 3 s | written | sent | dropped | heard | arrived | took | underrun | |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|---|")
    for each in stalled:
        print(
            f"| {each.name} | {each.written_ms:.0f} ms | {each.sent_ms:.0f} ms "
            f"| {each.dropped_ms:.0f} ms | {each.heard_ms:.0f} ms | {each.arrived_ms:.0f} ms "
            f"| {each.took_ms:.0f} ms | {each.underrun_ms:.0f} ms "
            f"| {'kept' if each.is_kept else 'NOT KEPT'} |"
        )
    return all(row.is_kept for row in met) and all(each.is_kept for each in stalled)


def main() -> int:
    """Measure on asyncio's loop, or on uvloop's."""
    factory = None
    if "--uvloop" in sys.argv[1:]:
        import uvloop  # noqa: PLC0415

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        is_kept = runner.run(measure())
    return int("--check" in sys.argv[1:] and not is_kept)


if __name__ == "__main__":
    sys.exit(main())
