"""Times here are bounds from below: a link may be slower than asked for, never faster."""

import array
import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import asynccontextmanager

import pytest

from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig
from avatarwire.akool import StreamingAvatarClient
from avatarwire.emulator import (
    AkoolEmulator,
    AkoolFaults,
    Faults,
    LinkFaults,
    LiveAvatarEmulator,
    Stall,
)
from avatarwire.emulator.slow_link import SlowLink, receive_buffer_bytes

PCM = bytes(range(256)) * 200


class Echo(asyncio.Protocol):
    """Sends back what it is sent."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.arrived: list[tuple[float, int]] = []
        self.pauses = 0
        self.has_ended = False
        self.is_lost = False
        self.transport: asyncio.Transport

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.arrived.append((time.monotonic(), len(self.received)))
        self.transport.write(data)

    def pause_writing(self) -> None:
        self.pauses += 1

    def resume_writing(self) -> None:
        self.pauses -= 1

    def eof_received(self) -> bool:
        self.has_ended = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_true():  # noqa: ASYNC110 - what it looks at has no event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def echo(faults: LinkFaults):
    """An echo behind a slow link, and a client's connection to it."""
    servers: list[Echo] = []

    def accept() -> SlowLink:
        servers.append(Echo())
        return SlowLink(servers[-1], lambda: faults)

    listener = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    host, port = listener.sockets[0].getsockname()
    reader, writer = await asyncio.open_connection(host, port)
    try:
        await until(lambda: bool(servers))
        yield servers[0], reader, writer
    finally:
        writer.close()
        listener.close()
        await until(lambda: servers[0].is_lost)


async def test_a_link_that_is_not_slow_hands_on_at_once() -> None:
    async with echo(LinkFaults()) as (server, reader, writer):
        writer.write(PCM)
        assert await reader.readexactly(len(PCM)) == PCM
        assert server.received == PCM


async def test_it_carries_no_more_than_its_bandwidth() -> None:
    async with echo(LinkFaults(bandwidth_bit_s=2e6)) as (server, reader, writer):
        begun = time.monotonic()
        writer.write(PCM)
        assert await reader.readexactly(len(PCM)) == PCM
        assert time.monotonic() - begun >= len(PCM) * 8 / 2e6
        for at, received_bytes in server.arrived:
            assert received_bytes * 8 / 2e6 <= at - begun + 0.001


async def test_both_directions_have_the_latency_and_jitter_keeps_the_order() -> None:
    faults = LinkFaults(latency_s=0.05, jitter_s=0.04)
    async with echo(faults) as (_server, reader, writer):
        begun = time.monotonic()
        for at in range(0, len(PCM), 700):
            writer.write(PCM[at : at + 700])
            await asyncio.sleep(0)
        assert await reader.readexactly(len(PCM)) == PCM
        assert time.monotonic() - begun >= 2 * (0.05 - 0.04)


async def test_nothing_passes_while_it_stalls() -> None:
    async with echo(LinkFaults(stalls=[Stall(0.3, 0.0)])) as (server, reader, writer):
        begun = time.monotonic()
        writer.write(PCM)
        assert await reader.readexactly(len(PCM)) == PCM
        assert server.arrived[0][0] - begun >= 0.2  # it opened a moment before


async def test_a_stall_on_demand_holds_what_is_on_its_way() -> None:
    async with echo(LinkFaults(latency_s=0.05)) as (server, reader, writer):
        writer.write(PCM)
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        begun = time.monotonic()
        server.transport.stall(0.3)
        assert await reader.readexactly(len(PCM)) == PCM
        assert time.monotonic() - begun >= 0.3


@pytest.mark.skipif(sys.platform != "linux", reason="TIOCOUTQ of a socket is Linux's")
async def test_the_clients_own_kernel_holds_what_the_link_has_not_carried() -> None:
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    async with echo(LinkFaults(bandwidth_bit_s=1e5)) as (server, _reader, writer):
        writer.write(PCM)
        await until(lambda: bool(server.received))
        unread = array.array("i", [0])
        fcntl.ioctl(writer.get_extra_info("socket").fileno(), termios.TIOCOUTQ, unread)
        assert unread[0] > 0


async def test_the_end_comes_after_what_was_sent_before_it() -> None:
    async with echo(LinkFaults(bandwidth_bit_s=4e6)) as (server, reader, writer):
        writer.write(PCM)
        writer.write_eof()
        assert await reader.read() == PCM
        assert server.has_ended
        await until(lambda: server.is_lost)


async def test_an_abort_waits_for_nothing() -> None:
    async with echo(LinkFaults(bandwidth_bit_s=1e4)) as (server, _reader, writer):
        writer.write(b"hello")
        await until(lambda: bool(server.received))
        server.transport.write(PCM)
        server.transport.abort()
        assert server.transport.is_closing()
        await until(lambda: server.is_lost)
        server.transport.write(b"too late")


async def test_a_server_that_writes_faster_is_asked_to_pause() -> None:
    async with echo(LinkFaults(bandwidth_bit_s=2e6)) as (server, reader, _writer):
        server.transport.writelines([PCM, PCM])
        assert server.pauses == 1
        assert server.transport.get_write_buffer_size() == 2 * len(PCM)
        assert await reader.readexactly(2 * len(PCM)) == 2 * PCM
        assert server.pauses == 0


async def test_a_server_that_pauses_gets_nothing_until_it_goes_on() -> None:
    async with echo(LinkFaults(latency_s=0.01)) as (server, reader, writer):
        server.transport.pause_reading()
        writer.write(PCM)
        await asyncio.sleep(0.05)
        assert not server.received
        server.transport.resume_reading()
        assert await reader.readexactly(len(PCM)) == PCM


async def test_what_is_changed_counts_from_then_on() -> None:
    faults = LinkFaults()
    async with echo(faults) as (_server, reader, writer):
        writer.write(PCM)
        await reader.readexactly(len(PCM))
        faults.latency_s = 0.1
        begun = time.monotonic()
        writer.write(PCM)
        await reader.readexactly(len(PCM))
        assert time.monotonic() - begun >= 0.2
        faults.latency_s = 0.0
        writer.write(PCM)
        assert await reader.readexactly(len(PCM)) == PCM


def test_the_receive_buffer_of_a_link_that_stalls_is_small() -> None:
    assert receive_buffer_bytes(LinkFaults(stalls=[Stall(3.0, 5.0)])) == 4096


@pytest.mark.parametrize(
    ("bandwidth_bit_s", "expected_bytes"), [(None, None), (350e3, 4096), (8e6, 50_000)]
)
def test_the_receive_buffer_holds_a_twentieth_of_a_second(bandwidth_bit_s, expected_bytes) -> None:
    assert receive_buffer_bytes(LinkFaults(bandwidth_bit_s=bandwidth_bit_s)) == expected_bytes


async def test_speech_over_a_slow_link_arrives_whole_at_live_avatar() -> None:
    faults = Faults(bandwidth_bit_s=1e6, latency_s=0.01, jitter_s=0.01, stalls=[Stall(0.2, 0.1)])
    async with LiveAvatarEmulator(faults=faults, greeting=None) as emulator:
        config = AvatarAgentConfig("key", "avatar", base_url=emulator.base_url)
        async with AvatarAgent(config, AgentListener()) as agent:
            async with agent.audio_stream(paced=False) as stream:
                await stream.write(PCM)
            (session,) = emulator.sessions
            await session.wait_for("response.audio.finish")
            assert session.pcm == PCM


async def test_speech_over_a_slow_link_arrives_whole_at_akool() -> None:
    faults = AkoolFaults(bandwidth_bit_s=1e6, latency_s=0.01)
    async with AkoolEmulator(faults=faults) as emulator:
        client = StreamingAvatarClient(
            api_key="key",
            avatar_id="avatar",
            session_id="session",
            discovery_url=emulator.discovery_url,
        )
        await client.connect()
        session = await emulator.wait_for_session()
        async with client.audio_stream(paced=False) as stream:
            await stream.write(PCM)
        await until(lambda: len(session.pcm) >= len(PCM))
        assert session.pcm == PCM
        await client.disconnect()


async def test_a_session_stalls_on_demand() -> None:
    async with LiveAvatarEmulator(greeting=None) as emulator:
        config = AvatarAgentConfig("key", "avatar", base_url=emulator.base_url)
        async with AvatarAgent(config, AgentListener()) as agent:
            (session,) = emulator.sessions
            session.stall(0.3)
            begun = time.monotonic()
            await agent.send_interrupt("request")
            await session.wait_for("control.interrupt")
            assert time.monotonic() - begun >= 0.25
