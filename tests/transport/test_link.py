import asyncio
import logging

import pytest
from raw_peer import frame, raw_server

from avatarwire.errors import ConnectFailedError, NotConnectedError, SessionLostError
from avatarwire.transport import Link, connect, memory_pair


class Record:
    def __init__(self):
        self.messages = []
        self.ends = []
        self.ended = asyncio.Event()
        self.loop_ended = 0

    def receive(self, messages):
        self.messages.extend(messages)

    def link_ended(self, code, reason):
        self.ends.append((code, reason))
        self.ended.set()

    async def loop_ends(self):
        self.loop_ended += 1


def make_link(receive=None):
    client, server = memory_pair()
    record = Record()
    if receive is not None:
        record.receive = receive

    async def dial():
        return client

    link = Link(dial, record)
    return link, server, record


def no_tasks_left():
    return asyncio.all_tasks() == {asyncio.current_task()}


async def test_messages_in_order_then_one_end():
    link, server, record = make_link()
    await link.open()
    for number in range(100):
        server.send(str(number))
    await server.close(4001, "enough")
    await record.ended.wait()
    assert record.messages == [str(number) for number in range(100)]
    await link.close()
    await link.close()
    assert record.ends == [(4001, "enough")]
    assert no_tasks_left()


async def test_our_close():
    link, server, record = make_link()
    await link.open()
    await link.close(1000, "bye")
    assert record.ends == [(1000, "bye")]
    assert server.close_code == 1000
    assert no_tasks_left()


async def test_writes_go_to_the_connection():
    link, server, _ = make_link()
    with pytest.raises(NotConnectedError):
        _ = link.connection
    await link.open()
    link.connection.write_batch(frame(b"x"))
    assert await server.receive() == b"x"
    await link.close()
    with pytest.raises(SessionLostError):
        link.connection.write_batch(frame(b"x"))


async def test_close_from_a_task_that_a_handler_started():
    tasks = []

    def on_messages(_):
        tasks.append(asyncio.create_task(link.close(1000)))

    link, server, record = make_link(on_messages)
    await link.open()
    server.send("stop")
    await record.ended.wait()
    await asyncio.gather(*tasks)
    assert record.ends == [(1000, "")]
    assert no_tasks_left()


async def test_close_from_a_task_that_the_end_started():
    client, server = memory_pair()
    tasks = []

    async def dial():
        return client

    def on_end(code, reason):
        tasks.append(asyncio.create_task(link.close()))

    record = Record()
    record.link_ended = on_end
    link = Link(dial, record)
    await link.open()
    server.cut()
    await link.close()
    await asyncio.gather(*tasks)
    assert len(tasks) == 1
    assert no_tasks_left()


async def test_concurrent_closes():
    link, _, record = make_link()
    await link.open()
    await asyncio.gather(*(link.close() for _ in range(5)))
    assert record.ends == [(1000, "")]


async def test_close_before_open():
    link, _, record = make_link()
    await link.close()
    assert record.ends == []


async def test_opens_once():
    link, _, _ = make_link()
    await link.open()
    with pytest.raises(RuntimeError, match="once"):
        await link.open()
    await link.close()


async def test_a_dial_that_fails():
    record = Record()

    async def dial():
        raise ConnectFailedError("no")

    link = Link(dial, record)
    with pytest.raises(ConnectFailedError):
        await link.open()
    await link.close()
    assert record.ends == []
    assert no_tasks_left()


def stuck_link(record):
    dialling = asyncio.Event()

    async def dial():
        dialling.set()
        await asyncio.Event().wait()

    return Link(dial, record), dialling


@pytest.mark.parametrize("started", [True, False])
async def test_close_while_dialling(started):
    record = Record()
    link, dialling = stuck_link(record)
    opening = asyncio.create_task(link.open())
    if started:
        await dialling.wait()
    else:
        await asyncio.sleep(0)
        assert not dialling.is_set()
    await link.close()
    with pytest.raises(SessionLostError) as lost:
        async with asyncio.timeout(5):
            await opening
    assert lost.value.code == 1000
    assert record.ends == []
    assert no_tasks_left()


async def test_a_cancelled_open_leaves_nothing():
    record = Record()
    link, dialling = stuck_link(record)
    opening = asyncio.create_task(link.open())
    await dialling.wait()
    opening.cancel()
    await asyncio.wait([opening])
    assert opening.cancelled()
    assert record.ends == []
    assert no_tasks_left()


async def test_a_cancelled_reader_closes_the_connection():
    link, server, record = make_link()
    await link.open()
    (reader,) = asyncio.all_tasks() - {asyncio.current_task()}
    reader.cancel()
    await asyncio.wait([reader])
    assert server.close_code == 1000
    assert (record.loop_ended, record.ends) == (1, [])


async def test_a_handler_that_raises_ends_nothing(caplog):
    seen = []

    def on_messages(messages):
        seen.extend(messages)
        raise SessionLostError(4000, "not the connection's")

    link, server, record = make_link(on_messages)
    await link.open()
    server.send("a")
    server.send("b")
    await server.close(1001)
    await record.ended.wait()
    assert seen == ["a", "b"]
    assert record.ends == [(1001, "")]
    assert [r.levelno for r in caplog.records] == [logging.ERROR] * 2


async def test_an_end_handler_that_raises_is_logged(caplog):
    client, server = memory_pair()

    async def dial():
        return client

    def on_end(code, reason):
        raise ValueError("in the handler")

    record = Record()
    record.link_ended = on_end
    link = Link(dial, record)
    await link.open()
    server.cut()
    await link.close()
    assert "end failed" in caplog.text


async def test_over_a_socket():
    async with raw_server() as server:
        record = Record()
        link = Link(lambda: connect(server.url(), open_timeout_s=5), record)
        await link.open()
        peer = await server.peers.get()
        peer.writer.write(frame(b"hi", mask=None))
        peer.writer.write(frame((4002).to_bytes(2, "big") + b"go", 8, mask=None))
        peer.writer.write_eof()
        await record.ended.wait()
        assert record.messages == [b"hi"]
        assert record.ends == [(4002, "go")]
        await link.close()


async def test_text_comes_alone_and_binary_messages_together():
    calls = []
    link, server, record = make_link(calls.append)
    await link.open()
    for message in ("a", "b", b"1", b"2", "c", b"3"):
        server.send(message)
    await server.close()
    await record.ended.wait()
    assert calls == [["a"], ["b"], [b"1", b"2"], ["c"], [b"3"]]
