"""A lost connection is replaced, when that is asked for."""

import asyncio

import pytest
from recording import AGORA, client_for

from avatarwire import akool
from avatarwire.akool import client as clients
from avatarwire.akool import reporter
from avatarwire.emulator import AkoolEmulator, AkoolInstance


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(clients, "RECONNECT_BASE_DELAY_S", 0.01)
    monkeypatch.setattr(clients, "RECONNECT_MAX_DELAY_S", 0.05)


@pytest.fixture
async def two():
    async with AkoolEmulator(instances=[AkoolInstance(), AkoolInstance()]) as emulator:
        yield emulator


async def restored(client, recorder):
    """Wait for the second connection and the avatar in its channel."""
    await recorder.wait_for("connected", 2)
    await recorder.wait_for("agora_connected", 2)
    assert client.is_connected


async def test_without_it_a_lost_connection_stays_lost(client, recorder, session, emulator):
    session.cut()
    await recorder.wait_for("disconnected")
    await asyncio.sleep(0.1)
    assert emulator.instances[0].dials == 1
    assert not client.is_connected


async def test_another_instance_takes_over_with_the_same_parameters(two, recorder):
    client = recorder.listen_to(client_for(two, reconnect=True))
    await client.connect()
    await client.set_agora_params(**AGORA, voice_id="voice")
    first = client.get_connection_info()["current_service"]
    (session,) = two.sessions
    session.cut()
    await restored(client, recorder)
    second = client.get_connection_info()["current_service"]
    assert first["port"] != second["port"]
    assert [instance.dials for instance in two.instances] == [1, 1]
    assert two.sessions == [session]  # the same session id
    params = [m["pld"] for m in session.messages if m["pld"].get("cmd") == "set-params"]
    assert len(params) == 2
    assert params[0] == params[1]
    assert params[0]["data"]["vid"] == "voice"
    await client.send_audio(b"abcd")
    await client.interrupt()
    assert bytes(session.pcm) == b"abcd"
    await client.disconnect()
    assert len({m["mid"] for m in session.messages}) == len(session.messages)
    order = [name for name, _ in recorder.calls if name not in {"message", "agora_connected"}]
    assert order == ["connected", "error", "disconnected", "connected", "disconnected"]


async def test_the_only_instance_is_dialled_again(emulator, recorder):
    client = recorder.listen_to(client_for(emulator, reconnect=True))
    await client.connect()
    await client.set_agora_params(**AGORA)
    await emulator.sessions[0].close(1012, "restarting")
    await restored(client, recorder)
    assert emulator.instances[0].dials == 2
    await client.disconnect()


async def test_a_server_url_is_dialled_again(emulator, recorder):
    client = client_for(emulator, reconnect=True, server_url=emulator.server_url)
    recorder.listen_to(client)
    await client.connect()
    emulator.refuse_next(4004, times=2)
    emulator.sessions[0].cut()
    await recorder.wait_for("connected", 2)
    assert emulator.instances[0].dials == 4
    await client.disconnect()


async def test_discovery_may_fail_meanwhile(emulator, recorder):
    client = recorder.listen_to(client_for(emulator, reconnect=True))
    await client.connect()
    emulator.fail_next_discovery(status=503, times=3)
    emulator.sessions[0].cut()
    await recorder.wait_for("connected", 2)
    assert len(emulator.discovery_queries) == 5
    await client.disconnect()


async def test_a_connection_that_is_lost_while_it_is_restored_is_replaced_too(emulator, recorder):
    client = recorder.listen_to(client_for(emulator, reconnect=True))
    await client.connect()
    await client.set_agora_params(**AGORA)
    (session,) = emulator.sessions
    emulator.faults.withhold.add("ack")
    session.cut()
    await recorder.wait_for("connected", 2)
    await session.wait_for("set-params")
    await session.wait_for("set-params")
    emulator.faults.withhold.clear()
    session.cut()
    await recorder.wait_for("connected", 3)
    await recorder.wait_for("agora_connected", 3)
    assert client.is_connected
    assert len(recorder.named("disconnected")) == 2
    await client.disconnect()


async def test_it_is_given_up_after_so_many_dials(emulator, recorder):
    client = client_for(emulator, reconnect=True, reconnect_max_attempts=3)
    recorder.listen_to(client)
    await client.connect()
    emulator.instances[0].occupied = True
    emulator.sessions[0].cut()
    (lost,) = await recorder.wait_for("error", 1)
    (given_up,) = await recorder.wait_for("error", 2)
    assert (type(lost), lost.code) == (akool.ConnectionError, 1006)
    assert (type(given_up), given_up.code) == (akool.RetryError, 4003)
    assert emulator.instances[0].dials == 1 + 3
    # It can still be connected by hand.
    emulator.instances[0].occupied = False
    await client.connect()
    assert client.is_connected
    await client.disconnect()


async def test_a_key_that_is_refused_ends_it(emulator, recorder):
    client = recorder.listen_to(client_for(emulator, reconnect=True))
    await client.connect()
    emulator.refuse_next(401)
    emulator.sessions[0].cut()
    (error,) = await recorder.wait_for("error", 2)
    assert type(error) is akool.AuthenticationError
    assert emulator.instances[0].dials == 2
    assert not client.is_connected


async def test_parameters_that_are_refused_then_are_told(emulator, recorder):
    client = recorder.listen_to(client_for(emulator, reconnect=True))
    await client.connect()
    await client.set_agora_params(**AGORA)
    emulator.faults.errors["set-params"] = (4005, "no such channel")
    emulator.sessions[0].cut()
    await recorder.wait_for("error", 3)
    errors = [(type(error), error.code) for (error,) in recorder.named("error")]
    assert sorted(errors, key=str) == sorted(
        [
            (akool.ConnectionError, 1006),
            (akool.ConnectionError, 4005),
            (akool.AudioStreamError, 4005),
        ],
        key=str,
    )
    assert (client.is_connected, client.is_agora_connected) == (True, False)
    await client.disconnect()


async def test_connect_waits_for_it(emulator, recorder):
    client = recorder.listen_to(client_for(emulator, reconnect=True))
    await client.connect()
    emulator.fail_next_discovery(status=503)
    emulator.sessions[0].cut()
    await recorder.wait_for("disconnected")
    await client.connect()
    assert client.is_connected
    assert emulator.instances[0].dials == 2
    await client.disconnect()


async def test_disconnect_ends_it(emulator, recorder):
    client = recorder.listen_to(client_for(emulator, reconnect=True))
    await client.connect()
    emulator.fail_next_discovery(status=503, times=100)
    emulator.sessions[0].cut()
    await recorder.wait_for("disconnected")
    await client.disconnect()
    asked = len(emulator.discovery_queries)
    await asyncio.sleep(0.1)
    assert len(emulator.discovery_queries) == asked
    assert [type(error) for (error,) in recorder.named("error")] == [akool.ConnectionError]


async def test_a_platform_that_drops_every_session_is_not_dialled_in_a_loop(
    emulator, recorder, monkeypatch
):
    monkeypatch.setattr(clients, "RECONNECT_BASE_DELAY_S", 30.0)
    monkeypatch.setattr(clients, "RECONNECT_MAX_DELAY_S", 60.0)
    monkeypatch.setattr("avatarwire.transport.backoff.random.random", lambda: 1.0)
    client = recorder.listen_to(client_for(emulator, reconnect=True))
    await client.connect()
    emulator.sessions[0].cut()
    await recorder.wait_for("connected", 2)  # the first time at once
    emulator.sessions[0].cut()
    await recorder.wait_for("disconnected", 2)
    await asyncio.sleep(0.1)
    assert emulator.instances[0].dials == 2
    await client.disconnect()


async def test_a_handler_that_connects_again_does_not_hold_up_disconnect(client, caplog):
    handled = asyncio.Event()

    async def connect_again():
        try:
            await client.connect()
        finally:
            handled.set()

    client.on_disconnected = connect_again
    async with asyncio.timeout(reporter.HANDLER_LIMIT_S / 2):
        await client.disconnect()
    assert handled.is_set()
    assert not client.is_connected
    assert "disconnect() is under way" in caplog.text


async def test_a_handler_may_connect_again_when_the_connection_was_lost(client, session, recorder):
    client.on_disconnected = client.connect
    session.cut()
    await recorder.wait_for("connected", 2)
    assert client.is_connected
    client.on_disconnected = None


async def test_another_client_goes_on_with_the_same_id_and_the_same_parameters(
    client, recorder, session, emulator
):
    await client.set_agora_params(**AGORA)
    other = client_for(emulator, session_id=client.session_id)
    await other.connect()
    await recorder.wait_for("disconnected")
    await other.set_agora_params(**AGORA)
    await other.send_audio(b"abcd")
    await other.interrupt()
    assert emulator.sessions == [session]
    assert (session.connections, bytes(session.pcm)) == (2, b"abcd")
    await other.disconnect()
