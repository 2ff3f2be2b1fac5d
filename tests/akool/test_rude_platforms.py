"""Platforms that keep to the letter of a WebSocket, and to nothing else."""

import asyncio
import contextlib
import itertools
import socket
import time

import pytest
from recording import client_for
from websockets.asyncio.server import serve
from websockets.frames import Close, Frame, Opcode

from avatarwire import akool
from avatarwire.akool import StreamingAvatarClient

CONFIRMED = '{"v":2,"type":"system","mid":"s","pld":{"status":"websocket_connected"}}'
PONG = '{"v":2,"type":"pong","mid":"p","pld":{}}'


@contextlib.asynccontextmanager
async def platform(handle):
    """Confirm every connection and leave the rest to ``handle``; give its address."""

    over = asyncio.Event()

    async def greet(connection):
        await connection.send(CONFIRMED)
        await connection.send(PONG)
        await handle(connection)
        await over.wait()

    async with serve(greet, "127.0.0.1", 0, compression=None, close_timeout=0.1) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        over.set()


async def test_a_close_counts_at_once_even_when_the_platform_never_hangs_up(recorder):
    told = asyncio.Event()

    async def close_only(connection):
        await told.wait()
        connection.transport.write(
            Frame(Opcode.CLOSE, Close(1012, "restarting").serialize()).serialize(mask=False)
        )

    async with platform(close_only) as address:
        client = recorder.listen_to(StreamingAvatarClient("key", "avatar", server_url=address))
        await client.connect()
        begun_s = time.monotonic()
        told.set()
        await recorder.wait_for("disconnected")
        assert time.monotonic() - begun_s < 1  # not the two seconds of a close's limit
        assert not client.is_connected
        ((error,),) = recorder.named("error")
        assert error.code == 1012


async def test_a_platform_that_stops_reading_counts_as_gone(recorder):
    async def stop_reading(connection):
        connection.transport.pause_reading()

    async with platform(stop_reading) as address:
        client = recorder.listen_to(
            StreamingAvatarClient(
                "key", "avatar", server_url=address, heartbeat_interval=0.3, pong_timeout=0.1
            )
        )
        await client.connect()
        with pytest.raises(akool.ConnectionError, match=r"no pong within 0\.1 s"):
            await asyncio.wait_for(client.send_audio_stream(itertools.repeat(bytes(100_000))), 10)
        assert len(recorder.named("disconnected")) <= 1
        assert not client.is_connected
        await client.disconnect()
        assert len(recorder.named("disconnected")) == 1


async def test_a_stalled_loop_is_no_silent_platform(recorder):
    async def answer(connection):
        async for _ in connection:
            await asyncio.sleep(0.05)  # into the stall
            await connection.send(PONG)

    # In another thread the platform answers while this loop is stalled.
    loop = asyncio.get_running_loop()
    ports = loop.create_future()
    inner = {}

    async def serve_elsewhere():
        inner["over"] = asyncio.Event()
        inner["loop"] = asyncio.get_running_loop()
        async with platform(answer) as address:
            loop.call_soon_threadsafe(ports.set_result, address)
            await inner["over"].wait()

    thread = asyncio.create_task(asyncio.to_thread(asyncio.run, serve_elsewhere()))
    client = recorder.listen_to(
        StreamingAvatarClient(
            "key",
            "avatar",
            server_url=await ports,
            heartbeat_interval=0.1,
            pong_timeout=0.2,
            message_timeout=0.1,
        )
    )
    await client.connect()
    for _ in range(3):
        await asyncio.sleep(0.11)  # a ping has just left
        time.sleep(0.4)  # noqa: ASYNC251 - that is the stall
    await asyncio.sleep(0.05)
    assert recorder.named("error") == []
    await client.disconnect()
    inner["loop"].call_soon_threadsafe(inner["over"].set)
    await thread


async def test_a_platform_may_not_quote_the_token(client, recorder, session, emulator, caplog):
    emulator.faults.errors["set-params"] = (5001, "bad token rtc-secret-token")
    with pytest.raises(akool.AudioStreamError, match=r"bad token \*\*\*$"):
        await client.set_agora_params("app", "channel", "rtc-secret-token", "1")
    assert client.is_connected
    assert "rtc-secret-token" not in caplog.text


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_dialling_in_vain_leaves_nothing(closed_port):
    client = StreamingAvatarClient("key", "avatar", server_url=f"127.0.0.1:{closed_port}")
    for _ in range(3):
        with pytest.raises(akool.ConnectionError):
            await client.connect()
    await client.disconnect()
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not {name for name in names if name.startswith("avatarwire")}


async def test_connects_and_disconnects_in_any_order_leave_nothing(emulator, recorder):
    client = recorder.listen_to(client_for(emulator, reconnect=True))
    for turn in range(12):
        calls = [client.connect(), client.disconnect(), client.connect(), client.disconnect()]
        tasks = [asyncio.create_task(call) for call in calls]
        await asyncio.sleep(0.003 * turn)
        if turn % 3 == 0:
            tasks[turn % 4].cancel()
        for session in emulator.sessions:
            if turn % 4 == 1:
                session.cut()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
    await client.disconnect()
    assert not client.is_connected
    # Whatever was told, it was told in pairs.
    assert len(recorder.named("connected")) == len(recorder.named("disconnected"))
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not {name for name in names if name.startswith("avatarwire")}
