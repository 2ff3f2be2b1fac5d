"""What is sent, across connections."""

import asyncio
import pickle

import pytest

from avatarwire.codec import client_message
from avatarwire.errors import BacklogFullError, SessionLostError
from avatarwire.session.outbox import Outbox
from avatarwire.transport import memory_pair


def message(text):
    return client_message(text.encode(), text=True)


async def received(server, count):
    return [await asyncio.wait_for(server.receive(), 1) for _ in range(count)]


async def test_a_connection_is_written_to_directly():
    client, server = memory_pair()
    outbox = Outbox(100, keeps=True)
    outbox.connected(client)
    assert outbox.write_batch(message("one"))
    await outbox.writable()
    assert await received(server, 1) == ["one"]
    assert outbox.backlog_bytes == 0


async def test_what_is_written_in_the_gap_goes_out_first_and_in_order():
    outbox = Outbox(100, keeps=True)
    assert not outbox.write_batch(message("one"))
    assert not outbox.write_batch(message("two"))
    waiting = asyncio.create_task(outbox.writable())
    await asyncio.sleep(0)
    assert not waiting.done()
    client, server = memory_pair()
    outbox.connected(client)
    outbox.write_batch(message("three"))
    await asyncio.wait_for(waiting, 1)
    assert await received(server, 3) == ["one", "two", "three"]
    assert len(client.writes) == 2


async def test_what_could_not_be_written_is_written_again():
    first, _ = memory_pair()
    outbox = Outbox(100, keeps=True)
    outbox.connected(first)
    first.cut()
    assert not outbox.write_batch(message("one"))
    assert outbox.connection is None
    dead, _ = memory_pair()
    dead.cut()
    outbox.connected(dead)  # it breaks while the backlog is written
    assert outbox.backlog_bytes == len(message("one"))
    client, server = memory_pair()
    outbox.connected(client)
    assert await received(server, 1) == ["one"]


async def test_the_backlog_is_bounded():
    outbox = Outbox(2 * len(message("one")), keeps=True)
    outbox.write_batch(message("one"))
    outbox.write_batch(message("two"))
    with pytest.raises(BacklogFullError, match="reconnect_buffer_bytes") as full:
        outbox.write_batch(message("six"))
    assert isinstance(full.value, ConnectionError)
    assert full.value.waiting_bytes == full.value.limit_bytes == outbox.backlog_bytes
    assert pickle.loads(pickle.dumps(full.value)).limit_bytes == full.value.limit_bytes  # noqa: S301
    client, server = memory_pair()
    outbox.connected(client)
    assert await received(server, 2) == ["one", "two"]


async def test_the_end_reaches_everyone_who_waits():
    outbox = Outbox(100, keeps=True)
    outbox.write_batch(message("one"))
    waiting = asyncio.gather(outbox.writable(), outbox.wait_connected(), return_exceptions=True)
    await asyncio.sleep(0)
    assert outbox.ended(SessionLostError(1006, "gone")) == len(message("one"))
    for lost in await waiting:
        assert isinstance(lost, SessionLostError)
        assert (lost.code, lost.reason) == (1006, "gone")
    with pytest.raises(SessionLostError, match="gone"):
        outbox.write_batch(message("two"))
    with pytest.raises(SessionLostError, match="gone"):
        await outbox.writable()
    assert outbox.ended(SessionLostError(1000)) == 0
    with pytest.raises(SessionLostError, match="gone"):
        await outbox.wait_connected()


async def test_writable_outlives_a_connection():
    first, server = memory_pair(write_limit_bytes=4)
    server.pause()
    outbox = Outbox(100, keeps=True)
    outbox.connected(first)
    assert not outbox.write_batch(message("one"))
    waiting = asyncio.create_task(outbox.writable())
    await asyncio.sleep(0)
    first.cut()
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.disconnected()
    client, _ = memory_pair()
    outbox.connected(client)
    await asyncio.wait_for(waiting, 1)


async def test_without_another_connection_its_loss_is_the_end():
    first, _ = memory_pair()
    outbox = Outbox(100, keeps=False)
    outbox.connected(first)
    first.cut()
    with pytest.raises(SessionLostError):
        outbox.write_batch(message("one"))
    with pytest.raises(SessionLostError):
        await outbox.writable()
