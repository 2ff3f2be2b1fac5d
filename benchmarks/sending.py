"""Sending beside the published SDK 0.2.2: events to wire bytes, and a burst through a session.

Run ``make .seeds/liveavatar-0.2.2`` once, then this file; ``--check`` fails when a ratio is
under its floor.
"""

import asyncio
import json
import platform
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version

from codec import SECOND, seed
from cpu import cpu_of
from drain import drain
from ratios import Ratio, best_times, floors, report
from websockets.frames import Frame, Opcode

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.codec import client_message
from avatarwire.liveavatar import MessageBuilder
from avatarwire.liveavatar.messages import encode

RESPONSE_CHUNK = "req-1", "resp-1", 3, 120, "Good morning, how can I help you today?"
ASR_PARTIAL = "req-1", "Guten Morgen, ich hätte gern", 7
BURST_S = 400
BURST_FRAMES = BURST_S * 25

seed_builder = seed.message_builder.MessageBuilder


def framed_seed(text: str) -> bytes:
    """Frame and mask a text message by the websockets library, as its ``send()`` does."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=True)


def chunk_ours() -> bytes:
    """Take a piece of a response from its arguments to wire bytes, ours."""
    return client_message(encode(MessageBuilder.response_chunk(*RESPONSE_CHUNK)), text=True)


def chunk_seed() -> bytes:
    """Take a piece of a response from its arguments to wire bytes, theirs."""
    return framed_seed(json.dumps(seed_builder.response_chunk(*RESPONSE_CHUNK)))


def partial_ours() -> bytes:
    """Take a recognition result from its arguments to wire bytes, ours."""
    return client_message(encode(MessageBuilder.input_asr_partial(*ASR_PARTIAL)), text=True)


def partial_seed() -> bytes:
    """Take a recognition result from its arguments to wire bytes, theirs."""
    return framed_seed(json.dumps(seed_builder.input_asr_partial(*ASR_PARTIAL)))


def agent_ours(base_url: str) -> AvatarAgent:
    """Make a session of ours."""
    return AvatarAgent(AvatarAgentConfig("key", "avatar", base_url=base_url), AgentListener())


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
    pairs = {
        "response_chunk": ("response.chunk to masked wire bytes", chunk_ours, chunk_seed),
        "input_asr_partial": ("input.asr.partial to masked wire bytes", partial_ours, partial_seed),
    }
    ratios = []
    for name, (title, ours, theirs) in pairs.items():
        times = best_times({"ours": ours, "theirs": theirs})
        ratios.append(Ratio(title, times["ours"], times["theirs"], limits[name]))
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
