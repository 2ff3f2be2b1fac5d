"""One connection, over a pair in this process: what real sockets leave to chance."""

import asyncio
import json

import pytest

from avatarwire import transport
from avatarwire.akool import ConnectionError  # noqa: A004
from avatarwire.akool.config import ClientConfig, Instance
from avatarwire.akool.connection import AkoolConnection
from avatarwire.akool.messages import EnvelopeWire
from avatarwire.errors import SessionLostError
from avatarwire.transport import memory_pair

CONFIRMED = json.dumps({"type": "system", "pld": {"status": "websocket_connected"}})
PONG = json.dumps({"type": "pong"})


class Line:
    """A connection, the platform's end of it, and what its owner was told."""

    def __init__(self, monkeypatch, **changes):
        client_end, self.platform = memory_pair()

        async def connect(url, **options):
            self.dialled = url, options
            return client_end

        monkeypatch.setattr(transport, "connect", connect)
        self.client_end = client_end
        self.received, self.lost = [], []
        self.config = ClientConfig(api_key="sk-secret-key", avatar_id="a b", session_id="s&1")
        for name, value in changes.items():
            setattr(self.config, name, value)
        self.ours = AkoolConnection(
            self.config,
            EnvelopeWire(),
            Instance("10.0.0.1", 81),
            lambda received: self.received.append(received.message["type"]),
            lambda error: self.lost.append(error.code),
        )


@pytest.fixture
def line(monkeypatch):
    return Line(monkeypatch)


async def test_the_key_travels_in_the_header_alone(line):
    line.platform.send(CONFIRMED)
    await line.ours.open()
    url, options = line.dialled
    assert url == "ws://10.0.0.1:81/streamingAvatar/ws/v1?session_id=s%261&avatar_id=a+b"
    assert options["headers"] == {"api_key": "sk-secret-key"}
    assert options["ping_interval_s"] is None
    await line.ours.close()
    assert (line.received, line.lost) == (["system"], [1000])


async def test_an_end_right_after_the_confirmation_fails_the_opening(line):
    line.platform.send(CONFIRMED)
    line.platform.cut()
    with pytest.raises(ConnectionError, match="close code 1006") as failed:
        await line.ours.open()
    assert failed.value.code == 1006
    assert (line.ours.is_open, line.received, line.lost) == (False, ["system"], [1006])


async def test_an_end_before_the_confirmation_is_told_to_the_opener_alone(line):
    line.platform.cut()
    with pytest.raises(ConnectionError):
        await line.ours.open()
    assert (line.received, line.lost) == ([], [])


async def test_nothing_is_heard_after_silence_has_ended_it(monkeypatch):
    line = Line(monkeypatch, pong_timeout=0.05)
    line.platform.send(CONFIRMED)
    await line.ours.open()
    async with asyncio.timeout(5):
        while not line.lost:
            line.platform.send(CONFIRMED)
            await asyncio.sleep(0.005)
    told = len(line.received)
    await asyncio.sleep(0.02)
    assert (line.lost, len(line.received)) == ([1011], told)
    assert line.platform.close_code == 1001
    await line.ours.close()


async def test_every_pong_puts_the_deadline_off(monkeypatch):
    line = Line(monkeypatch, pong_timeout=0.5, heartbeat_interval=0.02)
    line.platform.send(CONFIRMED)
    line.platform.send(PONG)
    await line.ours.open()
    for _ in range(30):  # in all, longer than the deadline
        assert json.loads(await line.platform.receive())["type"] == "ping"
        line.platform.send(PONG)
    assert line.lost == []
    await line.ours.close()


async def test_a_heartbeat_that_meets_a_dead_socket_leaves_it_to_the_reader(monkeypatch):
    line = Line(monkeypatch, heartbeat_interval=0.01)
    line.platform.send(CONFIRMED)
    line.platform.send(PONG)
    await line.ours.open()

    def fail(wire):
        raise SessionLostError(1006)

    monkeypatch.setattr(line.client_end, "write_batch", fail)
    await asyncio.sleep(0.05)
    assert line.ours._heartbeat.done()
    assert line.ours._heartbeat.exception() is None
    line.platform.cut()
    async with asyncio.timeout(5):
        await asyncio.wait([line.ours._link._task])
    assert line.lost == [1006]


async def test_a_full_buffer_makes_the_sender_wait(line):
    line.platform.send(CONFIRMED)
    line.platform.send(PONG)
    await line.ours.open()
    line.platform.pause()
    sending = asyncio.create_task(line.ours.send(b"x" * 100_000))
    await asyncio.sleep(0)
    assert not sending.done()
    line.platform.resume()
    await sending
    line.platform.pause()
    sending = asyncio.create_task(line.ours.send(b"x" * 100_000))
    await asyncio.sleep(0)
    line.platform.cut()
    with pytest.raises(ConnectionError) as failed:
        await sending
    assert failed.value.code == 1006
