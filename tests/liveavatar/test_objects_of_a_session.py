"""What a session keeps: a full garbage collection looks at each of its objects, and stops all."""

import asyncio
import json
import subprocess
import sys
from importlib.metadata import version

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


#: What the collector has to find of sessions that started, met a gap and were stopped.
GARBAGE = f"""
import asyncio, gc, sys
from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig, transport

connections = []


async def connect(url, **options):
    connections.append(await transport.connect(url, **options))
    return connections[-1]


async def lead_a_life(config):
    agent = AvatarAgent(config, AgentListener(), connect=connect)
    await agent.start()
    connections.pop().transport.abort()
    while not connections:
        await asyncio.sleep(0.01)
    while not agent.stats().is_connected:
        await asyncio.sleep(0.01)
    connections.clear()
    await agent.stop()


async def main():
    config = AvatarAgentConfig(
        "any", "avatar", base_url=sys.argv[1], reconnect=True, reconnect_base_delay=0.01
    )
    first = AvatarAgent(config, AgentListener())
    await first.start()
    await lead_a_life(config)
    await asyncio.sleep(0.2)
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    for _ in range({SESSIONS}):
        await lead_a_life(config)
    await asyncio.sleep(0.2)
    gc.collect()
    print(len(gc.garbage), flush=True)
    gc.set_debug(0)
    await first.stop()

asyncio.run(main())
"""


async def test_a_session_leaves_nearly_no_garbage_in_circles(liveavatar_emulator) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", GARBAGE, liveavatar_emulator.base_url, stdout=subprocess.PIPE
    )
    output, _ = await process.communicate()
    # Five for each of its two connections are of asyncio's transport. In websockets 15 a connection
    # is in a circle with the generator that parses what it receives.
    assert int(output) / SESSIONS <= (140 if version("websockets").startswith("15.") else 16)


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
