"""Whole sessions: what live streaming costs, and streaming as fast as it goes.

Each session is started through REST and the handshake, streams, and is stopped; the platform is a
process of its own that reads and discards.
"""

import asyncio
import json
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from cpu import cpu_of
from drain import drain
from guard_sending import (
    BURST_FRAMES,
    BURST_S,
    CHUNK,
    agent_ours,
    agent_seed,
    bursts,
    frame_seed,
    seed,
)
from report import Panel, write

from avatarwire import AvatarAgent

HERE = Path(__file__).parent
SESSIONS = 100
LIVE_S = 5.0

NOTES = f"""\
CPU time, user and system, of the sending process. *Live* is {SESSIONS} sessions at once for
{LIVE_S:g} s: with the published SDK the loop that its users write, one frame and `sleep(0.04)`;
with ours `send_audio` on absolute deadlines, in pieces of one, five or 25 frames (ours does not
pace, so the loop is hand-written here too). *Burst* is {BURST_S} s of audio, {BURST_FRAMES:,}
frames, sent by one session as fast as it goes: frame objects there, one-second pieces of PCM
here. Sides take turns, the best turn of each. The published SDK would offer compression, which
this receiver does not take: that is in its favour.

{SESSIONS} sessions do not fill a core, and a machine that falls idle between two frames charges
the process for waking up: most of the *live* figures on a virtual machine, theirs and ours alike.
The sessions per core are therefore a lower bound, extrapolated and not run, and the *live* ratios
move from run to run: 2.1x and 3.7x were seen for 25 frames a call. The start and stop of a session
weigh the same on both sides, and more than minutes of our streaming."""


async def live_seed(agent: seed.AvatarAgent, delay_s: float) -> float:
    """Stream in real time by sleeping after each frame; return the seconds of audio sent."""
    await asyncio.sleep(delay_s)
    end = time.monotonic() + LIVE_S
    seq = 0
    while time.monotonic() < end:
        await agent.send_audio_frame(frame_seed(seq, CHUNK))
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


LIVE = {
    "avatarwire, 25 frames each second": (agent_ours, live_ours(25)),
    "avatarwire, 5 frames each 200 ms": (agent_ours, live_ours(5)),
    "avatarwire, 1 frame each 40 ms": (agent_ours, live_ours(1)),
    "published SDK, 1 frame, then sleep(0.04)": (agent_seed, live_seed),
}


async def measure_live() -> tuple[dict[str, float], dict[str, float]]:
    """Return the CPU seconds per second of audio of each way, and the audio sent per second."""
    costs: dict[str, float] = {}
    pace: dict[str, float] = {}
    with drain() as base_url:
        for _ in range(2):
            for name, (make, stream) in LIVE.items():
                cost, sent = await live([make(base_url) for _ in range(SESSIONS)], stream)
                if cost < costs.get(name, float("inf")):
                    costs[name], pace[name] = cost, sent
    return costs, pace


def adapters() -> list[Panel]:
    """Measure each adapter in the environment of its framework, where make has made that."""
    panels = []
    for framework, name in (("livekit", "LiveKit Agents"), ("pipecat", "Pipecat")):
        python = HERE.parent / f".venv-{framework}" / "bin" / "python"
        if not python.exists():
            continue
        command = [python, HERE / "guard_adapters.py", framework, "--json"]
        output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        costs = json.loads(output.splitlines()[-1])
        panels.append(
            Panel(
                f"Speaking inside {name}: CPU per session and second of speech",
                {f"avatarwire.{framework}": costs["ours"], "an output by hand": costs["theirs"]},
            )
        )
    return panels


def run() -> list[Panel]:
    """Time both kinds of streaming, and write the results."""
    best = asyncio.run(bursts())
    costs, pace = asyncio.run(measure_live())
    panels = [
        Panel(
            "Burst: CPU per frame, streaming",
            {name: streaming_s for name, (streaming_s, _) in best.items()},
        ),
        Panel(
            "Burst: CPU per frame, start and stop included",
            {name: whole_s for name, (_, whole_s) in best.items()},
        ),
        Panel("Live: CPU per session and second of audio", costs),
        *adapters(),
    ]
    lines = ["| live | sessions per core | audio sent per second |", "|---|--:|--:|"]
    lines += [f"| {name} | {1 / costs[name]:,.0f} | {pace[name]:.3f} s |" for name in LIVE]
    notes = "\n".join([NOTES, "", *lines])
    write("sessions", "Whole sessions", panels, ["websockets", "httpx"], notes)
    return panels


if __name__ == "__main__":
    run()
