"""Every failure of the protocol's tables, and the documented exception for each."""

import array
import asyncio

import pytest
from recording import AGORA, client_for

from avatarwire import akool
from avatarwire.emulator import AkoolEmulator

NO_HOST = {"ip": "a..b", "port": 80, "status": "available", "healthy": True}
BODY = {"code": 1000, "data": {"instances": []}}


def discovery(**fault):
    return lambda emulator: emulator.fail_next_discovery(**fault)


def refused(*codes):
    def arrange(emulator):
        for code in codes:
            emulator.refuse_next(code)

    return arrange


def withheld(*what):
    return lambda emulator: emulator.faults.withhold.update(what)


def answered_with(kind, code):
    def arrange(emulator):
        emulator.faults.errors[kind] = (code, "on demand")

    return arrange


def replaced(*instances):
    def arrange(emulator):
        emulator.instances[0].healthy = False
        emulator.instances += instances

    return arrange


def nothing(_emulator):
    pass


CONNECTING = {
    "discovery answers HTTP 401": (
        discovery(status=401),
        {},
        akool.AuthenticationError,
        401,
    ),
    "discovery answers code 4001": (
        discovery(body={"code": 4001, "msg": "bad key"}),
        {},
        akool.AuthenticationError,
        4001,
    ),
    "discovery answers another code": (
        discovery(body={"code": 5001, "msg": "busy"}),
        {},
        akool.ServiceDiscoveryError,
        5001,
    ),
    "discovery answers HTTP 403": (
        discovery(status=403),
        {},
        akool.ServiceDiscoveryError,
        403,
    ),
    "discovery answers HTTP 502": (
        discovery(status=502, body="<h1>Bad Gateway</h1>"),
        {},
        akool.ServiceDiscoveryError,
        502,
    ),
    "discovery answers a web page": (
        discovery(body="<h1>Welcome</h1>"),
        {},
        akool.ServiceDiscoveryError,
        None,
    ),
    "discovery answers success false": (
        discovery(body={"success": False}),
        {},
        akool.ServiceDiscoveryError,
        None,
    ),
    "discovery names no instance": (
        discovery(body=BODY),
        {},
        akool.ServiceDiscoveryError,
        None,
    ),
    "discovery names nothing available": (
        replaced(),
        {},
        akool.ServiceDiscoveryError,
        None,
    ),
    "discovery does not answer": (
        discovery(no_answer=True),
        {"discovery_timeout": 0.1},
        akool.ServiceDiscoveryError,
        None,
    ),
    "nobody listens where discovery should be": (
        nothing,
        {"discovery_url": "http://127.0.0.1:1/"},
        akool.ServiceDiscoveryError,
        None,
    ),
    "discovery fails after the first dials": (
        lambda emulator: (
            refused(503, 503)(emulator),
            discovery(body={"code": 1000, "data": {"instances": []}})(emulator),
            emulator.faults.discoveries.rotate(1),
        ),
        {},
        akool.ServiceDiscoveryError,
        None,
    ),
    "discovery names an address that is none": (
        discovery(body={"code": 1000, "data": {"instances": [NO_HOST] * 3}}),
        {"max_retry_attempts": 1},
        akool.RetryError,
        None,
    ),
    "the upgrade is refused with 401": (refused(401), {}, akool.AuthenticationError, 401),
    "the upgrade is refused with 403": (refused(403), {}, akool.AuthenticationError, 403),
    "the upgrade is followed by 4001": (refused(4001), {}, akool.AuthenticationError, 4001),
    "the upgrade is refused with 503": (refused(503, 503, 503), {}, akool.RetryError, 503),
    "every instance is occupied": (refused(4003, 4003, 4003), {}, akool.RetryError, 4003),
    "every instance says too soon": (refused(4004, 4004, 4004), {}, akool.RetryError, 4004),
    "the connection ends before it is confirmed": (
        refused(1011, 1011, 1011),
        {},
        akool.RetryError,
        1011,
    ),
    "the platform does not confirm": (
        withheld("websocket_connected"),
        {"connection_timeout": 0.2, "max_retry_attempts": 1},
        akool.RetryError,
        None,
    ),
    "an instance is dead that was named directly": (
        nothing,
        {"server_url": "127.0.0.1:1"},
        akool.ConnectionError,
        None,
    ),
    "an instance is occupied that was named directly": (
        refused(4003),
        {"server_url": "the emulator's"},
        akool.ConnectionError,
        4003,
    ),
    "an instance that was named directly says too soon": (
        refused(4004),
        {"server_url": "the emulator's"},
        akool.ConnectionError,
        4004,
    ),
    "an instance that was named directly refuses the key": (
        refused(4001),
        {"server_url": "the emulator's"},
        akool.AuthenticationError,
        4001,
    ),
}


@pytest.mark.parametrize("name", CONNECTING)
async def test_connecting_fails(name, emulator, recorder):
    arrange, changes, error, code = CONNECTING[name]
    arrange(emulator)
    if "server_url" in changes and "emulator" in changes["server_url"]:
        changes = changes | {"server_url": emulator.server_url}
    client = recorder.listen_to(client_for(emulator, **changes))
    with pytest.raises(akool.AkoolStreamingAvatarError) as failed:
        await client.connect()
    assert (type(failed.value), failed.value.code) == (error, code)
    assert not client.is_connected
    assert recorder.named("connected") == recorder.named("disconnected") == []


@pytest.mark.parametrize("name", ["the key is wrong", "the key is wrong, in the flat form"])
async def test_the_platform_knows_its_keys(name):
    wire = "flat" if "flat" in name else "envelope"
    async with AkoolEmulator(api_key="another") as emulator:
        client = client_for(emulator, wire=wire)
        with pytest.raises(akool.AuthenticationError):
            await client.connect()
        direct = client_for(emulator, wire=wire, server_url=emulator.server_url)
        with pytest.raises(akool.AuthenticationError):
            await direct.connect()


async def test_a_proxy_that_cannot_be_used_fails_discovery(emulator, monkeypatch):
    monkeypatch.delenv("all_proxy", raising=False)
    monkeypatch.setenv("ALL_PROXY", "nonsense://user:hush@host")
    with pytest.raises(akool.ServiceDiscoveryError, match="ALL_PROXY is not a proxy") as failed:
        await client_for(emulator, discovery_url="http://avatar.invalid/").connect()
    assert failed.value.setting == "ALL_PROXY"
    assert "hush" not in str(failed.value)


async def test_a_refused_key_is_not_tried_again(emulator):
    emulator.refuse_next(401)
    with pytest.raises(akool.AuthenticationError):
        await client_for(emulator).connect()
    assert (emulator.instances[0].dials, len(emulator.discovery_queries)) == (1, 1)


async def test_an_error_before_the_confirmation_fails_the_dial(emulator):
    emulator.faults.withhold.add("websocket_connected")
    emulator.faults.errors["ping"] = (4001, "bad key")
    with pytest.raises(akool.AuthenticationError, match="Server error 4001: bad key") as failed:
        await client_for(emulator).connect()
    assert failed.value.code == 4001


def call(name, *args, **kwargs):
    return lambda client: getattr(client, name)(*args, **kwargs)


SENDING = {
    "empty sound": (nothing, call("send_audio", b""), akool.AudioStreamError, None),
    "half a sample": (nothing, call("send_audio", b"abc"), akool.AudioStreamError, None),
    "sound as text": (nothing, call("send_audio", "abcd"), akool.AudioStreamError, None),
    "sound as floats": (
        nothing,
        call("send_audio", array.array("f", [0.5])),
        akool.AudioStreamError,
        None,
    ),
    "a stream that is one piece": (
        nothing,
        call("send_audio_stream", b"abcd"),
        akool.AudioStreamError,
        None,
    ),
    "a stream of the wrong things": (
        nothing,
        call("send_audio_stream", ["abcd"]),
        akool.AudioStreamError,
        None,
    ),
    "a parameter of the wrong type": (
        nothing,
        call("set_agora_params", **AGORA | {"agora_channel": None}),
        akool.AudioStreamError,
        None,
    ),
    "a user id of the wrong type": (
        nothing,
        call("set_agora_params", **AGORA | {"agora_uid": 1.5}),
        akool.AudioStreamError,
        None,
    ),
    "a parameter that JSON cannot carry": (
        nothing,
        call("set_agora_params", **AGORA | {"agora_uid": 2**64}),
        akool.AudioStreamError,
        None,
    ),
    "parameters are refused": (
        answered_with("set-params", 4005),
        call("set_agora_params", **AGORA),
        akool.AudioStreamError,
        4005,
    ),
    "parameters are not acknowledged": (
        withheld("ack", "agora_connected"),
        call("set_agora_params", **AGORA),
        akool.AudioStreamError,
        None,
    ),
    "the avatar does not come": (
        withheld("agora_connected"),
        call("set_agora_params", **AGORA),
        akool.AudioStreamError,
        None,
    ),
    "an interrupt is refused": (
        answered_with("interrupt", 4006),
        call("interrupt"),
        akool.ConnectionError,
        4006,
    ),
    "an interrupt is not acknowledged": (
        withheld("ack"),
        call("interrupt"),
        akool.ConnectionError,
        None,
    ),
}


@pytest.mark.parametrize("name", SENDING)
async def test_a_call_fails(name, emulator):
    arrange, send, error, code = SENDING[name]
    client = client_for(emulator, message_timeout=0.3)
    await client.connect()
    client._config.connection_timeout = 0.3  # for the avatar alone
    arrange(emulator)
    with pytest.raises(akool.AkoolStreamingAvatarError) as failed:
        await send(client)
    assert (type(failed.value), failed.value.code) == (error, code)
    # The connection is as good as before, and nothing bad was sent.
    emulator.faults.errors.clear()
    emulator.faults.withhold.clear()
    await client.interrupt()
    assert emulator.sessions[0].bad_messages == 0
    if error is akool.AudioStreamError and code is None and arrange is nothing:
        kinds = [message["type"] for message in emulator.sessions[0].messages]
        assert kinds == ["ping", "command"]
    await client.disconnect()


@pytest.mark.parametrize(
    "send",
    [
        call("send_audio", b"abcd"),
        call("send_audio", b""),
        call("send_audio_stream", [b"abcd"]),
        call("interrupt"),
        call("set_agora_params", **AGORA),
    ],
)
async def test_without_a_connection_every_call_fails(send, emulator):
    with pytest.raises(akool.ConnectionError, match="not connected"):
        await send(client_for(emulator))


async def test_an_error_fails_the_call_that_it_names(emulator, client, recorder):
    emulator.faults.errors["set-params"] = (4005, "no such channel")
    emulator.faults.errors_name_mid = True
    emulator.faults.withhold.add("ack")
    interrupt = asyncio.create_task(client.interrupt())
    with pytest.raises(akool.AudioStreamError, match="4005: no such channel"):
        await client.set_agora_params(**AGORA)
    await asyncio.sleep(0)
    assert not interrupt.done()
    (error,) = await recorder.wait_for("error")
    assert str(error) == "Server error 4005: no such channel"
    assert type(error) is akool.ConnectionError
    interrupt.cancel()


async def test_an_error_that_names_none_fails_all_that_wait_at_once(client, emulator, session):
    emulator.faults.withhold |= {"ack", "agora_connected"}
    calls = [
        asyncio.create_task(client.interrupt()),
        asyncio.create_task(client.interrupt()),
        asyncio.create_task(client.set_agora_params(**AGORA)),
    ]
    for kind in ("interrupt", "interrupt", "set-params"):
        await session.wait_for(kind)
    await session.send_error(5000, "restarting")
    async with asyncio.timeout(5):
        failures = await asyncio.gather(*calls, return_exceptions=True)
    assert [(type(failure), failure.code) for failure in failures] == [
        (akool.ConnectionError, 5000),
        (akool.ConnectionError, 5000),
        (akool.AudioStreamError, 5000),
    ]


def test_there_are_thirty():
    assert len(CONNECTING) + len(SENDING) >= 30
