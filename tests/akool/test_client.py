"""The client against the emulator, over real sockets."""

import array
import asyncio
import base64
import contextlib
import json
import logging
import ssl
import time

import pytest
import trustme
from recording import AGORA, KEY, client_for
from websockets.asyncio.server import serve

from avatarwire import akool
from avatarwire.emulator import AkoolEmulator, AkoolInstance
from avatarwire.transport import rest as transport_rest

PCM = bytes(range(256)) * 8


def kinds(session):
    return [message["type"] for message in session.messages]


async def answered(session, kind, count):
    """Wait until the platform has seen that many of a kind."""
    for _ in range(count):
        await session.wait_for(kind)


# State


async def test_it_is_connected_when_the_platform_says_so(emulator, recorder):
    emulator.faults.withhold.add("websocket_connected")
    client = recorder.listen_to(client_for(emulator))
    connecting = asyncio.create_task(client.connect())
    session = await emulator.wait_for_session()
    await session.wait_for("ping")
    assert (client.is_connected, connecting.done(), recorder.named("connected")) == (
        False,
        False,
        [],
    )
    await session.send("system", {"status": "websocket_connected"})
    await connecting
    assert client.is_connected
    assert len(recorder.named("connected")) == 1
    await client.disconnect()


async def test_the_state_as_a_dict(emulator, client):
    port = emulator.instances[0].port
    info = {
        "connected": True,
        "agora_connected": False,
        "session_id": client.session_id,
        "avatar_id": "avatar-1",
        "server_url": None,
        "current_service": {
            "ip": "127.0.0.1",
            "port": port,
            "status": "available",
            "healthy": True,
        },
        "available_services_count": 1,
    }
    assert client.get_connection_info() == info
    await client.set_agora_params(**AGORA)
    assert client.get_connection_info() == info | {"agora_connected": True}
    await client.disconnect()
    assert client.get_connection_info() == info | {"connected": False, "current_service": None}
    assert not client.is_agora_connected


async def test_handlers_are_told_in_order(client, recorder, session):
    await client.set_agora_params(**AGORA)
    await client.disconnect()
    calls = [(name, *args) for name, args in recorder.calls if name != "message"]
    assert calls == [("connected",), ("agora_connected", "channel-1"), ("disconnected",)]
    messages = [message["type"] for (message,) in recorder.named("message")]
    assert sorted(messages) == ["ack", "ack", "pong", "system", "system"]


async def test_a_handler_has_begun_when_the_call_that_causes_it_returns(emulator, recorder):
    client = recorder.listen_to(client_for(emulator))
    await client.connect()
    assert len(recorder.named("connected")) == 1
    await client.set_agora_params(**AGORA)
    assert len(recorder.named("agora_connected")) == 1
    emulator.faults.errors["interrupt"] = (4006, "no")
    with pytest.raises(akool.ConnectionError):
        await client.interrupt()
    assert len(recorder.named("error")) == 1
    await client.disconnect()
    assert len(recorder.named("disconnected")) == 1


async def test_handlers_may_be_async_and_may_fail(emulator, caplog):
    client, seen = client_for(emulator), []

    async def on_agora_connected(channel):
        await asyncio.sleep(0)
        seen.append(channel)

    def on_message(message):
        raise LookupError("in the program")

    client.on_agora_connected, client.on_message = on_agora_connected, on_message
    await client.connect()
    await client.set_agora_params(**AGORA)
    await client.disconnect()
    assert seen == ["channel-1"]
    assert "on_message raised" in caplog.text


async def test_a_cut_is_noticed_within_100_ms(emulator, recorder):
    client, took_s = recorder.listen_to(client_for(emulator)), []
    for count in range(1, 6):
        await client.connect()
        begun = time.perf_counter()
        emulator.sessions[0].cut()
        await recorder.wait_for("disconnected", count)
        took_s.append(time.perf_counter() - begun)
        assert not client.is_connected
    assert min(took_s) < 0.1  # of several: the machine may be busy


async def test_a_cut_ends_everything(client, recorder, session):
    await client.set_agora_params(**AGORA)
    session.cut()
    await recorder.wait_for("disconnected")
    assert (client.is_connected, client.is_agora_connected) == (False, False)
    ((error,),) = recorder.named("error")
    assert (type(error), error.code) == (akool.ConnectionError, 1006)
    with pytest.raises(akool.ConnectionError, match="not connected"):
        await client.send_audio(PCM)
    assert len(recorder.named("disconnected")) == 1


async def test_a_cut_fails_what_waits(emulator, client, recorder, session):
    emulator.faults.withhold |= {"ack", "agora_connected"}
    calls = [
        asyncio.create_task(client.set_agora_params(**AGORA)),
        asyncio.create_task(client.interrupt()),
    ]
    await session.wait_for("set-params")
    await session.wait_for("interrupt")
    session.cut()
    params, interrupt = await asyncio.gather(*calls, return_exceptions=True)
    assert (type(params), params.code) == (akool.AudioStreamError, 1006)
    assert (type(interrupt), interrupt.code) == (akool.ConnectionError, 1006)


async def test_an_orderly_end_is_no_error(client, recorder, session):
    await session.close(1000)
    await recorder.wait_for("disconnected")
    assert recorder.named("error") == []


async def test_heartbeats_go_out_at_connect_and_every_interval(emulator):
    client = client_for(emulator, heartbeat_interval=0.05)
    await client.connect()
    (session,) = emulator.sessions
    await answered(session, "ping", 4)
    assert client.is_connected
    await client.disconnect()


async def test_a_platform_without_pongs_counts_as_gone(emulator, recorder):
    emulator.faults.withhold.add("pong")
    client = recorder.listen_to(client_for(emulator, pong_timeout=0.1))
    await client.connect()
    await recorder.wait_for("disconnected")
    ((error,),) = recorder.named("error")
    assert error.code == 1011
    assert "no pong within 0.1 s" in str(error)
    assert not client.is_connected
    # The platform is told, and not with a code that would blame it.
    assert await emulator.sessions[0].wait_closed() == 1001
    await client.disconnect()
    assert len(recorder.named("disconnected")) == 1


async def test_what_is_no_message_is_counted(client, recorder, session):
    await session.send_raw("no JSON")
    await session.send_raw(b"\x00\x01")
    await session.send("chat", {"text": "hello"})
    while recorder.named("message")[-1][0]["type"] != "chat":
        await recorder.wait_for("message", len(recorder.named("message")) + 1)
    assert client.ignored_messages == {"text that is not a JSON message": 1, "a binary message": 1}


# Connecting


async def test_dead_instances_are_dialled_once(recorder):
    dead = [AkoolInstance(dead=True, avatar_id="avatar-1") for _ in range(2)]
    # Another avatar's, so that it comes last.
    async with AkoolEmulator(instances=[*dead, AkoolInstance(avatar_id="other")]) as emulator:
        client = recorder.listen_to(client_for(emulator))
        await client.connect()
        assert [instance.dials for instance in emulator.instances] == [1, 1, 1]
        assert client.get_connection_info()["current_service"]["port"] == emulator.instances[2].port
        assert len(emulator.discovery_queries) == 1
        await client.disconnect()
    assert recorder.named("error") == []
    assert len(recorder.named("disconnected")) == 1


async def test_a_failed_instance_waits_for_its_turn():
    instances = [AkoolInstance(dead=True) for _ in range(3)]
    async with AkoolEmulator(instances=[AkoolInstance(healthy=False), *instances]) as emulator:
        client = client_for(emulator, max_retry_attempts=6)
        with pytest.raises(akool.RetryError, match="after 6 attempts"):
            await client.connect()
        assert [instance.dials for instance in emulator.instances] == [0, 2, 2, 2]
        assert len(emulator.discovery_queries) == 2


@pytest.mark.parametrize(
    "unusable", [{"status": "busy"}, {"healthy": False}, {"occupied": True}, {"dead": True}]
)
async def test_an_unusable_instance_does_not_matter(unusable):
    instances = [AkoolInstance(**unusable), AkoolInstance()]
    async with AkoolEmulator(instances=instances) as emulator:
        client = client_for(emulator)
        await client.connect()
        assert emulator.instances[1].dials == 1
        await client.disconnect()


@pytest.mark.parametrize("discovery", ["instances", "services"])
async def test_both_answers_of_discovery_lead_to_an_instance(discovery):
    async with AkoolEmulator(discovery=discovery) as emulator:
        client = client_for(emulator, env="prod")
        await client.connect()
        assert emulator.discovery_queries == [{"avatar_id": "avatar-1"}]
        await client.disconnect()


async def test_a_server_url_asks_no_discovery(emulator):
    client = client_for(emulator, server_url=emulator.server_url, session_id="mine")
    await client.connect()
    assert emulator.discovery_queries == []
    assert client.get_connection_info()["server_url"] == emulator.server_url
    assert (emulator.sessions[0].session_id, emulator.sessions[0].avatar_id) == ("mine", "avatar-1")
    await client.disconnect()


async def test_a_server_url_that_fails_is_dialled_once():
    async with AkoolEmulator(instances=[AkoolInstance(dead=True)]) as emulator:
        client = client_for(emulator, server_url=f"127.0.0.1:{emulator.instances[0].port}")
        with pytest.raises(akool.ConnectionError, match="could not connect to 127"):
            await client.connect()
        assert emulator.instances[0].dials == 1


async def test_https_and_wss_mean_tls():
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)

    async def confirm(socket):
        assert socket.request.headers["api_key"] == KEY
        await socket.send(json.dumps({"type": "system", "pld": {"status": "websocket_connected"}}))
        await socket.wait_closed()

    async with serve(confirm, "127.0.0.1", 0, ssl=server_side) as server:
        port = server.sockets[0].getsockname()[1]
        for scheme in ("https", "wss"):
            client = akool.StreamingAvatarClient(
                KEY,
                "avatar-1",
                server_url=f"{scheme}://127.0.0.1:{port}",
                ssl_context=client_side,
                message_timeout=0.01,
            )
            await client.connect()
            assert client.is_connected
            await client.disconnect()


async def test_connecting_twice_is_connecting_once(emulator):
    client = client_for(emulator)
    await asyncio.gather(client.connect(), client.connect())
    await client.connect()
    assert emulator.instances[0].dials == 1
    await client.disconnect()


async def test_a_client_connects_again_after_disconnect(emulator, recorder):
    client = recorder.listen_to(client_for(emulator))
    for _ in range(2):
        await client.connect()
        await client.set_agora_params(**AGORA)
        await client.disconnect()
    (session,) = emulator.sessions
    assert session.connections == 2
    assert len({message["mid"] for message in session.messages}) == len(session.messages) == 6
    assert len(recorder.named("connected")) == len(recorder.named("disconnected")) == 2


async def test_connect_waits_for_a_disconnect_that_is_under_way(emulator, recorder):
    client = recorder.listen_to(client_for(emulator))
    await client.connect()
    disconnecting = asyncio.create_task(client.disconnect())
    await asyncio.sleep(0)
    await client.connect()
    assert disconnecting.done()
    assert client.is_connected
    assert len(recorder.named("connected")) == 2
    await client.disconnect()


async def test_a_cancelled_connect_leaves_nothing(emulator):
    emulator.faults.withhold.add("websocket_connected")
    client = client_for(emulator)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await client.connect()
    assert len(emulator.sessions) == 1
    await emulator.sessions[0].wait_closed()
    assert not client.is_connected
    assert not transport_rest._clients.get(asyncio.get_running_loop())
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not {name for name in names if name.startswith("avatarwire")}


async def test_cancelling_one_connect_does_not_end_another(emulator):
    emulator.faults.withhold.add("websocket_connected")
    client = client_for(emulator)
    connecting = asyncio.create_task(client.connect())
    session = await emulator.wait_for_session()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.connect()
    await session.send("system", {"status": "websocket_connected"})
    await connecting
    assert client.is_connected
    await client.disconnect()


async def test_the_async_client_is_a_context_manager(emulator):
    async with akool.AsyncStreamingAvatarClient(
        KEY, "avatar-1", emulator.discovery_url, heartbeat_interval=15
    ) as client:
        assert client.is_connected
    assert not client.is_connected
    assert emulator.sessions[0].left == "client_disconnect"


async def test_create_client_gives_a_connected_one(emulator):
    client = await akool.create_client(
        KEY, "avatar-1", emulator.discovery_url, env="prod", session_id="mine"
    )
    assert client.is_connected
    assert client.session_id == "mine"
    await client.disconnect()


# Disconnecting


async def test_disconnect_takes_under_50_ms(emulator):
    client, took_s = client_for(emulator), []
    for _ in range(5):
        await client.connect()
        begun = time.perf_counter()
        await client.disconnect()
        took_s.append(time.perf_counter() - begun)
    assert min(took_s) < 0.05  # of several: the machine may be busy


async def test_disconnect_says_goodbye(client, session):
    await client.disconnect()
    assert session.left == "client_disconnect"
    assert await session.wait_closed() == 1000
    await client.disconnect()


async def test_disconnect_does_not_wait_for_an_ack_for_ever(emulator, recorder):
    emulator.faults.withhold.add("ack")
    client = recorder.listen_to(client_for(emulator, message_timeout=0.1))
    await client.connect()
    await client.disconnect()
    assert len(recorder.named("disconnected")) == 1
    assert recorder.named("error") == []


async def test_disconnect_of_a_client_that_is_not_connected_does_nothing(emulator):
    client = client_for(emulator)
    await client.disconnect()
    assert emulator.sessions == []


async def test_disconnect_ends_a_connect_that_is_under_way(emulator):
    emulator.faults.withhold.add("websocket_connected")
    client = client_for(emulator)
    connecting = asyncio.create_task(client.connect())
    await emulator.wait_for_session()
    await client.disconnect()
    with pytest.raises(akool.ConnectionError, match="disconnect"):
        await connecting


@pytest.mark.parametrize("handler", ["on_connected", "on_message", "on_disconnected"])
async def test_disconnect_may_be_called_from_a_handler(emulator, recorder, handler):
    client = recorder.listen_to(client_for(emulator))
    done = asyncio.Event()

    async def leave(*_):
        await client.disconnect()
        done.set()

    setattr(client, handler, leave)
    with contextlib.suppress(akool.ConnectionError):  # it may be disconnected by then
        await client.connect()
    if handler == "on_disconnected":
        await client.disconnect()
    async with asyncio.timeout(3):
        await done.wait()
    assert not client.is_connected


async def test_on_disconnected_has_run_when_disconnect_returns(emulator):
    client, done = client_for(emulator), []

    async def on_disconnected():
        await asyncio.sleep(0.05)
        done.append(client.is_connected)

    client.on_disconnected = on_disconnected
    await client.connect()
    await client.disconnect()
    assert done == [False]


# Parameters


async def test_parameters_reach_the_platform(client, session):
    await client.set_agora_params(
        **AGORA, voice_id="voice", language="de", background_url="https://example.test"
    )
    message = await session.wait_for("set-params")
    assert message["pld"] == {
        "cmd": "set-params",
        "data": {"vid": "voice", "lang": "de", "mode": 3, "bgurl": "https://example.test"},
        "metadata": {
            "agora_data": {
                "appid": "app-1",
                "channel_id": "channel-1",
                "token": "rtc-secret-token",
                "uid": "12345",
            }
        },
    }


async def test_parameters_can_be_changed_on_the_way(emulator, client, session):
    await client.set_agora_params(**AGORA)
    # It is in its channel already, and a platform may not say so again.
    emulator.faults.withhold.add("agora_connected")
    await client.set_agora_params(**AGORA, language="fr")
    await session.wait_for("set-params")
    assert (await session.wait_for("set-params"))["pld"]["data"]["lang"] == "fr"


# Sound


@pytest.mark.parametrize(
    "pcm", [PCM, bytearray(PCM), memoryview(PCM), array.array("h", PCM)], ids=type
)
async def test_sound_arrives_as_it_was(client, session, pcm):
    await client.send_audio(pcm)
    message = await session.wait_for("chat")
    assert base64.b64decode(message["pld"]["audio"]) == PCM


async def test_a_call_is_one_write(client, session, dials, monkeypatch):
    connection = dials.last
    write, sizes = connection.write_batch, []

    def counted(wire):
        sizes.append(len(wire))
        return write(wire)

    monkeypatch.setattr(type(connection), "write_batch", lambda _, wire: counted(wire))
    for size in (2, 2048, 200_000):
        await client.send_audio(bytes(size))
    assert len(sizes) == 3
    await answered(session, "chat", 3)
    assert len(session.pcm) == 202_050


async def as_async(chunks):
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


@pytest.mark.parametrize("source", [list, iter, as_async], ids=["list", "iterator", "async"])
async def test_a_stream_may_be_cut_anywhere(client, session, source):
    chunks = [PCM[:1], PCM[1:3], b"", bytearray(PCM[3:1000]), PCM[1000:]]
    assert await client.send_audio_stream(source(chunks)) == len(PCM)
    await client.interrupt()
    assert bytes(session.pcm) == PCM
    assert kinds(session).count("chat") == 3


async def test_interrupt_ends_a_stream(client, session):
    async def endless():
        while True:
            await asyncio.sleep(0.001)
            yield PCM

    stream = asyncio.create_task(client.send_audio_stream(endless()))
    await answered(session, "chat", 3)
    await client.interrupt()
    async with asyncio.timeout(5):
        sent_bytes = await stream
    seen = [kind for kind in kinds(session) if kind != "ping"]
    assert seen[-1] == "command"
    assert sent_bytes == len(session.pcm) == len(PCM) * seen.count("chat")
    # The next one is not concerned.
    assert await client.send_audio_stream([PCM]) == len(PCM)


async def test_a_full_connection_makes_the_caller_wait(client, session):
    big = bytes(400_000)
    async with asyncio.timeout(10):
        for _ in range(20):
            await client.send_audio(big)
        await client.interrupt()
    assert len(session.pcm) == 20 * len(big)


# The flat form


async def test_the_flat_form(emulator, recorder):
    client = recorder.listen_to(client_for(emulator, wire="flat"))
    await client.connect()
    await client.set_agora_params(**AGORA)
    await client.send_audio(PCM)
    with pytest.raises(akool.AudioStreamError, match='wire="envelope"'):
        await client.interrupt()
    (session,) = emulator.sessions
    await session.wait_for("audio_data")
    await client.disconnect()
    assert session.messages == [
        {"type": "auth", "token": KEY, "avatar_id": "avatar-1"},
        {"type": "ping"},
        {
            "type": "agora_params",
            "data": {"channel": "channel-1", "userId": 12345, "rtcToken": "rtc-secret-token"},
        },
        {"type": "audio_data", "data": base64.b64encode(PCM).decode()},
    ]
    assert (session.left, await session.wait_closed()) == (None, 1000)
    assert len(recorder.named("disconnected")) == 1


# Secrets and leftovers


async def test_keys_and_tokens_are_in_no_log(caplog, recorder):
    caplog.set_level(logging.DEBUG)
    async with AkoolEmulator(api_key=KEY) as emulator:
        client = recorder.listen_to(client_for(emulator))
        await client.connect()
        await client.set_agora_params(**AGORA)
        await client.send_audio(PCM)
        await emulator.sessions[0].send_error(5000, f"what is {KEY}?")
        (error,) = await recorder.wait_for("error")
        assert str(error) == "Server error 5000: what is ***?"
        emulator.sessions[0].cut()
        await recorder.wait_for("disconnected")
        with pytest.raises(akool.AuthenticationError):
            await client_for(emulator, api_key="sk-another-key").connect()
    words = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)
    assert "connecting to 127.0.0.1" in words
    for secret in (KEY, "sk-another-key", "rtc-secret-token", base64.b64encode(PCM[:30]).decode()):
        assert secret not in words


async def test_a_session_leaves_nothing_behind(emulator, recorder):
    client = recorder.listen_to(client_for(emulator, reconnect=True))
    await client.connect()
    await client.set_agora_params(**AGORA)
    await client.disconnect()
    await emulator.sessions[0].wait_closed()
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not {name for name in names if name.startswith("avatarwire")}
