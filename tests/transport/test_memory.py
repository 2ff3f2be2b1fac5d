import asyncio

import pytest
from raw_peer import PING, TEXT, frame

from avatarwire.errors import SessionLostError
from avatarwire.transport import memory_pair


class Batches(list):
    ended_after = None

    def received(self, messages):
        self.append(messages)

    def ended(self):
        assert self.ended_after is None
        self.ended_after = len(self)


async def test_client_frames_arrive_as_messages():
    client, server = memory_pair()
    wire = frame(b"one") + frame("zwö".encode(), TEXT) + frame(b"", PING) + frame(bytes(70_000))
    assert client.write_batch(wire) is True
    assert client.writes == [wire]
    assert [await server.receive() for _ in range(3)] == [b"one", "zwö", bytes(70_000)]


async def test_server_frames_arrive_as_messages():
    client, server = memory_pair()
    server.write_batch(frame(b"hello", TEXT, mask=None))
    assert await client.receive() == "hello"


async def test_a_fragmented_message():
    client, server = memory_pair()
    client.write_batch(bytes([TEXT]) + frame(b"hel")[1:] + bytes([0x80]) + frame(b"lo")[1:])
    assert await server.receive() == "hello"


async def test_send_needs_no_framing():
    client, server = memory_pair()
    server.send("a")
    client.send(b"b")
    assert await client.receive() == "a"
    assert await server.receive() == b"b"


async def test_whoever_listens_gets_what_is_there_and_what_comes():
    client, server = memory_pair()
    batches = Batches()
    server.send("before")
    client.listen(batches)
    assert batches == [["before"]]
    server.write_batch(frame(b"1", mask=None) + frame(b"2", mask=None))
    server.send("3")
    assert batches == [["before"]]
    await asyncio.sleep(0)
    assert batches == [["before"], [b"1", b"2", "3"]]


async def test_a_paused_end_hands_nothing_on():
    client, server = memory_pair()
    batches = Batches()
    client.listen(batches)
    client.pause_reading()
    server.write_batch(frame(b"1", mask=None))
    server.send("2")
    await asyncio.sleep(0)
    assert batches == []
    assert server.buffered_bytes == 3
    client.resume_reading()
    await asyncio.sleep(0)
    assert [message for batch in batches for message in batch] == ["2", b"1"]


async def test_the_end_comes_behind_the_last_message():
    client, server = memory_pair()
    batches = Batches()
    client.listen(batches)
    client.pause_reading()
    waiting = asyncio.create_task(client.wait_closed())
    await asyncio.sleep(0)
    server.send("last")
    assert not waiting.done()
    await server.close(4000)
    await waiting
    assert batches == [["last"]]
    assert batches.ended_after == 1
    await client.wait_closed()


async def test_receive_waits():
    client, server = memory_pair()
    waiting = asyncio.create_task(client.receive())
    await asyncio.sleep(0)
    assert not waiting.done()
    server.send("now")
    assert await waiting == "now"


async def test_what_is_not_a_frame_is_the_test_s_fault():
    client, _ = memory_pair()
    with pytest.raises(AssertionError, match="RFC 6455"):
        client.write_batch(frame(b"unmasked", mask=None))


async def test_backpressure():
    client, server = memory_pair(write_limit_bytes=100)
    server.pause_reading()
    assert client.write_batch(frame(bytes(50))) is True
    await client.writable()
    assert client.write_batch(frame(bytes(60))) is False
    assert client.buffered_bytes == 122
    waiting = asyncio.create_task(client.writable())
    await asyncio.sleep(0)
    assert not waiting.done()
    server.resume_reading()
    await waiting
    assert client.buffered_bytes == 0
    assert client.write_batch(frame(b"")) is True
    assert [len(await server.receive()) for _ in range(3)] == [50, 60, 0]


@pytest.mark.parametrize("ender", ["client", "server"])
async def test_close(ender):
    client, server = memory_pair()
    assert (client.close_code, client.close_reason) == (None, "")
    server.send("last")
    await {"client": client, "server": server}[ender].close(4000, "done")
    await client.close(1000)
    assert (client.close_code, client.close_reason) == (4000, "done")
    assert (server.close_code, server.close_reason) == (4000, "done")
    assert await client.receive() == "last"
    for call in (client.receive, client.writable):
        with pytest.raises(SessionLostError) as lost:
            await call()
        assert (lost.value.code, lost.value.reason) == (4000, "done")
    for call in (client.write_batch, client.send):
        with pytest.raises(SessionLostError):
            call(b"")


async def test_cut_wakes_everyone():
    client, server = memory_pair(write_limit_bytes=0)
    server.pause_reading()
    client.write_batch(frame(b"x"))
    waiting = [asyncio.create_task(call()) for call in (client.receive, client.writable)]
    await asyncio.sleep(0)
    server.cut()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [result.code for result in results] == [1006, 1006]
