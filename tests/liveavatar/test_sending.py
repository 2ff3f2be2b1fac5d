"""What a send call does to the connection: its writes, when it waits, and the order on the wire."""

import asyncio
import contextlib
import itertools
import json
import ssl

import pytest
import trustme
from agents import Recorder, config_for
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Request
from wsproto.events import TextMessage as Text

from avatarwire import AudioFrame, AvatarAgent

HIGH_WATER_BYTES = 2**15
SECOND = bytes(range(250)) * 192
CHUNK = {"event": "response.chunk", "requestId": "r", "responseId": "p", "seq": 0, "timestamp": 0}


class Platform(asyncio.Protocol):
    """The platform's end of the WebSocket: notes what arrives, in order, and can stop reading."""

    def __init__(self):
        self.arrived = []
        self.ended = asyncio.Event()
        self._protocol = WSConnection(ConnectionType.SERVER)
        self._message = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self._protocol.receive_data(data)
        for event in self._protocol.events():
            match event:
                case Request():
                    init = {"event": "session.init", "data": {"sessionId": "s", "userId": "u"}}
                    self._send(AcceptConnection())
                    self._send(Text(json.dumps(init)))
                case Ping():
                    self.arrived.append(("ping", bytes(event.payload)))
                    self._send(event.response())
                case CloseConnection():
                    self.arrived.append(("close", event.code))
                    self._send(event.response())
                    self.transport.close()
                case Text():
                    self._note("event", event, event.data.encode())
                case BytesMessage():
                    self._note("audio", event, bytes(event.data))

    def connection_lost(self, exc):
        self.ended.set()

    def _send(self, event):
        self.transport.write(self._protocol.send(event))

    def _note(self, kind, event, data):
        self._message += data
        if event.message_finished:
            read = json.loads if kind == "event" else AudioFrame.unpack
            self.arrived.append((kind, read(self._message)))
            self._message = b""


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(params=["ws", "wss"])
async def connected(request, emulator, authority, dials):
    """An agent and its platform: REST is the emulator's, the WebSocket is ours."""
    server_tls = client_tls = None
    if request.param == "wss":
        server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(server_tls)
        client_tls = ssl.create_default_context()
        authority.configure_trust(client_tls)
    platform = Platform()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: platform, "127.0.0.1", 0, ssl=server_tls)
    port = server.sockets[0].getsockname()[1]
    emulator.fail_next_start(agent_ws_url=f"{request.param}://127.0.0.1:{port}/")
    # No pings but the test's own.
    config = config_for(emulator, ssl_context=client_tls, ping_interval=60.0)
    async with server, AvatarAgent(config, Recorder(), connect=dials) as agent:
        yield agent, platform


def short(kind, what):
    """Tell one thing that arrived from the others of its kind."""
    match kind:
        case "event":
            return kind, what["event"]
        case "audio":
            return kind, what.seq
    return kind, what


def writes_of(dials, monkeypatch):
    """Every write to the connection's transport from now on."""
    writes = []
    transport = dials.last.transport
    write = transport.write
    monkeypatch.setattr(transport, "write", lambda data: (writes.append(bytes(data)), write(data)))
    return writes


def runs_without_waiting(call):
    """Whether a send call returns before the event loop gets its turn."""
    with contextlib.closing(call), contextlib.suppress(StopIteration):
        call.send(None)
        return False
    return True


async def test_an_event_is_one_masked_text_message_in_one_write(connected, dials, monkeypatch):
    agent, _ = connected
    writes = writes_of(dials, monkeypatch)
    await agent.send_response_chunk("r", "p", 0, 0, "grüß dich")
    (wire,) = writes
    payload = json.dumps(
        {**CHUNK, "data": {"text": "grüß dich"}}, ensure_ascii=False, separators=(",", ":")
    ).encode()
    assert wire[:2] == bytes([0x81, 0x80 | len(payload)])
    mask = itertools.cycle(wire[2:6])
    assert bytes(byte ^ key for byte, key in zip(wire[6:], mask, strict=False)) == payload


async def test_all_frames_of_a_call_are_one_write(connected, dials, monkeypatch):
    agent, _ = connected
    writes = writes_of(dials, monkeypatch)
    await agent.send_audio(SECOND + SECOND[:100])
    (wire,) = writes
    # 25 frames of 1,920 bytes and one of 100, each with its header, a WebSocket header and a mask.
    assert len(wire) == 25 * (1920 + 9 + 4 + 4) + (100 + 9 + 2 + 4)


async def test_events_audio_pings_and_close_keep_their_order(connected, dials):
    agent, platform = connected
    connection = dials.last
    await agent.send_response_audio_start("r", "p")
    await agent.send_audio(SECOND[:3840])
    connection.send_ping()
    await agent.send_audio_frame(AudioFrame(seq=9, samples=1, payload=b"ab"))
    await agent.send_interrupt("r")
    connection.send_ping()
    await agent.send_audio(SECOND[:1920])
    await agent.send_response_audio_finish("r", "p")
    await agent.stop()
    async with asyncio.timeout(5):
        await platform.ended.wait()
    assert [short(*item) for item in platform.arrived] == [
        ("event", "session.ready"),
        ("event", "response.audio.start"),
        ("audio", 0),
        ("audio", 1),
        ("ping", b""),
        ("audio", 9),
        ("event", "control.interrupt"),
        ("ping", b""),
        ("audio", 2),
        ("event", "response.audio.finish"),
        ("event", "session.stop"),
        ("close", 1000),
    ]


async def test_a_call_waits_only_while_the_buffer_is_over_its_high_water(connected, dials):
    agent, platform = connected
    connection = dials.last
    platform.transport.pause_reading()
    seconds = 0
    async with asyncio.timeout(10):
        while True:
            sending = asyncio.create_task(agent.send_audio(SECOND))
            seconds += 1
            await asyncio.sleep(0)
            if not sending.done():
                # The system's own buffers may still grow and take it.
                await asyncio.wait([sending], timeout=0.1)
            if not sending.done():
                break
            assert connection.buffered_bytes <= HIGH_WATER_BYTES
    assert connection.buffered_bytes > HIGH_WATER_BYTES
    interrupting = asyncio.create_task(agent.send_interrupt())
    await asyncio.sleep(0)
    assert not sending.done()
    assert not interrupting.done()

    platform.transport.resume_reading()
    async with asyncio.timeout(10):
        await asyncio.gather(sending, interrupting)
    assert runs_without_waiting(agent.send_audio(SECOND[:1920]))
    assert runs_without_waiting(agent.send_interrupt())
    await agent.stop()
    async with asyncio.timeout(10):
        await platform.ended.wait()
    sent = [(kind, what) for kind, what in platform.arrived if kind in {"event", "audio"}]
    assert [kind for kind, _ in sent] == [
        "event",
        *["audio"] * (25 * seconds),
        "event",
        "audio",
        "event",
        "event",
    ]
    frames = [what for kind, what in sent if kind == "audio"]
    assert [frame.seq for frame in frames] == [n % 4096 for n in range(25 * seconds + 1)]
    assert b"".join(frame.payload for frame in frames) == SECOND * seconds + SECOND[:1920]
