"""Room is asked for: little lies unsent, whoever runs the loop and whatever is around the TCP."""

import asyncio
import contextlib
import socket
import ssl
import sys
from typing import ClassVar

import pytest
import trustme

from avatarwire.transport import outgoing
from avatarwire.transport.outgoing import UNSENT_MAX_BYTES, Outgoing, limit_unsent
from avatarwire.transport.sendqueue import is_full

BATCH = bytes(9_600)


class Owner(asyncio.Protocol):
    """What writes without asking anyone but the outgoing."""

    def __init__(self, silence_s=None):
        self.stalls = 0
        self._silence_s = silence_s

    def connection_made(self, transport):
        self.outgoing = Outgoing(self, transport, self._silence_s)

    def pause_writing(self):
        self.outgoing.congest()

    def resume_writing(self):
        self.outgoing.relieve()

    def connection_lost(self, exc):
        self.outgoing.end()

    def stalled(self):
        self.stalls += 1


class Reader(asyncio.Protocol):
    """Reads nothing until it is asked to."""

    readers: ClassVar[list[asyncio.Transport]] = []

    def connection_made(self, transport):
        Reader.readers.append(transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        # Not at once: uvloop begins to read when this has returned.
        asyncio.get_running_loop().call_soon(transport.pause_reading)


@contextlib.asynccontextmanager
async def connected(*, tls=False, silence_s=None):
    server_tls = client_tls = None
    if tls:
        authority = trustme.CA()
        server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(server_tls)
        client_tls = ssl.create_default_context()
        authority.configure_trust(client_tls)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Reader, "127.0.0.1", 0, ssl=server_tls)
    host, port = server.sockets[0].getsockname()
    transport, owner = await loop.create_connection(
        lambda: Owner(silence_s), host, port, ssl=client_tls
    )
    while not Reader.readers:  # noqa: ASYNC110 - the server's side of the handshake
        await asyncio.sleep(0.001)
    reader = Reader.readers.pop()
    try:
        yield transport, owner.outgoing, reader
    finally:
        transport.abort()
        reader.abort()
        server.close()
        await asyncio.sleep(0.01)


def run(work, loop_name):
    factory = None
    if loop_name == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work)


everywhere = pytest.mark.parametrize(
    ("loop_name", "tls"),
    [("asyncio", False), ("asyncio", True), ("uvloop", False), ("uvloop", True)],
)
told = pytest.mark.skipif(sys.platform != "linux", reason="the figures are Linux's")


@told
@everywhere
def test_no_more_than_a_write_and_a_little_lies_unsent(loop_name, tls):
    async def work():
        async with connected(tls=tls) as (transport, sends, reader):
            fd = transport.get_extra_info("socket").fileno()
            writes = 0
            async with asyncio.timeout(20):
                while sends.has_room():
                    assert not is_full(fd, UNSENT_MAX_BYTES)
                    transport.write(BATCH)
                    writes += 1
                    await asyncio.sleep(0.01)
            assert 0 < writes < 100  # a peer that does not read fills up
            assert not is_full(fd, UNSENT_MAX_BYTES + len(BATCH) + 1000)
            congestion = sends.congestion
            waiting = asyncio.create_task(congestion.wait())
            await asyncio.sleep(0.05)
            assert not waiting.done()
            assert not sends.has_room()
            assert sends.congestion is congestion
            reader.resume_reading()
            async with asyncio.timeout(20):
                await waiting
                while sends.unacknowledged_bytes():  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            assert sends.has_room()

    run(work(), loop_name)


@told
async def test_what_was_written_is_unacknowledged_until_the_peer_has_it():
    async with connected() as (transport, sends, reader):
        assert sends.unacknowledged_bytes() == 0
        for _ in range(100):
            transport.write(BATCH)
        assert sends.unacknowledged_bytes() > transport.get_write_buffer_size() > 0
        reader.resume_reading()
        async with asyncio.timeout(20):
            while sends.unacknowledged_bytes():  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert 0 < sends.least_round_trip_s < 5


async def test_a_peer_that_takes_nothing_has_stalled():
    async with connected(silence_s=0.05) as (transport, sends, _):
        async with asyncio.timeout(20):
            while not sends._owner.stalls:
                if sends.has_room():
                    transport.write(BATCH)
                await asyncio.sleep(0.005)


async def test_after_the_end_the_socket_is_asked_nothing_more():
    async with connected() as (_, sends, _):
        sends.end()
        assert sends.unacknowledged_bytes() is None
        assert sends.least_round_trip_s is None
        assert sends.has_room()


@told
async def test_whoever_waits_is_woken_at_the_end():
    async with connected() as (transport, sends, _):
        while sends.has_room():
            transport.write(BATCH)
            await asyncio.sleep(0.005)
        waiting = asyncio.create_task(sends.congestion.wait())
        await asyncio.sleep(0)
        transport.abort()
        async with asyncio.timeout(5):
            await waiting
        assert sends.congestion is None


class Kernel:
    """A socket that is told what to hold."""

    def __init__(self, error=None):
        self.options, self._error = [], error

    def setsockopt(self, *option):
        if self._error:
            raise self._error
        self.options.append(option)

    def fileno(self):
        return 7


class Transport:
    def __init__(self, kernel):
        self._kernel = kernel

    def get_extra_info(self, name):
        assert name == "socket"
        return self._kernel


@told
def test_the_kernel_is_told_to_hold_little():
    kernel = Kernel()
    assert limit_unsent(Transport(kernel)) == 7
    assert kernel.options == [(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 2**18)]


def test_where_there_is_no_such_limit_its_buffer_is_small(monkeypatch):
    monkeypatch.delattr(outgoing.socket, "TCP_NOTSENT_LOWAT", raising=False)
    kernel = Kernel()
    assert limit_unsent(Transport(kernel)) == 7
    assert kernel.options == [(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**15)]


def test_what_cannot_be_limited_works_all_the_same():
    assert limit_unsent(Transport(Kernel(OSError("no TCP")))) == 7
    assert limit_unsent(Transport(None)) == -1
