"""Tasks of the library, on loops that begin tasks at once where Python can."""

import asyncio
import sys

import pytest

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire._tasks import begin_later
from avatarwire.akool import StreamingAvatarClient

TURN = bytes(24_000)


@pytest.fixture
async def eager_loop():
    if sys.version_info < (3, 12):
        pytest.skip("asyncio.eager_task_factory came with Python 3.12")
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    yield
    loop.set_task_factory(None)


async def begun(steps):
    steps.append("begun")


async def test_a_task_does_not_begin_before_its_maker_has_it():
    steps = []
    task = begin_later(begun(steps), name="late")
    assert steps == []
    assert task.get_name() == "late"
    await task
    assert steps == ["begun"]


async def test_not_where_tasks_begin_at_once_either(eager_loop):
    steps = []
    task = begin_later(begun(steps), name="late")
    assert steps == []
    await task


async def test_a_whole_session_where_tasks_begin_at_once(eager_loop, liveavatar_emulator):
    config = AvatarAgentConfig(
        "key", "avatar", base_url=liveavatar_emulator.base_url, reconnect=True,
        reconnect_base_delay=0.01,
    )  # fmt: skip
    connected = asyncio.Event()

    class Listener(AgentListener):
        async def on_reconnected(self, result):
            connected.set()

        async def on_closed(self, code, reason):
            await agent.stop()  # which is under way

    async with asyncio.timeout(20):
        agent = AvatarAgent(config, Listener())
        await asyncio.gather(agent.start(), asyncio.sleep(0))
        session = liveavatar_emulator.sessions[0]
        async with agent.audio_stream(paced=False) as stream:
            for _ in range(20):
                await stream.write(TURN)
        assert (await stream.wait_playout()).reason == "completed"
        session.cut()
        await connected.wait()
        async with agent.response_stream("r") as text:
            await text.send_chunk("still here")
        await asyncio.gather(agent.stop(), agent.stop())
    assert agent.ending.code == 1000


async def test_akool_where_tasks_begin_at_once(eager_loop, akool_emulator):
    client = StreamingAvatarClient("key", "avatar", akool_emulator.discovery_url)
    async with asyncio.timeout(20):
        await client.connect()
        await client.disconnect()
