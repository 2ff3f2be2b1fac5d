"""Whole sessions: what live streaming costs, and streaming as fast as it goes.

Each session is started through REST and the handshake, streams, and is stopped; the platform is a
process of its own that reads and discards.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from codec import CHUNK, SECOND, seed
from cpu import cpu_of
from drain import drain
from report import Panel, write

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig

SESSIONS = 100
LIVE_S = 5.0
BURST_S = 400

NOTES = f"""\
CPU time, user and system, of the sending process. *Live* is {SESSIONS} sessions at once for
{LIVE_S:g} s: with the published SDK the loop that its users write, one frame and `sleep(0.04)`;
with ours `send_audio` on absolute deadlines, in pieces of one, five or 25 frames (ours does not
pace, so the loop is hand-written here too). *Burst* is {BURST_S} s of audio, {BURST_S * 25:,}
frames, sent by one session as fast as it goes: frame objects there, one-second pieces of PCM
here. Sides take turns, the best turn of each. The published SDK would offer compression, which
this receiver does not take: that is in its favour.

{SESSIONS} sessions do not fill a core, and a machine that falls idle between two frames charges
the process for waking up: most of the *live* figures on a virtual machine, theirs and ours alike.
The sessions per core are therefore a lower bound, extrapolated and not run. The start and stop of a
session weigh the same on both sides, and more than minutes of our streaming."""


def our_agent(base_url: str) -> AvatarAgent:
    """Make a session of ours."""
    return AvatarAgent(AvatarAgentConfig("key", "avatar", base_url=base_url), AgentListener())


def their_agent(base_url: str) -> seed.AvatarAgent:
    """Make a session of the published SDK."""
    config = seed.AvatarAgentConfig("key", "avatar", base_url=base_url)
    return seed.AvatarAgent(config, seed.AgentListener())


def their_frame(seq: int, pcm: bytes) -> seed.AudioFrame:
    """Make a frame as the published SDK's users do."""
    return seed.AudioFrame(
        channel=0, key=int(not seq), seq=seq, timestamp=seq * 40, sample_rate=1,
        samples=len(pcm) // 2, codec=0, payload=pcm,
    )  # fmt: skip


async def live_theirs(agent: seed.AvatarAgent, delay_s: float) -> float:
    """Stream in real time by sleeping after each frame; return the seconds of audio sent."""
    await asyncio.sleep(delay_s)
    end = time.monotonic() + LIVE_S
    seq = 0
    while time.monotonic() < end:
        await agent.send_audio_frame(their_frame(seq, CHUNK))
        seq += 1
        await asyncio.sleep(0.04)
    return seq * 0.04


def live_ours(frames: int) -> Callable[[AvatarAgent, float], Awaitable[float]]:
    """Make a real-time sender of so many frames at a time."""
    pcm = CHUNK * frames
    period_s = 0.04 * frames

    async def stream(agent: AvatarAgent, delay_s: float) -> float:
        """Stream in real time on absolute deadlines; return the seconds of audio sent."""
        await asyncio.sleep(delay_s)
        deadline = time.monotonic()
        end = deadline + LIVE_S
        sent_s = 0.0
        while deadline < end - period_s / 2:
            await agent.send_audio(pcm)
            sent_s += period_s
            deadline += period_s
            await asyncio.sleep(deadline - time.monotonic())
        return sent_s

    return stream


async def live(
    agents: list[AvatarAgent] | list[seed.AvatarAgent],
    stream: Callable[..., Awaitable[float]],
) -> tuple[float, float]:
    """Run all sessions; return CPU seconds per second of audio, and audio per second of time."""
    for agent in agents:
        await agent.start()
    sent_s = 0.0

    async def run() -> None:
        nonlocal sent_s
        # Spread over the first second, as sessions begin whenever they begin.
        delays = [index / len(agents) for index in range(len(agents))]
        sent_s = sum(await asyncio.gather(*map(stream, agents, delays)))

    cpu_s = await cpu_of(run)
    await asyncio.gather(*(agent.stop() for agent in agents))
    return cpu_s / sent_s, sent_s / (len(agents) * LIVE_S)


async def burst_theirs(agent: seed.AvatarAgent) -> None:
    """Send everything at once, frame by frame."""
    for second in range(BURST_S):
        for index in range(25):
            seq = (second * 25 + index) % 4096
            pcm = SECOND[index * 1920 : (index + 1) * 1920]
            await agent.send_audio_frame(their_frame(seq, pcm))


async def burst_ours(agent: AvatarAgent) -> None:
    """Send everything at once, second by second."""
    for _ in range(BURST_S):
        await agent.send_audio(SECOND)


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
    return streaming_s / (BURST_S * 25), whole_s / (BURST_S * 25)


LIVE = {
    "avatarwire, 25 frames each second": (our_agent, live_ours(25)),
    "avatarwire, 5 frames each 200 ms": (our_agent, live_ours(5)),
    "avatarwire, 1 frame each 40 ms": (our_agent, live_ours(1)),
    "published SDK, 1 frame, then sleep(0.04)": (their_agent, live_theirs),
}
BURST = {"avatarwire": (our_agent, burst_ours), "published SDK": (their_agent, burst_theirs)}


async def measure() -> tuple[list[Panel], str]:
    """Time both; return them with the figures that do not fit the table."""
    live_costs: dict[str, float] = {}
    pace: dict[str, float] = {}
    bursts: dict[str, tuple[float, float]] = {}
    with drain() as base_url:
        for _ in range(7):
            for name, (make, stream_all) in BURST.items():
                result = await burst(make(base_url), stream_all)
                bursts[name] = tuple(map(min, result, bursts.get(name, result)))
        for _ in range(2):
            for name, (make, stream) in LIVE.items():
                cost, sent = await live([make(base_url) for _ in range(SESSIONS)], stream)
                if cost < live_costs.get(name, float("inf")):
                    live_costs[name], pace[name] = cost, sent
    lines = ["| live | sessions per core | audio sent per second |", "|---|--:|--:|"]
    lines += [f"| {name} | {1 / live_costs[name]:,.0f} | {pace[name]:.3f} s |" for name in LIVE]
    panels = [
        Panel("Burst: CPU per frame, streaming", {name: b[0] for name, b in bursts.items()}),
        Panel(
            "Burst: CPU per frame, start and stop included",
            {name: b[1] for name, b in bursts.items()},
        ),
        Panel("Live: CPU per session and second of audio", live_costs),
    ]
    return panels, "\n".join(lines)


if __name__ == "__main__":
    panels, per_core = asyncio.run(measure())
    write("sessions", "Whole sessions", panels, ["websockets", "httpx"], f"{NOTES}\n\n{per_core}")
