import asyncio
import contextlib
import gc
import logging
import logging.config
import pickle
import socket
import ssl
import time
import types
import weakref

import pytest
import trustme
from listener import Listener
from raw_peer import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    TOKEN,
    chain,
    frame,
    logged,
    raw_server,
    read_frame,
    told,
)
from websockets.asyncio.server import serve

from avatarwire.errors import ConnectFailedError, SessionLostError
from avatarwire.rfc6455.reader import BATCH
from avatarwire.transport import (
    closing,
    congestion,
    connect,
    environment,
    incoming,
    opening,
    turnstile,
)

SECRET_PAYLOAD = b"the words of a customer"
listeners = weakref.WeakKeyDictionary()


@contextlib.asynccontextmanager
async def connected(**options):
    """A client and a raw peer."""
    async with raw_server() as server:
        client = await connect(server.url(), open_timeout_s=5, **options)
        listeners[client] = Listener(client)
        peer = await server.peers.get()
        yield client, peer
        peer.writer.transport.abort()
        await client.close()


@pytest.fixture
def short_close(monkeypatch):
    monkeypatch.setattr(closing, "CLOSE_TIMEOUT_S", 0.2)


async def fill(client):
    """Write until the peer's and our own buffers are full; return the bytes written.

    A socket that no loop calls writable has room all the same, up to a third of its buffer on
    Linux, and a ping tries it without asking since Python 3.12. So ours has to hold more than
    would go there: the first time that it is full, the kernel may still take all of it.
    """
    batch = frame(bytes(60_000))
    kernel = client.transport.get_extra_info("socket")
    total = 0
    has_room = True
    async with asyncio.timeout(5):
        while has_room or client.buffered_bytes < kernel.getsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF
        ):
            has_room = client.write_batch(batch)
            total += len(batch)
            await asyncio.sleep(0)
    return total


async def receive(client):
    return await listeners[client].receive()


async def ended(client):
    async with asyncio.timeout(5):
        while True:
            try:
                await receive(client)
            except SessionLostError as lost:
                return lost


# Writing


async def test_exact_bytes_of_a_batch():
    async with connected() as (client, peer):
        wire = frame(b"one") + frame(b'{"a":1}', TEXT) + frame(bytes(range(256)) * 3)
        assert client.write_batch(wire) is True
        assert await peer.reader.readexactly(len(wire)) == wire
        assert client.buffered_bytes == 0


async def test_batches_pings_and_close_keep_their_order():
    async with connected() as (client, peer):
        client.write_batch(frame(b"1") + frame(b"2"))
        client.send_ping()
        client.write_batch(frame(b"3"))
        closing = asyncio.create_task(client.close(1000, "bye"))
        seen = [await read_frame(peer.reader) for _ in range(5)]
        assert seen == [
            (BINARY, b"1"),
            (BINARY, b"2"),
            (PING, b""),
            (BINARY, b"3"),
            (CLOSE, b"\x03\xe8bye"),
        ]
        peer.writer.write(frame(b"\x03\xe8", CLOSE, mask=None))
        peer.writer.close()
        await closing


async def test_pings_of_the_peer_are_answered_between_batches():
    async with connected() as (client, peer):
        peer.writer.write(frame(b"are you there", PING, mask=None))
        peer.writer.write(frame(b"go", mask=None))
        assert await receive(client) == b"go"
        client.write_batch(frame(b"x"))
        assert await read_frame(peer.reader) == (PONG, b"are you there")
        assert await read_frame(peer.reader) == (BINARY, b"x")


async def test_backpressure():
    async with connected() as (client, peer):
        total = await fill(client)
        assert client.buffered_bytes > 2**15
        assert client.write_batch(frame(b"interrupt")) is False
        total += len(frame(b"interrupt"))
        waiting = [asyncio.create_task(client.writable()) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        waiting.pop().cancel()
        read = 0
        while read < total:
            read += len(await peer.reader.read(2**20))
        await asyncio.gather(*waiting)
        assert read == total
        assert client.buffered_bytes == 0
        await client.writable()
        assert client.write_batch(frame(b"x")) is True


async def test_the_write_limit_is_a_parameter():
    async with connected(write_limit_bytes=2**20) as (client, _):
        await fill(client)
        assert client.buffered_bytes > 2**20


async def test_writable_raises_when_the_connection_ends_meanwhile():
    async with connected() as (client, peer):
        await fill(client)
        waiting = asyncio.create_task(client.writable())
        await asyncio.sleep(0)
        peer.writer.transport.abort()
        with pytest.raises(SessionLostError) as lost:
            await waiting
        assert lost.value.code == 1006


async def test_write_after_the_end():
    async with connected() as (client, peer):
        peer.writer.write(frame((4000).to_bytes(2, "big") + b"why", CLOSE, mask=None))
        peer.writer.write_eof()
        await ended(client)
        with pytest.raises(SessionLostError) as lost:
            client.write_batch(frame(b"x"))
        assert (lost.value.code, lost.value.reason) == (4000, "why")
        with pytest.raises(SessionLostError):
            await client.writable()


async def test_write_while_closing(short_close):
    async with connected() as (client, _):
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)
        with pytest.raises(SessionLostError, match="closing"):
            client.write_batch(frame(b"x"))
        await closing


async def test_a_write_that_meets_a_dead_socket_says_so():
    async with connected() as (client, _):
        client.transport.abort()
        with pytest.raises(SessionLostError) as lost:
            client.write_batch(frame(b"x"))
        assert lost.value.code == 1006


# Receiving, and how it ends


async def test_whole_messages():
    async with connected() as (client, peer):
        peer.writer.write(frame("zwö".encode(), TEXT, mask=None) + frame(b"\x00", mask=None))
        peer.writer.write(bytes([TEXT]) + frame(b"hel", mask=None)[1:])
        peer.writer.write(bytes([0x80]) + frame(b"lo", mask=None)[1:])
        assert [await receive(client) for _ in range(3)] == ["zwö", b"\x00", "hello"]


BEHIND = frame(b"1", TEXT, mask=None) + frame(b"", PING, mask=None) + frame(b"2", mask=None)


@pytest.mark.parametrize("cut", [None, 1, *range(-len(BEHIND) - 5, 0)])
async def test_what_follows_the_handshake_at_once(cut):
    async with raw_server(behind=BEHIND, cut=cut) as server:
        client = await connect(server.url(), open_timeout_s=5)
        for _ in range(5):
            await asyncio.sleep(0)  # nobody listens yet
        listener = Listener(client)
        peer = await server.peers.get()
        peer.writer.write(frame(b"3", mask=None))
        assert [await listener.receive() for _ in range(3)] == ["1", b"2", b"3"]
        assert await read_frame(peer.reader) == (PONG, b"")
        peer.writer.transport.abort()
        await client.close()


async def test_a_connection_that_ended_before_anybody_listened():
    behind = BEHIND + frame((4000).to_bytes(2, "big") + b"why", CLOSE, mask=None)
    async with raw_server(behind=behind) as server:
        client = await connect(server.url(), open_timeout_s=5)
        (await server.peers.get()).writer.write_eof()
        await asyncio.sleep(0.05)
        listener = Listener(client)
        assert [await listener.receive() for _ in range(2)] == ["1", b"2"]
        with pytest.raises(SessionLostError) as lost:
            await listener.receive()
        assert (lost.value.code, lost.value.reason) == (4000, "why")


async def test_a_listener_is_told_the_end_once_and_before_a_close_returns():
    async with connected() as (client, peer):
        closing = asyncio.create_task(client.close(4000))
        await read_frame(peer.reader)
        peer.writer.write(frame(b"last", mask=None) + frame(b"\x0f\xa0", CLOSE, mask=None))
        peer.writer.write_eof()
        await closing
        assert (listeners[client].batches, listeners[client].ends) == ([[b"last"]], [4000])
        late = Listener(client)
        assert (late.batches, late.ends) == ([], [4000])


async def test_nothing_of_the_handshake_is_kept():
    """Not the token in the URL, either."""
    async with connected(headers={"api_key": TOKEN}) as (client, _):
        found, new = [], [client]
        while new:
            found += new
            known = {id(each) for each in found}
            new = [
                each
                for each in gc.get_referents(*new)
                if id(each) not in known
                and not isinstance(each, (type, types.ModuleType, types.FunctionType))
                and not isinstance(each, (asyncio.AbstractEventLoop, logging.Logger))
            ]
        kinds = {type(each).__qualname__ for each in found}
        assert {"Protocol", "Incoming", "Heartbeat"} < kinds
        assert kinds.isdisjoint({"Request", "Response", "Headers", "_Handshake", "ClientProtocol"})
        assert not [each for each in found if isinstance(each, str) and TOKEN in each]


async def test_messages_of_one_read_come_in_one_go():
    async with connected() as (client, peer):
        peer.writer.write(frame(b"1", mask=None) + frame(b"2", mask=None) + frame(b"3", mask=None))
        assert await receive(client) == b"1"
        assert listeners[client].batches == [[b"1", b"2", b"3"]]


async def test_a_peer_waits_while_reading_is_paused():
    """What is held is one read at the most; the rest stays with the peer, whose pings wait too."""
    message = frame(bytes(60_000), mask=None)
    async with connected(ping_interval_s=0.05, ping_timeout_s=0.05) as (client, peer):
        client.pause_reading()
        while peer.writer.transport.get_write_buffer_size() < 2**20:
            peer.writer.write(message)
            await asyncio.sleep(0)
        peer.writer.write(frame(b"last", TEXT, mask=None))
        await asyncio.sleep(0.3)
        assert listeners[client].batches == []
        assert client.close_code is None
        assert peer.writer.transport.get_write_buffer_size() > 2**19
        client.resume_reading()
        while (message := await receive(client)) != "last":
            assert message == bytes(60_000)
        assert client.close_code is None


async def test_a_flood_leaves_the_loop_its_turns(monkeypatch):
    """Structure, not time: the time of a step is up as soon as it has done anything."""
    monkeypatch.setattr(incoming, "STEP_S", 0)
    most = 0

    async def watch(client):
        nonlocal most
        before = 0
        while True:
            now = sum(map(len, listeners[client].batches))
            most = max(most, now - before)
            before = now
            await asyncio.sleep(0)

    async with connected() as (client, peer):
        watching = asyncio.create_task(watch(client))
        peer.writer.write(frame(b"{}", TEXT, mask=None) * 20_000 + frame(b"", PING, mask=None))
        assert {await receive(client) for _ in range(20_000)} == {"{}"}
        # One step, and what the loop may read besides in the same iteration.
        assert 0 < most <= 2 * BATCH
        assert await read_frame(peer.reader) == (PONG, b"")
        watching.cancel()


async def test_a_message_far_over_the_limit_is_refused_by_its_header():
    async with connected() as (client, peer):
        peer.writer.write(bytes([0x80 | BINARY, 127]) + (2**26).to_bytes(8, "big"))
        _, payload = await read_frame(peer.reader)
        assert payload[:2] == (1009).to_bytes(2, "big")
        peer.writer.write_eof()
        assert (await ended(client)).code == 1009


async def test_a_message_of_the_longest_kind_in_many_reads():
    async with connected(max_message_bytes=2**22) as (client, peer):
        peer.writer.write(frame(b"ab" * 2**21, mask=None) + frame(b"c", TEXT, mask=None))
        assert await receive(client) == b"ab" * 2**21
        assert await receive(client) == "c"


@pytest.mark.parametrize("code", [1000, 1001, 1008, 4000])
async def test_close_codes_of_the_peer(code):
    async def handler(peer):
        await peer.send("last")
        await peer.close(code, "words")

    async with serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = await connect(f"ws://127.0.0.1:{port}", open_timeout_s=5)
        listeners[client] = Listener(client)
        assert client.close_code is None
        assert await receive(client) == "last"
        lost = await ended(client)
        assert (lost.code, lost.reason) == (code, "words")
        assert (client.close_code, client.close_reason) == (code, "words")
        assert type(client.close_code) is int
        await client.close()
        assert client.close_code == code


async def test_a_close_without_a_code():
    async with connected() as (client, peer):
        peer.writer.write(frame(b"", CLOSE, mask=None))
        peer.writer.write_eof()
        assert (await ended(client)).code == 1005


@pytest.mark.parametrize("how", ["reset", "eof"])
async def test_a_cut(how):
    async with connected() as (client, peer):
        if how == "reset":
            peer.writer.transport.abort()
        else:
            peer.writer.write_eof()
        lost = await ended(client)
        assert (lost.code, lost.reason) == (1006, "")
        assert client.close_code == 1006


async def test_a_message_over_the_limit():
    async with connected(max_message_bytes=1000) as (client, peer):
        peer.writer.write(frame(bytes(1001), mask=None))
        opcode, payload = await read_frame(peer.reader)
        assert (opcode, payload[:2]) == (CLOSE, (1009).to_bytes(2, "big"))
        # A peer may answer with a code of its own; ours came first.
        peer.writer.write(frame(b"\x03\xe8", CLOSE, mask=None))
        peer.writer.write_eof()
        assert (await ended(client)).code == 1009


async def test_fragments_of_one_byte_beyond_the_limit():
    async with connected(max_message_bytes=1000) as (client, peer):
        peer.writer.write(b"\x02\x01a" + b"\x00\x01a" * 1001)
        opcode, payload = await read_frame(peer.reader)
        assert (opcode, payload[:2]) == (CLOSE, (1009).to_bytes(2, "big"))
        peer.writer.write_eof()
        assert (await ended(client)).code == 1009
        assert listeners[client].batches == []


async def test_text_that_is_not_utf8():
    async with connected() as (client, peer):
        peer.writer.write(frame(b"\xff", TEXT, mask=None))
        ending = asyncio.create_task(ended(client))
        opcode, payload = await read_frame(peer.reader)
        assert (opcode, payload[:2]) == (CLOSE, (1007).to_bytes(2, "big"))
        peer.writer.write_eof()
        assert (await ending).code == 1007


async def test_text_in_fragments_that_is_not_utf8():
    async with connected() as (client, peer):
        peer.writer.write(bytes([TEXT]) + frame(b"ab", mask=None)[1:])
        peer.writer.write(bytes([0x80]) + frame(b"\xff", mask=None)[1:])
        opcode, payload = await read_frame(peer.reader)
        assert opcode == CLOSE
        assert payload == (1007).to_bytes(2, "big") + b"invalid start byte at position 2"
        peer.writer.write_eof()
        lost = await ended(client)
        assert (lost.code, lost.reason) == (1007, "invalid start byte at position 2")


async def test_silence():
    async with connected(ping_interval_s=0.05, ping_timeout_s=0.1) as (client, peer):
        ending = asyncio.create_task(ended(client))
        assert (await read_frame(peer.reader))[0] == PING
        assert (await read_frame(peer.reader))[0] == CLOSE
        peer.writer.write_eof()
        assert (await ending).code == 1011
        assert client.close_code == 1011


async def test_silence_of_a_dead_peer(short_close):
    async with connected(ping_interval_s=0.05, ping_timeout_s=0.1) as (client, _):
        assert (await ended(client)).code == 1011


async def test_silence_of_a_peer_that_stopped_reading():
    async with connected(ping_interval_s=0.1, ping_timeout_s=0.2) as (client, _):
        await fill(client)
        started = time.monotonic()
        with pytest.raises(SessionLostError) as lost:
            async with asyncio.timeout(5):
                await client.writable()
        assert lost.value.code == 1011
        assert time.monotonic() - started < 2
        assert (await ended(client)).code == 1011


async def test_a_peer_that_talks_on_but_has_stopped_reading():
    """All that it says is a sign of life, yet our own words may not wait for it without a limit."""

    async def talk(writer):
        while True:
            writer.write(frame(b"hello", TEXT, mask=None))
            await asyncio.sleep(0.02)

    async with connected(ping_interval_s=0.1, ping_timeout_s=0.2) as (client, peer):
        await fill(client)
        talking = asyncio.create_task(talk(peer.writer))
        lost = await ended(client)
        assert (lost.code, lost.reason) == (1011, "the peer has stopped reading")
        talking.cancel()


async def test_pings_of_a_peer_that_does_not_read_are_answered_within_a_limit():
    """Without a ping of ours, too: the answers would grow in our memory without end."""
    async with connected(ping_interval_s=None) as (client, peer):
        await fill(client)
        before_bytes, most_bytes = client.buffered_bytes, 0

        async def ping():
            while True:
                peer.writer.write(frame(bytes(100), PING, mask=None) * 100)
                await peer.writer.drain()

        pinging = asyncio.create_task(ping())
        ending = asyncio.create_task(ended(client))
        while not ending.done():
            most_bytes = max(most_bytes, client.buffered_bytes)
            await asyncio.sleep(0)
        lost = await ending
        assert (lost.code, lost.reason) == (1011, "the peer has stopped reading")
        # The limit, and the answers to what one read may bring.
        assert most_bytes - before_bytes < congestion.MAX_UNREAD_ANSWERS_BYTES + 2**19
        pinging.cancel()


async def test_a_peer_that_says_no_more_and_reads_no_more():
    """Its end has come, so there is nothing to say to it; what we wrote may not wait for it."""
    errors = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    async with connected(ping_interval_s=0.1, ping_timeout_s=0.2) as (client, peer):
        await fill(client)
        peer.writer.write_eof()
        assert (await ended(client)).code == 1006
    assert errors == []


async def test_a_stalled_loop_is_no_silence():
    """The pong has arrived, but was not read for longer than a pong may take."""
    async with connected(ping_interval_s=0.05, ping_timeout_s=0.1) as (client, peer):
        assert (await read_frame(peer.reader))[0] == PING
        peer.writer.write(frame(b"", PONG, mask=None))
        await peer.writer.drain()
        time.sleep(0.4)  # noqa: ASYNC251 - the stall
        opcode, _ = await read_frame(peer.reader)
        assert opcode == PING
        assert client.close_code is None


async def test_anything_heard_is_a_sign_of_life():
    async with connected(ping_interval_s=0.05, ping_timeout_s=0.2) as (client, peer):
        for _ in range(8):
            assert (await read_frame(peer.reader))[0] == PING
            peer.writer.write(frame(b"hello", TEXT, mask=None))
        assert client.close_code is None
        assert client.round_trip_s is None


async def test_pings_go_on_at_their_interval_and_measure_the_round_trip():
    async with connected(ping_interval_s=0.05, ping_timeout_s=30) as (client, peer):
        assert client.round_trip_s is None
        for _ in range(3):
            assert (await read_frame(peer.reader))[0] == PING
            await asyncio.sleep(0.02)
            peer.writer.write(frame(b"", PONG, mask=None))
        assert (await read_frame(peer.reader))[0] == PING
        assert client.round_trip_s is not None
        assert 0.02 <= client.round_trip_s < 5


async def test_the_round_trip_is_measured_behind_other_messages():
    async with connected(ping_interval_s=0.05, ping_timeout_s=30) as (client, peer):
        for _ in range(3):
            assert (await read_frame(peer.reader))[0] == PING
            peer.writer.write(frame(b"the user's voice", mask=None))
            await asyncio.sleep(0.02)
            peer.writer.write(frame(b"more of it", mask=None) + frame(b"", PONG, mask=None))
        assert (await read_frame(peer.reader))[0] == PING
        assert client.round_trip_s is not None
        assert 0.02 <= client.round_trip_s < 5


async def test_a_peer_that_reads_again_in_time_is_not_silent():
    async with connected(ping_interval_s=0.2, ping_timeout_s=5) as (client, peer):
        total = await fill(client)
        assert client._outgoing.congestion is not None
        await peer.reader.readexactly(total)
        await client.writable()
        assert client._outgoing.congestion is None


async def test_a_peer_that_closes_but_never_hangs_up(short_close):
    async with connected(ping_interval_s=0.05, ping_timeout_s=5) as (client, peer):
        peer.writer.write(frame((1008).to_bytes(2, "big") + b"no", CLOSE, mask=None))
        lost = await ended(client)
        assert (lost.code, lost.reason) == (1008, "no")


# Closing


async def test_close_with_a_dead_peer_takes_two_seconds():
    async with connected() as (client, _):
        await fill(client)
        started = time.monotonic()
        await client.close(1000)
        assert 1.5 < time.monotonic() - started < 2.5
        assert client.close_code == 1000


async def test_close_with_a_peer_that_does_not_answer(short_close):
    async with connected() as (client, _):
        reading = asyncio.create_task(ended(client))
        await asyncio.sleep(0)
        started = time.monotonic()
        await asyncio.gather(*(client.close(4000 + n, "bye") for n in range(3)))
        assert time.monotonic() - started < 1
        assert (client.close_code, client.close_reason) == (4000, "bye")
        assert (await reading).code == 4000
        await client.close()


async def test_our_code_stands_when_the_peer_answers_with_another():
    async with connected() as (client, peer):
        closing = asyncio.create_task(client.close(4000, "ours"))
        await read_frame(peer.reader)
        peer.writer.write(frame(b"\x03\xe8theirs", CLOSE, mask=None))
        peer.writer.write_eof()
        await closing
        assert (client.close_code, client.close_reason) == (4000, "ours")


async def test_a_cancelled_close_still_ends(short_close):
    async with connected() as (client, _):
        await fill(client)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await client.close()
        assert (await ended(client)).code == 1000


@pytest.mark.parametrize(("code", "reason"), [(1006, ""), (42, ""), (1000, "x" * 124)])
async def test_close_with_what_is_not_allowed(code, reason):
    async with connected() as (client, peer):
        with pytest.raises(ValueError, match="close code and reason"):
            await client.close(code, reason)
        client.write_batch(frame(b"x"))
        assert await read_frame(peer.reader) == (BINARY, b"x")
        assert client._closing is None


async def test_nothing_is_left_after_a_close():
    async with connected() as (client, peer):
        closing = asyncio.create_task(client.close())
        await read_frame(peer.reader)
        peer.writer.write(frame(b"\x03\xe8", CLOSE, mask=None))
        peer.writer.write_eof()
        await closing
        assert client._closing._limit_timer.cancelled()
        timer = client._closing
        await client.close()
        assert client._closing is timer
        await asyncio.sleep(0)
        names = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}
        assert not any("keepalive" in name for name in names)


# Opening


def clean(exc, caplog):
    assert TOKEN not in told(exc)
    assert TOKEN not in logged(caplog.records)
    return True


@pytest.fixture
def everything_logged(caplog):
    caplog.set_level(logging.DEBUG)
    return caplog


ECHO = f"<h1>Cannot GET /live/{TOKEN}?token={TOKEN}</h1>".encode()


def http(status, extra=b"", body=ECHO):
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, extra, len(body), body)


async def test_headers_travel_with_the_request():
    async with raw_server() as server:
        client = await connect(server.url(), open_timeout_s=5, headers={"api_key": TOKEN})
        peer = await server.peers.get()
        assert f"\r\napi_key: {TOKEN}\r\n".encode() in peer.request
        peer.writer.transport.abort()
        await client.close()


@pytest.mark.parametrize("headers", [{"api_key": "a\nb"}, {"api_key": ""}, {"a b": "c"}])
async def test_headers_that_http_cannot_carry_are_refused_unquoted(headers):
    with pytest.raises(ValueError, match="a header is empty or has characters") as failed:
        await connect("ws://127.0.0.1:1/", open_timeout_s=5, headers=headers)
    assert "a\nb" not in str(failed.value)


async def test_headers_follow_no_redirect(everything_logged):
    async with raw_server() as elsewhere:
        answer = http(b"302 Found", f"Location: {elsewhere.url()}\r\n".encode())
        async with raw_server(answer) as server:
            with pytest.raises(ConnectFailedError, match="HTTP 302") as failed:
                await connect(server.url(), open_timeout_s=5, headers={"api_key": TOKEN})
        assert elsewhere.accepted == 0
    assert clean(failed.value, everything_logged)


@pytest.mark.parametrize(("line", "status"), [(b"401 No", 401), (b"503 Busy", 503)])
async def test_a_refusal_carries_its_status(line, status):
    async with raw_server(http(line)) as server:
        with pytest.raises(ConnectFailedError) as failed:
            await connect(server.url(), open_timeout_s=5)
    assert failed.value.status == status
    assert pickle.loads(pickle.dumps(failed.value)).status == status  # noqa: S301


async def test_without_pings_a_silent_peer_stays():
    async with connected(ping_interval_s=None, ping_timeout_s=0.01) as (client, peer):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await receive(client)
        peer.writer.write(frame(b"still here", TEXT, mask=None))
        assert await receive(client) == "still here"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (http(b"403 Forbidden"), "HTTP 403"),
        (http(b"200 OK", b"Content-Type: text/html\r\n"), "HTTP 200"),
        (http(b"500 Oops " + TOKEN.encode()), "HTTP 500"),
        (http(b"302 Found", f"Location: http://example.org/?token={TOKEN}\r\n".encode()), "failed"),
        (http(b"302 Found", f"Location: ws://[{TOKEN}\r\n".encode()), "failed"),
        (http(b"101 Fine", f"Upgrade: {TOKEN}\r\nConnection: Upgrade\r\n".encode()), "failed"),
        (b"GET /live/" + TOKEN.encode() + b" is no HTTP answer\r\n\r\n", "failed"),
        (b"\r\n", "failed"),
    ],
)
async def test_answers_that_are_no_websocket(answer, words, everything_logged):
    async with raw_server(answer) as server:
        with pytest.raises(ConnectFailedError, match=words) as failed:
            await connect(server.url(), open_timeout_s=5)
        assert f"127.0.0.1:{server.port}" in str(failed.value)
        assert failed.value.__cause__ is not None
        assert clean(failed.value, everything_logged)


async def test_refused(everything_logged):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(ConnectFailedError, match=f"127.0.0.1:{port}: ") as failed:
            await connect(f"ws://127.0.0.1:{port}/?t={TOKEN}", open_timeout_s=5)
    assert isinstance(failed.value.__cause__, ConnectionRefusedError)
    assert clean(failed.value, everything_logged)


async def test_no_answer(everything_logged):
    async with raw_server(b"") as server:
        with pytest.raises(ConnectFailedError, match=r"within 0\.1 s") as failed:
            await connect(server.url(), open_timeout_s=0.1)
        assert clean(failed.value, everything_logged)


async def test_cancelled():
    async with raw_server(b"") as server:
        opening = asyncio.create_task(connect(server.url(), open_timeout_s=5))
        peer = await server.peers.get()
        opening.cancel()
        await asyncio.wait([opening])
        assert opening.cancelled()
        with contextlib.suppress(ConnectionResetError):
            assert await peer.reader.read() == b""


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1/?token={TOKEN}",
        f"127.0.0.1/?token={TOKEN}",
        f"ws:///?token={TOKEN}",
        f"ws://127.0.0.1:{TOKEN}/",
        f"ws://127.0.0.1:99999/?token={TOKEN}",
        f"ws://[{TOKEN}/",
        f"ws://[{TOKEN}]/",
        f"ws://host/#{TOKEN}",
        f"ws://{TOKEN}@host/",
        f"ws://host/{TOKEN}\r\nX: y",
        f"ws://host/{TOKEN} HTTP/1.1",
        f"ws://{'a' * 64}.org/{TOKEN}",
        f"ws://a..b/{TOKEN}",
        "",
    ],
)
async def test_what_is_no_websocket_url(url, everything_logged):
    with pytest.raises(ValueError, match="WebSocket URL") as bad:
        await connect(url, open_timeout_s=5)
    assert len(list(chain(bad.value))) == 1
    assert clean(bad.value, everything_logged)


async def test_tls_settings_need_wss():
    with pytest.raises(ValueError, match="wss") as caught:
        await connect("ws://h/", open_timeout_s=5, ssl_context=ssl.create_default_context())
    assert caught.value.setting == "ssl_context"


def test_ipv6_and_default_ports():
    assert opening._parsed("ws://[::1]/x") == ("::1", 80, False)
    assert environment.endpoint("::1", 80) == "[::1]:80"
    assert opening._parsed("WSS://Example.org") == ("example.org", 443, True)
    assert environment.endpoint("example.org", 443) == "example.org:443"


async def test_a_proxy_is_not_used_on_loopback_and_named_when_it_fails(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with raw_server(http(b"407 No")) as proxy:
        for name in ("ws_proxy", "http_proxy"):
            monkeypatch.setenv(name, f"http://user:{TOKEN}@127.0.0.1:{proxy.port}")
        async with connected() as (client, _):
            assert client.write_batch(frame(b"x"))
        assert proxy.accepted == 0
        with pytest.raises(ConnectFailedError, match=r"avatar\.invalid:80") as failed:
            await connect("ws://avatar.invalid/", open_timeout_s=5)
        assert TOKEN not in told(failed.value)
        assert proxy.accepted == 1


async def test_the_request_carries_the_token_and_offers_no_compression():
    async with raw_server() as server:
        client = await connect(server.url(), open_timeout_s=5)
        peer = await server.peers.get()
        assert peer.request.startswith(f"GET /live/{TOKEN}?token={TOKEN} HTTP/1.1".encode())
        assert b"extensions" not in peer.request.lower()
        peer.writer.transport.abort()
        await client.close()


async def test_neither_token_nor_payload_in_any_log(everything_logged):
    asyncio.get_running_loop().set_debug(True)
    # What an application does that wants to see everything; it resets levels below "avatarwire".
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "loggers": {"avatarwire": {"level": "DEBUG"}, "websockets": {"level": "DEBUG"}},
        }
    )
    logging.getLogger("avatarwire.transport.websockets").setLevel(logging.DEBUG)
    try:
        async with connected() as (client, peer):
            client.write_batch(frame(SECRET_PAYLOAD))
            client.send_ping()
            peer.writer.write(frame(SECRET_PAYLOAD, mask=None))
            assert await receive(client) == SECRET_PAYLOAD
            assert TOKEN not in repr(client)
            assert TOKEN not in str(client)
            peer.writer.write(frame(b"\x03\xe8", CLOSE, mask=None))
            peer.writer.write_eof()
            await ended(client)
    finally:
        for name in ("avatarwire", "websockets", "avatarwire.transport.websockets"):
            logging.getLogger(name).setLevel(logging.NOTSET)
    logging.getLogger("avatarwire.any").debug("the canary")
    everything = logged(everything_logged.records)
    assert "the canary" in everything
    assert TOKEN not in everything
    assert SECRET_PAYLOAD.decode() not in everything


def test_the_library_logger_still_warns(caplog):
    opening._library_log.debug("> GET /?token=%s", TOKEN)
    opening._library_log.error("keepalive ping failed")
    assert [r.getMessage() for r in caplog.records] == ["keepalive ping failed"]


# TLS


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def server_tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def drain(reader):
    while await reader.read(2**16):
        pass


async def test_tls(authority, server_tls):
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    async with raw_server(ssl=server_tls) as server:
        client = await connect(server.url("wss"), open_timeout_s=5, ssl_context=trust)
        listeners[client] = Listener(client)
        peer = await server.peers.get()
        wire = frame(b"x") + frame(bytes(40_000))
        client.write_batch(wire)
        assert await peer.reader.readexactly(len(wire)) == wire
        await fill(client)
        draining = asyncio.create_task(drain(peer.reader))
        await client.writable()
        draining.cancel()
        await asyncio.wait([draining])
        peer.writer.write(frame((1001).to_bytes(2, "big"), CLOSE, mask=None))
        await peer.writer.drain()
        peer.writer.transport.abort()
        assert (await ended(client)).code == 1001


async def test_tls_that_is_not_trusted(server_tls, everything_logged):
    async with raw_server(ssl=server_tls) as server:
        with pytest.raises(ConnectFailedError, match="certificate of 127") as failed:
            await connect(server.url("wss"), open_timeout_s=5)
        assert isinstance(failed.value.__cause__, ssl.SSLError)
        assert clean(failed.value, everything_logged)


async def test_many_that_are_cut_off_together_are_told_a_few_at_a_time():
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            (await stack.enter_async_context(connected()))[0]
            for _ in range(5 * turnstile.MOST_AT_ONCE)
        ]
        for client in clients:
            client.transport.abort()
        waiting = [asyncio.create_task(client.wait_closed()) for client in clients]
        told_before = 0
        while told_before < len(clients):
            await asyncio.sleep(0)
            told_now = sum(client.close_code is not None for client in clients)
            assert told_now - told_before <= turnstile.MOST_AT_ONCE
            told_before = told_now
            for client in clients:
                with pytest.raises(SessionLostError):  # whether told or not
                    client.write_batch(frame(b"late"))
        await asyncio.gather(*waiting)
        assert all(listeners[client].ends == [1006] for client in clients)
