"""Run many sessions in one process, each speaking, and tell what they cost.

python many_sessions.py 200 --seconds 10
"""

import argparse
import asyncio
import contextlib
import os
import time
from importlib.util import find_spec

from avatarwire import AgentListener, AgentStats, AvatarAgent, AvatarAgentConfig

STARTS_AT_A_TIME = 20
SAMPLE_RATE = 24000


async def speak(gate: asyncio.Semaphore, seconds: float) -> AgentStats:
    """Run one whole session."""
    config = AvatarAgentConfig(
        api_key=os.environ.get("AVATARWIRE_API_KEY", "any"),
        avatar_id=os.environ.get("AVATARWIRE_AVATAR_ID", "any"),
        base_url=os.environ.get("AVATARWIRE_URL", "http://127.0.0.1:8080"),
        reconnect=True,
    )
    agent = AvatarAgent(config, AgentListener())
    async with gate:
        await agent.start()
    try:
        async with agent.audio_stream(sample_rate=SAMPLE_RATE) as stream:
            await stream.write(bytes(int(SAMPLE_RATE * seconds) * 2))
        await stream.wait_playout()
        return agent.stats()
    finally:
        await agent.stop()


async def main() -> None:
    """Run them all at once."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sessions", type=int, nargs="?", default=50)
    parser.add_argument("--seconds", type=float, default=5.0, help="of speech in each")
    arguments = parser.parse_args()

    gate = asyncio.Semaphore(STARTS_AT_A_TIME)
    begun_s = time.process_time()
    stats = await asyncio.gather(
        *(speak(gate, arguments.seconds) for _ in range(arguments.sessions))
    )
    cpu_s = time.process_time() - begun_s
    spoken_s = sum(one.audio_sent_ms for one in stats) / 1000
    print(f"{len(stats)} sessions, {spoken_s:.1f} s of speech")
    print(f"{cpu_s * 1000 / spoken_s:.2f} ms of CPU time for each second of speech")
    print(f"latest write: {max(one.lateness_max_ms for one in stats):.1f} ms after its deadline")
    print(f"underruns: {sum(one.underruns for one in stats)}")


with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C ends it
    if find_spec("uvloop"):
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())
