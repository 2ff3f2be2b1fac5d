"""One message a call: beside picows' send of a ready-made message, and the published SDK's calls.

Run ``make .peers .seeds/liveavatar-0.2.2`` once, then this file with ``.peers`` in PYTHONPATH;
``--check`` fails when a ratio misses its floor. What counts is this process's CPU time, the
kernel's included; turns are short and interleaved, and the best turn of each is taken.
"""

import asyncio
import itertools
import platform
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib.metadata import version

from cpu import best_cpu
from drain import drain, websocket_url
from guard_sending import CHUNK, agent_ours, agent_seed, seed
from picows import WSListener, WSMsgType, ws_connect
from ratios import Ratio, floors, report

from avatarwire import AudioFrame

CALLS = 400
#: In one session of the published SDK, which gives up a peer that answers no ping in 20 s.
ROUNDS = 6
SESSIONS = 4
FIELDS = {"key": 1, "seq": 7, "timestamp": 280, "sample_rate": 1, "samples": 960, "payload": CHUNK}
MESSAGE = AudioFrame(**FIELDS).pack()
WORDS = "Good morning, how can I help you today?"


def calls(send: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[None]]:
    """Return what makes one call after the other."""

    async def run() -> None:
        for _ in range(CALLS):
            await send()

    return run


async def measure_calls() -> dict[str, float]:
    """Return the best CPU seconds per call of each."""
    async with AsyncExitStack() as stack:
        base_url = stack.enter_context(drain())
        ours = await stack.enter_async_context(agent_ours(base_url))
        theirs = agent_seed(base_url)
        await theirs.start()
        stack.push_async_callback(theirs.stop)
        picows, _ = await ws_connect(WSListener, websocket_url(base_url))
        stack.callback(picows.disconnect)
        our_frame, their_frame = AudioFrame(**FIELDS), seed.AudioFrame(**FIELDS)
        our_seq, their_seq = itertools.count(), itertools.count()

        async def ready_made() -> None:
            for _ in range(CALLS):
                picows.send(WSMsgType.BINARY, MESSAGE)

        async def one_by_one() -> None:
            for _ in range(CALLS):
                await ours.send_audio_frame(our_frame)

        return await best_cpu(
            {
                "frame": one_by_one,
                "picows": ready_made,
                "seed frame": calls(lambda: theirs.send_audio_frame(their_frame)),
                "chunk": calls(lambda: ours.send_response_chunk("q", "r", next(our_seq), 0, WORDS)),
                "seed chunk": calls(
                    lambda: theirs.send_response_chunk("q", "r", next(their_seq), 0, WORDS)
                ),
            },
            units=CALLS,
            rounds=ROUNDS,
        )


def measure() -> list[Ratio]:
    """Time all and pair them."""
    costs = [asyncio.run(measure_calls()) for _ in range(SESSIONS)]
    cost = {name: min(each[name] for each in costs) for name in costs[0]}
    least = floors("calls")
    return [
        Ratio(
            "send_audio_frame, to picows' send of the ready-made message",
            cost["frame"],
            cost["picows"],
            least["frame_to_picows"],
            at_most=True,
        ),
        Ratio("send_audio_frame", cost["frame"], cost["seed frame"], least["frame"]),
        Ratio("send_response_chunk", cost["chunk"], cost["seed chunk"], least["chunk"]),
    ]


if __name__ == "__main__":
    print(
        f"Python {platform.python_version()}, {platform.machine()}, "
        f"liveavatar-channel-sdk 0.2.2, picows {version('picows')}\n"
    )
    sys.exit(report(measure, theirs="other"))
