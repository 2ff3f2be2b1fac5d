"""Many live sessions in one process: CPU, memory and underruns, from 100 to 10,000.

Run it with ``make scale``: it takes some minutes and writes ``benchmarks/results/scale.md`` and
``.svg``. Every point is a process of its own on the first core, the receiver one on the last.
"""

import asyncio
import gc
import json
import math
import os
import random
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from drain import drain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SECOND = random.Random(1).randbytes(48_000)  # noqa: S311
#: Sessions begin to speak one after the other: within a second, or no more than so many in one.
BEGIN_PER_S = 2500
#: What is measured begins when all have begun and this has passed, and is over before any ends.
SETTLE_S = 0.5
MEASURED_S = 5.5
STARTS_AT_ONCE = 50
POINT_LIMIT_S = 180
OURS, UVLOOP, SEED = "avatarwire", "avatarwire, uvloop", "published SDK, sleep(0.04)"
POINTS = {
    OURS: (100, 300, 1000, 2000),
    SEED: (100, 300),
    UVLOOP: (100, 300, 1000, 2000, 5000, 10_000),
}
COMPARED_AT, SEED_AT = 2000, 300
ROUNDS = 5

NOTES = f"""\
The whole stack: an agent each, an audio stream with its defaults (400 ms of lead, 200 ms a write),
one pacer, WebSocket over loopback; with the published SDK the loop that its users write. CPU is
user and system of the sending process, on one core; the receiver reads and discards on another.
Memory is resident, what the process needs once left out, and so is queued PCM (all sessions share
theirs). Sessions begin to speak within a second, or {BEGIN_PER_S:,} in each; then
{MEASURED_S:g} s are measured. Starts and stops are not in the figures, nor is the WebSocket
keepalive, which is turned off on both sides here. The garbage collector is as Python sets it. An
underrun is a write that came after all sound before it had been played, at any time; for the
published SDK, a frame sent more than a frame late. The two points that are compared are measured
{ROUNDS} times in turn: the ratio is the median of the rounds; the table has the round of the lowest
CPU, with the most underruns of any."""


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement.

    Attributes:
        side: who streamed.
        sessions: how many at once.
        cpu_ms: CPU per session and second, user and system, in milliseconds.
        core: share of one core.
        memory_kb: resident memory per session, started and streaming.
        underruns: how often a session ran out of sound at the platform.
        late_ms: 99th percentile of the delay of a write; None where nothing measures it.
        sent_s: seconds of audio sent per second of time.
    """

    side: str
    sessions: int
    cpu_ms: float
    core: float
    memory_kb: float
    underruns: int
    late_ms: float | None
    sent_s: float


def resident_bytes() -> int:
    """Return what this process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def our_agents(base_url: str, count: int) -> list[Any]:
    """Make agents; nothing answers pings here, and their cost is in no side's figures."""
    from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig  # noqa: PLC0415

    config = AvatarAgentConfig("key", "avatar", base_url=base_url, ping_interval=3600.0)
    return [AvatarAgent(config, AgentListener()) for _ in range(count)]


def seed_agents(base_url: str, count: int) -> list[Any]:
    """Make the published SDK's."""
    from sending import agent_seed  # noqa: PLC0415

    return [agent_seed(base_url) for _ in range(count)]


async def speak_ours(agent: Any, seconds: int, totals: dict[str, Any]) -> None:  # noqa: ANN401
    """Stream live through an audio stream with its defaults."""
    async with agent.audio_stream(buffer_ms=400) as stream:
        for _ in range(seconds):
            await stream.write(SECOND)
    totals["underruns"] += stream.underruns
    totals["sent_s"] += stream.sent_ms / 1000
    totals["late"].append(stream.lateness.percentile_ms(99))


async def speak_seed(agent: Any, seconds: int, totals: dict[str, Any]) -> None:  # noqa: ANN401
    """Stream live by the loop that the published SDK's users write."""
    from sending import frame_seed  # noqa: PLC0415

    begun = time.monotonic()
    sent = 0
    while time.monotonic() - begun < seconds:
        totals["underruns"] += time.monotonic() - begun > sent * 0.04 + 0.04
        at = sent % 25 * 1920
        await agent.send_audio_frame(frame_seed(sent % 4096, SECOND[at : at + 1920]))
        sent += 1
        await asyncio.sleep(0.04)
    totals["sent_s"] += sent * 0.04


async def measure(side: str, base_url: str, count: int) -> Point:
    """Start all sessions, stream with all of them, and measure in the middle of it."""
    agents = (seed_agents if side == SEED else our_agents)(base_url, count + 1)
    await agents[0].start()  # what the process needs once is no session's
    gc.collect()
    empty_bytes = resident_bytes()
    gate = asyncio.Semaphore(STARTS_AT_ONCE)

    async def start(agent: Any) -> None:  # noqa: ANN401
        async with gate:
            await agent.start()

    await asyncio.gather(*(start(agent) for agent in agents[1:]))
    gc.collect()

    speak: Callable[[Any, int, dict[str, Any]], Awaitable[None]]
    speak = speak_seed if side == SEED else speak_ours
    totals: dict[str, Any] = {"underruns": 0, "sent_s": 0.0, "late": []}

    all_begin_s = max(1.0, count / BEGIN_PER_S)
    live_s = math.ceil(all_begin_s + SETTLE_S + MEASURED_S)

    async def begin(index: int) -> None:
        await asyncio.sleep(index / count * all_begin_s)
        await speak(agents[index + 1], live_s, totals)

    speaking = [asyncio.create_task(begin(index)) for index in range(count)]
    await asyncio.sleep(all_begin_s + SETTLE_S)
    cpu_begun, begun = time.process_time(), time.monotonic()
    await asyncio.sleep(MEASURED_S)
    cpu_s, took_s = time.process_time() - cpu_begun, time.monotonic() - begun
    memory = (resident_bytes() - empty_bytes) / count
    await asyncio.gather(*speaking)
    late = sorted(totals["late"])
    return Point(
        side=side,
        sessions=count,
        cpu_ms=cpu_s / took_s / count * 1000,
        core=cpu_s / took_s,
        memory_kb=memory / 1024,
        underruns=totals["underruns"],
        late_ms=late[len(late) * 99 // 100] if late else None,
        sent_s=totals["sent_s"] / count / live_s,
    )


def child(side: str, base_url: str, count: int) -> None:
    """Measure one point in this process; print it, and go without closing a thing."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))
    work = measure(side, base_url, count)
    if side == UVLOOP:
        import uvloop  # noqa: PLC0415

        point = uvloop.run(work)
    else:
        point = asyncio.run(work)
    print(json.dumps(asdict(point)), flush=True)
    os._exit(0)  # stopping ten thousand sessions is no part of this


def rounds() -> list[Point]:
    """Measure all points, each in a process of its own: first those compared, in turn."""
    compared = [(OURS, COMPARED_AT), (SEED, SEED_AT)]
    others = [(side, count) for side, counts in POINTS.items() for count in counts]
    others = [point for point in others if point not in compared]
    measured = []
    for side, count in compared * ROUNDS + others:
        point = _point(side, count)
        if point is not None:
            print(_row(point), flush=True)
            measured.append(point)
    return measured


def best(measured: list[Point]) -> list[Point]:
    """Return each point once: the round of the lowest CPU, with the most underruns of any."""
    points = []
    for side, counts in POINTS.items():
        for count in counts:
            of_it = [point for point in measured if (point.side, point.sessions) == (side, count)]
            if of_it:
                cheapest = min(of_it, key=lambda point: point.cpu_ms)
                points.append(replace(cheapest, underruns=max(p.underruns for p in of_it)))
    return points


def _point(side: str, count: int) -> Point | None:
    with drain(cpu=max(os.sched_getaffinity(0))) as base_url:
        try:
            done = subprocess.run(
                [sys.executable, __file__, side, base_url, str(count)],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
                timeout=POINT_LIMIT_S,
            )
        except subprocess.SubprocessError as exc:
            print(f"{side}, {count:,} sessions: not measured ({exc})", flush=True)
            return None
    return Point(**json.loads(done.stdout.splitlines()[-1]))


def _row(point: Point) -> str:
    late = "-" if point.late_ms is None else f"{point.late_ms:.0f} ms"
    return (
        f"| {point.side} | {point.sessions:,} | {point.cpu_ms:.3f} ms | {point.core:.0%} "
        f"| {point.memory_kb:,.0f} KB | {point.underruns:,} | {late} | {point.sent_s:.3f} s |"
    )


def write(measured: list[Point]) -> None:
    """Write the table and the curves."""
    from report import RESULTS, machine  # noqa: PLC0415 - it needs what children do without

    columns = (
        "",
        "sessions",
        "CPU per session and second",
        "of a core",
        "memory per session",
        "underruns",
        "99 % of writes within",
        "audio sent per second",
    )
    head = f"| {' | '.join(columns)} |\n|---{'|--:' * (len(columns) - 1)}|"
    points = best(measured)
    rows = "\n".join(_row(point) for point in points)
    ours = [p for p in measured if (p.side, p.sessions) == (OURS, COMPARED_AT)]
    seed = [p for p in measured if (p.side, p.sessions) == (SEED, SEED_AT)]
    cpu = [there.cpu_ms / here.cpu_ms for here, there in zip(ours, seed, strict=True)]
    in_rounds = ", ".join(f"{each:.1f}" for each in cpu)
    ratio = (
        f"{COMPARED_AT:,} sessions here against {SEED_AT:,} there: {median(cpu):.1f} times less "
        f"CPU per session and second ({in_rounds} in the rounds), "
        f"{seed[0].memory_kb / ours[0].memory_kb:.0f} times less memory."
    )
    text = (
        f"# Live sessions in one process\n\n{machine(['websockets', 'uvloop'])}\n\n{NOTES}\n\n"
        f"{ratio}\n\n{head}\n{rows}\n\n![CPU and memory by sessions](scale.svg)\n"
    )
    (RESULTS / "scale.md").write_text(text, "utf-8")
    _plot(RESULTS / "scale.svg", points)
    print(f"\n{ratio}")


def _plot(path: Path, measured: list[Point]) -> None:
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "scale", "font.size": 10})
    figure = Figure(figsize=(9, 4), layout="constrained")
    figure.suptitle("Live sessions in one process (lower is better)", fontweight="bold")
    cpu, memory = figure.subplots(1, 2)
    colours = {OURS: "#1f6feb", UVLOOP: "#8250df", SEED: "#9aa4b2"}
    for side in POINTS:
        mine = [point for point in measured if point.side == side]
        sessions = [point.sessions for point in mine]
        style = {"marker": "o", "label": side, "color": colours[side]}
        cpu.plot(sessions, [point.cpu_ms for point in mine], **style)
        memory.plot(sessions, [point.memory_kb for point in mine], **style)
    for axis, title in (
        (cpu, "CPU per session and second, ms"),
        (memory, "memory per session, KB"),
    ):
        axis.set(xscale="log", yscale="log", xlabel="sessions")
        axis.set_title(title, loc="left", fontsize=10)
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    cpu.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    else:
        write(rounds())
