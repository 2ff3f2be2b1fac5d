"""One connection, over a pair in this process: what real sockets leave to chance."""

import asyncio
import json

import pytest

from avatarwire.akool import ConnectionError, StreamingAvatarClient  # noqa: A004
from avatarwire.errors import SessionLostError
from avatarwire.transport import memory_pair

CONFIRMED = json.dumps({"type": "system", "pld": {"status": "websocket_connected"}})
PONG = json.dumps({"type": "pong"})


class Line:
    """A client, the platform's end of its connection, and what its program was told."""

    def __init__(self, **changes):
        self.client_end, self.platform = memory_pair()
        self.received, self.lost = [], []
        self.client = StreamingAvatarClient(
            "sk-secret-key",
            "a b",
            session_id="s&1",
            server_url="10.0.0.1:81",
            connect=self.connect,
            message_timeout=0.05,
            **changes,
        )
        self.client.on_message = lambda message: self.received.append(message["type"])
        self.client.on_disconnected = lambda: self.lost.append(self.client.ending.code)

    async def connect(self, url, **options):
        self.dialled = url, options
        return self.client_end


@pytest.fixture
def line():
    return Line()


async def test_the_key_travels_in_the_header_alone(line):
    line.platform.send(CONFIRMED)
    await line.client.connect()
    url, options = line.dialled
    assert url == "ws://10.0.0.1:81/streamingAvatar/ws/v1?session_id=s%261&avatar_id=a+b"
    assert options["headers"] == {"api_key": "sk-secret-key"}
    assert options["ping_interval_s"] is None
    await line.client.disconnect()
    assert (line.received, line.lost) == (["system"], [1000])


async def test_an_end_right_after_the_confirmation_fails_the_opening(line):
    line.platform.send(CONFIRMED)
    line.platform.cut()
    with pytest.raises(ConnectionError, match="close code 1006") as failed:
        await line.client.connect()
    assert failed.value.code == 1006
    assert not line.client.is_connected
    assert (line.received, line.lost) == (["system"], [1006])


async def test_an_end_before_the_confirmation_is_told_to_the_opener_alone(line):
    line.platform.cut()
    with pytest.raises(ConnectionError):
        await line.client.connect()
    await asyncio.sleep(0.01)
    assert (line.received, line.lost) == ([], [])


async def test_nothing_is_heard_after_silence_has_ended_it():
    line = Line(pong_timeout=0.05)
    line.platform.send(CONFIRMED)
    await line.client.connect()
    async with asyncio.timeout(5):
        while not line.lost:
            line.platform.send(CONFIRMED)
            await asyncio.sleep(0.005)
    told = len(line.received)
    await asyncio.sleep(0.02)
    assert (line.lost, len(line.received)) == ([1011], told)
    assert line.platform.close_code == 1001
    await line.client.disconnect()


async def test_every_pong_puts_the_deadline_off():
    line = Line(pong_timeout=0.5, heartbeat_interval=0.02)
    line.platform.send(CONFIRMED)
    line.platform.send(PONG)
    await line.client.connect()
    for _ in range(30):  # in all, longer than the deadline
        assert json.loads(await line.platform.receive())["type"] == "ping"
        line.platform.send(PONG)
    assert line.lost == []
    await line.client.disconnect()


async def test_a_heartbeat_that_meets_a_dead_socket_leaves_it_to_the_reader(monkeypatch, caplog):
    line = Line(heartbeat_interval=0.01)
    line.platform.send(CONFIRMED)
    line.platform.send(PONG)
    await line.client.connect()

    def fail(wire):
        raise SessionLostError(1006)

    monkeypatch.setattr(line.client_end, "write_batch", fail)
    await asyncio.sleep(0.05)
    assert line.lost == []
    assert caplog.records == []
    line.platform.cut()
    async with asyncio.timeout(5):
        await line.client.wait_closed()
        while not line.lost:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert line.lost == [1006]


async def test_a_full_buffer_makes_the_sender_wait(line):
    line.platform.send(CONFIRMED)
    line.platform.send(PONG)
    await line.client.connect()
    line.platform.pause_reading()
    sending = asyncio.create_task(line.client.send_audio(bytes(75_000)))
    await asyncio.sleep(0)
    assert not sending.done()
    line.platform.resume_reading()
    await sending
    line.platform.pause_reading()
    sending = asyncio.create_task(line.client.send_audio(bytes(75_000)))
    await asyncio.sleep(0)
    line.platform.cut()
    with pytest.raises(ConnectionError) as failed:
        await sending
    assert failed.value.code == 1006
