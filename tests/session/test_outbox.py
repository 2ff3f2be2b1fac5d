"""What is sent, across connections."""

import asyncio
import pickle

import pytest

from avatarwire.codec import client_message
from avatarwire.errors import BacklogFullError, NotConnectedError, SessionLostError
from avatarwire.session.outbox import AUDIO, BINARY, TEXT, Outbox
from avatarwire.transport import memory_pair


def message(text):
    return client_message(text.encode(), text=True)


def outbox_of(limit_bytes, *, keeps):
    """An outbox of a session whose connection is lost."""
    outbox = Outbox()
    outbox.begin(limit_bytes, keeps=keeps)
    outbox.connected(memory_pair()[0])
    outbox.disconnected(SessionLostError(1006))
    return outbox


async def received(server, count):
    return [await asyncio.wait_for(server.receive(), 1) for _ in range(count)]


async def test_a_connection_is_written_to_directly():
    client, server = memory_pair()
    outbox = outbox_of(100, keeps=True)
    outbox.connected(client)
    assert outbox.write(message("one"), TEXT)
    await outbox.writable()
    assert await received(server, 1) == ["one"]
    assert outbox.backlog_bytes == 0


async def test_what_is_written_in_the_gap_goes_out_first_and_in_order():
    outbox = outbox_of(100, keeps=True)
    assert not outbox.write(message("one"), TEXT)
    assert not outbox.write(message("two"), TEXT)
    waiting = asyncio.create_task(outbox.writable())
    await asyncio.sleep(0)
    assert not waiting.done()
    client, server = memory_pair()
    outbox.connected(client)
    outbox.write(message("three"), TEXT)
    await asyncio.wait_for(waiting, 1)
    assert await received(server, 3) == ["one", "two", "three"]
    assert len(client.writes) == 2


async def test_what_could_not_be_written_is_written_again():
    first, _ = memory_pair()
    outbox = outbox_of(100, keeps=True)
    outbox.connected(first)
    first.cut()
    assert not outbox.write(message("one"), TEXT)
    assert outbox.connection is None
    dead, _ = memory_pair()
    dead.cut()
    outbox.connected(dead)  # it breaks while the backlog is written
    assert outbox.backlog_bytes == len(message("one"))
    client, server = memory_pair()
    outbox.connected(client)
    assert await received(server, 1) == ["one"]


async def test_the_backlog_is_bounded():
    outbox = outbox_of(2 * len(message("one")), keeps=True)
    outbox.write(message("one"), TEXT)
    outbox.write(message("two"), TEXT)
    with pytest.raises(BacklogFullError, match="reconnect_buffer_bytes") as full:
        outbox.write(message("six"), TEXT)
    assert isinstance(full.value, ConnectionError)
    assert full.value.waiting_bytes == full.value.limit_bytes == outbox.backlog_bytes
    assert pickle.loads(pickle.dumps(full.value)).limit_bytes == full.value.limit_bytes  # noqa: S301
    client, server = memory_pair()
    outbox.connected(client)
    assert await received(server, 2) == ["one", "two"]


async def test_the_end_reaches_everyone_who_waits():
    outbox = outbox_of(100, keeps=True)
    outbox.write(message("one"), TEXT)
    waiting = asyncio.gather(outbox.writable(), outbox.wait_connected(), return_exceptions=True)
    await asyncio.sleep(0)
    assert outbox.refuse(SessionLostError(1006, "gone"), is_ours=False) == len(message("one"))
    for lost in await waiting:
        assert isinstance(lost, SessionLostError)
        assert (lost.code, lost.reason) == (1006, "gone")
    with pytest.raises(SessionLostError, match="gone"):
        outbox.write(message("two"), TEXT)
    with pytest.raises(SessionLostError, match="gone"):
        await outbox.writable()
    assert outbox.refuse(SessionLostError(1000), is_ours=False) == 0
    with pytest.raises(SessionLostError, match="gone"):
        await outbox.wait_connected()


async def test_writable_outlives_a_connection():
    first, server = memory_pair(write_limit_bytes=4)
    server.pause_reading()
    outbox = outbox_of(100, keeps=True)
    outbox.connected(first)
    assert not outbox.write(message("one"), TEXT)
    waiting = asyncio.create_task(outbox.writable())
    await asyncio.sleep(0)
    first.cut()
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.disconnected(SessionLostError(1006))
    client, _ = memory_pair()
    outbox.connected(client)
    await asyncio.wait_for(waiting, 1)


async def test_without_another_connection_its_loss_is_the_end():
    first, _ = memory_pair()
    outbox = outbox_of(100, keeps=False)
    outbox.connected(first)
    first.cut()
    with pytest.raises(SessionLostError):
        outbox.write(message("one"), TEXT)
    with pytest.raises(SessionLostError):
        await outbox.writable()


async def test_there_is_nothing_to_send_on_before_a_session_and_after_ours():
    outbox = Outbox()
    with pytest.raises(NotConnectedError, match="call start"):
        outbox.write_text(b"one")
    outbox.begin(100, keeps=True)
    client, _ = memory_pair()
    outbox.connected(client)
    client.cut()
    outbox.disconnected(SessionLostError(1006))
    waiting = asyncio.create_task(outbox.writable())
    await asyncio.sleep(0)
    outbox.refuse(SessionLostError(1000, "stop() was called"), is_ours=True)
    with pytest.raises(SessionLostError, match="stop"):
        await waiting
    with pytest.raises(NotConnectedError, match="call start"):
        outbox.write_text(b"two")


async def test_messages_are_counted_by_kind_and_shown_as_they_were():
    outbox, seen = Outbox(), []
    outbox.begin(100, keeps=True)
    client, server = memory_pair()
    outbox.connected(client)
    end = outbox.tap(lambda *message: seen.append(message))
    outbox.tap(lambda *message: 1 / 0)  # one that fails stops nothing
    outbox.write_text("zwölf".encode())
    outbox.write(client_message(b"a") + client_message(b"b"), AUDIO, 2, (b"a", b"b"))
    outbox.write(client_message(b"c"), BINARY, 1, (b"c",))
    end()
    outbox.write_text(b"unseen")
    assert seen == [
        ("sent", "text", "zwölf"),
        ("sent", "binary", b"a"),
        ("sent", "binary", b"b"),
        ("sent", "binary", b"c"),
    ]
    assert (outbox.events, outbox.audio_frames, outbox.binaries) == (2, 2, 1)
    assert outbox.wire_bytes == sum(map(len, client.writes))
    assert await received(server, 5) == ["zwölf", b"a", b"b", b"c", "unseen"]
