"""What a session keeps: a full garbage collection looks at each of its objects, and stops all."""

import asyncio
import json
import subprocess
import sys

SESSIONS = 20

#: Counted in a process of its own, with the platform in another one.
PROGRAM = f"""
import asyncio, gc, json, sys, tracemalloc
from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig

PCM = bytes(48_000)


def measure():
    gc.collect()
    return len(gc.get_objects()), tracemalloc.get_traced_memory()[0]


async def main():
    config = AvatarAgentConfig("any", "avatar", base_url=sys.argv[1])
    first = AvatarAgent(config, AgentListener())
    await first.start()  # what the process needs once is no session's
    async with first.audio_stream() as stream:
        await stream.write(PCM[:4800])
    agents, streams, kept = [], [], []
    await asyncio.sleep(0.5)
    tracemalloc.start()
    kept.append(measure())
    for _ in range({SESSIONS}):
        agents.append(AvatarAgent(config, AgentListener()))
        await agents[-1].start()
    await asyncio.sleep(0.5)
    kept.append(measure())
    for agent in agents:
        streams.append(agent.audio_stream())
        await streams[-1].__aenter__()
        await streams[-1].write(PCM)
    await asyncio.sleep(0.3)
    kept.append(measure())
    print(json.dumps(kept), flush=True)
    for agent in agents:
        await agent.stop()
    await first.stop()

asyncio.run(main())
"""


async def test_a_session_keeps_few_objects_and_little_memory(liveavatar_emulator) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, liveavatar_emulator.base_url, stdout=subprocess.PIPE
    )
    output, _ = await process.communicate()
    before, idle, speaking = json.loads(output)
    objects, memory_bytes = zip(before, idle, speaking, strict=True)
    assert (objects[1] - objects[0]) / SESSIONS <= 80
    assert (objects[2] - objects[0]) / SESSIONS <= 110
    assert (memory_bytes[1] - memory_bytes[0]) / SESSIONS <= 25_000
    assert (memory_bytes[2] - memory_bytes[0]) / SESSIONS <= 25_000
