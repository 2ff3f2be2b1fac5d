"""Sending beside the published SDK 0.2.2: events to wire bytes, and a burst through a session.

Run ``make .seeds/liveavatar-0.2.2`` once, then this file; ``--check`` fails when a ratio is
under its floor.
"""

import asyncio
import platform
import random
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version

import seeds  # noqa: F401 - for the published SDK
from cpu import cpu_of
from drain import drain
from ratios import Ratio, floors, ratio_of, report

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.bench.candidates import Avatarwire, LiveAvatarSdk

import liveavatar_channel_sdk as seed  # isort: skip - found by seeds

SECOND = random.Random(1).randbytes(48_000)  # noqa: S311
CHUNK = SECOND[:1920]
BURST_S = 400
BURST_FRAMES = BURST_S * 25


def agent_ours(base_url: str) -> AvatarAgent:
    """Make a session of ours."""
    # Its peer answers no ping.
    config = AvatarAgentConfig("key", "avatar", base_url=base_url, ping_timeout=600)
    return AvatarAgent(config, AgentListener())


def agent_seed(base_url: str) -> seed.AvatarAgent:
    """Make a session of the published SDK."""
    config = seed.AvatarAgentConfig("key", "avatar", base_url=base_url)
    return seed.AvatarAgent(config, seed.AgentListener())


def frame_seed(seq: int, pcm: bytes) -> seed.AudioFrame:
    """Make a frame as the published SDK's users do."""
    return seed.AudioFrame(
        channel=0, key=int(not seq), seq=seq, timestamp=seq * 40, sample_rate=1,
        samples=len(pcm) // 2, codec=0, payload=pcm,
    )  # fmt: skip


async def burst_ours(agent: AvatarAgent) -> None:
    """Send everything at once, second by second."""
    for _ in range(BURST_S):
        await agent.send_audio(SECOND)


async def burst_seed(agent: seed.AvatarAgent) -> None:
    """Send everything at once, frame by frame."""
    for second in range(BURST_S):
        for index in range(25):
            seq = (second * 25 + index) % 4096
            pcm = SECOND[index * 1920 : (index + 1) * 1920]
            await agent.send_audio_frame(frame_seed(seq, pcm))


async def burst(
    agent: AvatarAgent | seed.AvatarAgent, stream: Callable[..., Awaitable[None]]
) -> tuple[float, float]:
    """Return CPU seconds per frame, of streaming alone and with the start and the stop."""
    streaming_s = 0.0

    async def run() -> None:
        nonlocal streaming_s
        await agent.start()
        streaming_s = await cpu_of(lambda: stream(agent))
        await agent.stop()

    whole_s = await cpu_of(run)
    return streaming_s / BURST_FRAMES, whole_s / BURST_FRAMES


async def bursts(rounds: int = 10) -> dict[str, tuple[float, float]]:
    """Return the best of several bursts of each side, which take turns; see ``burst``."""
    sides = {"avatarwire": (agent_ours, burst_ours), "published SDK": (agent_seed, burst_seed)}
    best: dict[str, tuple[float, float]] = {}
    with drain() as base_url:
        for _ in range(rounds):
            for name, (make, stream) in sides.items():
                costs = await burst(make(base_url), stream)
                streaming_s, whole_s = map(min, costs, best.get(name, costs))
                best[name] = streaming_s, whole_s
    return best


def measure() -> list[Ratio]:
    """Time everything and pair it."""
    limits = floors("sending")
    ours, theirs = Avatarwire(), LiveAvatarSdk()
    ratios = [
        ratio_of(name, ours, theirs, limits[name])
        for name in ("chunk_websocket", "partial_websocket")
    ]
    (ours_s, _), (theirs_s, _) = asyncio.run(bursts()).values()
    ratios.append(
        Ratio("burst through a session, CPU per frame", ours_s, theirs_s, limits["burst"])
    )
    return ratios


if __name__ == "__main__":
    print(
        f"Python {platform.python_version()}, {platform.machine()}, "
        f"liveavatar-channel-sdk 0.2.2, websockets {version('websockets')}\n"
    )
    sys.exit(report(measure, theirs="seed"))
