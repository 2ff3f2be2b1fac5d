"""A peer that stops reading, one that falls silent, and a loop that stalls."""

import asyncio
import threading
import time
import tracemalloc

import pytest
from agents import Recorder, config_for

from avatarwire import (
    AgentListener,
    AvatarAgent,
    ConnectFailedError,
    NotConnectedError,
    SessionLost,
)
from avatarwire.emulator import LiveAvatarEmulator
from avatarwire.liveavatar.dialect import _checked_url

CHUNK = bytes(4800)  # 100 ms of 24 kHz mono
MEMORY_LIMIT_BYTES = 2_000_000


async def stop_reading(emulator, agent):
    emulator.faults.stop_reading_after = 1
    await agent.send_prompt("the last thing that it reads")


async def flood(agent):
    while True:
        await agent.send_prompt("x" * 60_000)


async def write_until_blocked(stream, limit_ms=2000):
    """Write copies, as a synthesiser would make them; give the call that waits."""
    while True:
        writing = asyncio.create_task(stream.write(bytearray(CHUNK)))
        done, _ = await asyncio.wait([writing], timeout=0.3)
        if not done and stream.queued_ms > limit_ms:
            return writing
        await writing


async def test_write_waits_at_its_limit(emulator, agent):
    await stop_reading(emulator, agent)
    async with agent.audio_stream(paced=False, buffer_ms=1000) as stream:
        writing = await write_until_blocked(stream, 1000)
        assert 1000 < stream.queued_ms <= 1000 + 100
        playout = await stream.interrupt()
        assert await writing is False
    assert playout.written_ms == playout.sent_ms + playout.dropped_ms
    assert playout.dropped_ms > 1000


@pytest.mark.parametrize("reconnect", [False, True])
async def test_senders_wait_at_the_connections_limit(emulator, listener, reconnect):
    agent = AvatarAgent(config_for(emulator, reconnect=reconnect), listener)
    await agent.start()
    await stop_reading(emulator, agent)

    async def send():
        while True:
            await agent.send_audio(CHUNK)

    sending = asyncio.create_task(send())
    frames = None
    async with asyncio.timeout(20):  # the system fills the peer's buffer step by step
        while agent.stats().audio_frames_sent != frames:
            frames = agent.stats().audio_frames_sent
            assert not (await asyncio.wait([sending], timeout=0.5))[0]
    count = agent.stats().buffered_bytes
    await asyncio.sleep(0.1)
    assert agent.stats().buffered_bytes == count < 200_000
    await agent.stop()
    with pytest.raises((SessionLost, NotConnectedError)):
        await sending


async def test_a_session_that_is_not_read_costs_less_than_two_megabytes(emulator):
    agents = [AvatarAgent(config_for(emulator), AgentListener()) for _ in range(10)]
    await asyncio.gather(*(agent.start() for agent in agents))
    for agent in agents:
        await stop_reading(emulator, agent)
    streams = [agent.audio_stream(paced=False) for agent in agents]
    for stream in streams:
        await stream.__aenter__()
    tracemalloc.start()
    writing = await asyncio.gather(*(write_until_blocked(stream) for stream in streams))
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert all(stream.written_ms > 2000 for stream in streams)
    assert grown / len(agents) < MEMORY_LIMIT_BYTES  # the emulator's buffers included
    await asyncio.gather(*(agent.stop() for agent in agents))
    assert await asyncio.gather(*writing) == [False] * len(agents)


async def test_an_interrupt_overtakes_what_is_queued(emulator, agent, session):
    await stop_reading(emulator, agent)
    async with agent.audio_stream("r", paced=False) as stream:
        writing = await write_until_blocked(stream)
        queued_ms = stream.queued_ms
        begun_s = time.monotonic()
        playout = await stream.interrupt()
        assert time.monotonic() - begun_s < 0.2
        assert await writing is False
    assert playout.dropped_ms == queued_ms > 2000
    emulator.faults.stop_reading_after = None
    await session.wait_for("response.audio.finish", 10)
    assert (await session.wait_for("control.interrupt"))["requestId"] == "r"
    await agent.send_prompt("after it")
    await session.wait_for("system.prompt")
    received = [entry for entry in session.transcript if entry.direction == "received"]
    (interrupted_at,) = (
        n for n, entry in enumerate(received)
        if entry.kind == "text" and '"control.interrupt"' in entry.data
    )  # fmt: skip
    assert all(entry.kind == "text" for entry in received[interrupted_at:])
    assert len(session.pcm) / 48 == playout.sent_ms


# Keepalive


async def test_a_silent_peer_is_noticed_in_time(emulator, listener):
    config = config_for(emulator, ping_interval=0.3, ping_timeout=0.4)
    async with AvatarAgent(config, listener) as agent:
        await stop_reading(emulator, agent)
        begun_s = time.monotonic()
        assert await listener.wait_for("on_closed") == (1011, "the peer is silent")
        assert time.monotonic() - begun_s < 0.3 + 0.4 + 1  # a busy machine may add the last


async def test_a_peer_that_takes_nothing_is_noticed_in_time(emulator, listener):
    config = config_for(emulator, ping_interval=0.3, ping_timeout=0.4)
    async with AvatarAgent(config, listener) as agent:
        await stop_reading(emulator, agent)
        begun_s = time.monotonic()
        with pytest.raises(SessionLost):
            await flood(agent)
        assert time.monotonic() - begun_s < 0.3 + 0.4 + 1
        assert (await listener.wait_for("on_closed"))[0] == 1011


@pytest.fixture
def elsewhere():
    """A platform whose loop goes on while ours is stalled."""
    ready, over = threading.Event(), threading.Event()
    emulator = None

    async def serve():
        nonlocal emulator
        async with LiveAvatarEmulator(greeting=None) as emulator:
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield emulator
    over.set()
    thread.join(10)
    assert not thread.is_alive()


async def test_a_stalled_loop_loses_no_session(elsewhere):
    listener = Recorder()
    config = config_for(elsewhere, ping_interval=0.1, ping_timeout=0.4)
    async with AvatarAgent(config, listener) as agent:
        for stall_s in (0.2, 0.7, 1.2):
            time.sleep(stall_s)  # noqa: ASYNC251 - that is the point
            await asyncio.sleep(0.6)
        await agent.send_prompt("still here")
        assert listener.named("on_closed") == []
        assert agent.is_running


# What is dialled, and what comes in


@pytest.mark.parametrize(
    ("url", "base_url", "is_dialled"),
    [
        ("ws://media.example/agent?token=t0ken", "https://platform.example", False),
        ("WS://media.example/agent?token=t0ken", "HTTPS://platform.example", False),
        ("wss://media.example/agent?token=t0ken", "https://platform.example", True),
        ("ws://127.0.0.1:1/agent?token=t0ken", "https://platform.example", True),
        ("ws://[::1]:1/agent?token=t0ken", "https://platform.example", True),
        ("ws://localhost.example/agent?token=t0ken", "https://platform.example", False),
        ("ws://media.example/agent?token=t0ken", "http://platform.example", True),
    ],
)
def test_an_encrypted_platform_names_no_unencrypted_address(url, base_url, is_dialled):
    if is_dialled:
        assert _checked_url(url, base_url) == url
        return
    with pytest.raises(ConnectFailedError, match="not encrypted") as refused:
        _checked_url(url, base_url)
    assert "t0ken" not in str(refused.value)


async def test_a_message_that_is_too_long_ends_the_connection(agent, session, listener):
    await session.send_raw_text("x" * (2**20 + 1))
    code, _ = await listener.wait_for("on_closed")
    assert code == 1009
