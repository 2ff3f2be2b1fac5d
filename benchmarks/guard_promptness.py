"""How promptly things happen beside a lot of sound: an interrupt, and a control event.

    .venv/bin/python benchmarks/guard_promptness.py

Over loopback, with the emulated platform in the same process and event loop: its part is in the
figures. The limits are what this project promises; ``--check`` fails when one is missed.
"""

import asyncio
import logging
import sys
import time

from avatarwire import AgentListener, AudioFrame, AvatarAgent, AvatarAgentConfig
from avatarwire.codec import PcmFramer
from avatarwire.emulator import LiveAvatarEmulator
from avatarwire.liveavatar.messages import MessageBuilder

ROUNDS = 10
QUEUED = bytes(10_000_000)
FRAMES = 500
INTERRUPT_MS, CONTROL_MS = 5, 20


class Slow(AgentListener):
    """Takes a second for each frame of the user's, and notes when text comes."""

    def __init__(self) -> None:
        self.arrived: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def on_audio_frame(self, _: AudioFrame) -> None:
        """Wait a second, as a slow consumer does."""
        await asyncio.sleep(1)

    async def on_text_input(self, *_: str) -> None:
        """Note the time."""
        self.arrived.set_result(time.perf_counter())


async def interrupt_ms(base_url: str) -> float:
    """Return how long an interrupt takes, gone to the socket when it returns."""
    async with (
        AvatarAgent(AvatarAgentConfig("key", "avatar", base_url=base_url), Slow()) as agent,
        agent.audio_stream(buffer_ms=3_600_000) as stream,
    ):
        await stream.write(QUEUED)
        begun = time.perf_counter()
        await stream.interrupt()
        return (time.perf_counter() - begun) * 1000


async def control_ms(emulator: LiveAvatarEmulator) -> float:
    """Return how long an event takes behind frames whose callback is slow."""
    listener = Slow()
    config = AvatarAgentConfig("key", "avatar", base_url=emulator.base_url)
    async with AvatarAgent(config, listener):
        session = emulator.sessions[-1]
        for message in PcmFramer().frames(bytes(1280 * FRAMES)):
            await session.send_binary(message)
        begun = time.perf_counter()
        await session.send_event(MessageBuilder.input_text("request", "hello"))
        return (await listener.arrived - begun) * 1000


async def measure() -> list[tuple[str, float, int]]:
    """Return the best of some rounds: a busy machine delays anything."""
    async with LiveAvatarEmulator(greeting=None) as emulator:
        return [
            (
                "interrupt with 10 MB queued",
                min([await interrupt_ms(emulator.base_url) for _ in range(ROUNDS)]),
                INTERRUPT_MS,
            ),
            (
                f"control event behind {FRAMES} frames of a slow on_audio_frame",
                min([await control_ms(emulator) for _ in range(ROUNDS)]),
                CONTROL_MS,
            ),
        ]


def main() -> int:
    """Print the table."""
    logging.disable(logging.WARNING)  # it drops frames on purpose
    rows = asyncio.run(measure())
    print(f"| best of {ROUNDS} | ms here | limit |\n|---|--:|--:|")
    for name, took_ms, limit_ms in rows:
        print(f"| {name} | {took_ms:.2f} | {limit_ms} |")
    return int("--check" in sys.argv[1:] and any(took > limit for _, took, limit in rows))


if __name__ == "__main__":
    sys.exit(main())
