import random
import socket

import pytest

from avatarwire.akool import AuthenticationError, ServiceDiscoveryError
from avatarwire.akool.config import ClientConfig, Instance
from avatarwire.akool.discovery import discover, instances_in, ordered
from avatarwire.transport import Response, shared_client

KEY = "sk-secret-key"
ENTRY = {
    "ip": "10.0.0.1",
    "port": 8052,
    "avatar_id": "avatar-1",
    "status": "available",
    "healthy": True,
    "index": 3,
}


def answer(*instances, **more):
    return Response(
        200, {"code": 1000, "msg": "OK", "data": {"instances": list(instances)}, **more}
    )


def test_the_form_that_the_service_sends():
    assert instances_in(answer(ENTRY, ENTRY | {"healthy": False, "status": "busy"})) == [
        Instance("10.0.0.1", 8052, "avatar-1", "available", True, 3),
        Instance("10.0.0.1", 8052, "avatar-1", "busy", False, 3),
    ]


def test_the_form_that_the_readme_shows():
    services = [
        {"host": "avatar1.akool.test", "port": 8080, "status": "active"},
        {"host": "avatar2.akool.test", "port": 8080, "status": "inactive"},
    ]
    read = instances_in(Response(200, {"success": True, "data": {"services": services}}))
    assert [(one.ip, one.port, one.is_available) for one in read] == [
        ("avatar1.akool.test", 8080, True),
        ("avatar2.akool.test", 8080, False),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"ip": None},
        {"ip": ""},
        {"ip": "evil.test/x?"},
        {"ip": "user@evil.test"},
        {"ip": "a b"},
        {"port": "8052"},
        {"port": 0},
        {"port": 65536},
        {"port": True},
    ],
)
def test_an_entry_that_cannot_be_dialled_is_passed_over(changes, caplog):
    (only,) = instances_in(answer(ENTRY | changes, ENTRY))
    assert only.ip == "10.0.0.1"
    assert "1 of 2 instances" in caplog.text
    assert instances_in(answer("not an object", ENTRY)) == [only]


def test_an_entry_without_its_health_is_not_available():
    entry = {key: value for key, value in ENTRY.items() if key != "healthy"}
    assert not instances_in(answer(entry))[0].is_available


@pytest.mark.parametrize(
    ("status", "body", "error", "words", "code"),
    [
        (401, None, AuthenticationError, "refused the API key", 401),
        (401, {"msg": "who?"}, AuthenticationError, "who", 401),
        (200, {"code": 4001, "msg": "bad"}, AuthenticationError, "bad", 4001),
        (403, None, ServiceDiscoveryError, "HTTP 403: is discovery_url right", 403),
        (500, {"msg": "broken"}, ServiceDiscoveryError, "HTTP 500: broken", 500),
        (302, None, ServiceDiscoveryError, "HTTP 302", 302),
        (200, {"code": 5000, "msg": "busy"}, ServiceDiscoveryError, "code 5000: busy", 5000),
        (200, {"code": 5000}, ServiceDiscoveryError, "code 5000", 5000),
        (200, {"success": False, "message": "no"}, ServiceDiscoveryError, "refused: no", None),
        (200, None, ServiceDiscoveryError, "without JSON", None),
        (200, [], ServiceDiscoveryError, "without JSON", None),
        (200, {"code": 1000}, ServiceDiscoveryError, "neither instances nor services", None),
        (200, {"code": 1000, "data": []}, ServiceDiscoveryError, "neither", None),
        (200, {"data": {"instances": {}}}, ServiceDiscoveryError, "neither", None),
    ],
)
def test_every_other_answer_is_its_error(status, body, error, words, code):
    with pytest.raises(error, match=words) as failed:
        instances_in(Response(status, body), KEY)
    assert type(failed.value) is error
    assert failed.value.code == code


def test_a_redirect_of_discovery_says_where_to():
    moved = Response(301, None, f"https://h.test/{KEY}")
    with pytest.raises(
        ServiceDiscoveryError, match=r"it points to https://h.test/\*\*\*$"
    ) as failed:
        instances_in(moved, KEY)
    assert failed.value.setting == "discovery_url"


@pytest.mark.parametrize(
    ("answer", "setting"),
    [
        (Response(401, None), "api_key"),
        (Response(404, None), "discovery_url"),
        (Response(429, None), None),
        (Response(503, None), None),
        (Response(200, None), "discovery_url"),
        (Response(200, {"data": {}}), "discovery_url"),
        (Response(200, {"code": 5000}), "avatar_id"),
    ],
)
def test_the_setting_to_blame_is_named(answer, setting):
    with pytest.raises((AuthenticationError, ServiceDiscoveryError)) as failed:
        instances_in(answer, KEY)
    assert failed.value.setting == setting


def test_an_answer_that_quotes_the_key_does_not_spread_it():
    with pytest.raises(AuthenticationError) as failed:
        instances_in(Response(200, {"code": 4001, "msg": f"unknown key {KEY}"}), KEY)
    assert str(failed.value).endswith("unknown key ***")


def instance(number, avatar_id="avatar-1"):
    return Instance(f"10.0.0.{number}", 80, avatar_id)


def config(**changes):
    return ClientConfig(api_key=KEY, avatar_id="avatar-1", **changes)


def test_ours_come_before_those_of_another_avatar_and_failed_ones_last():
    instances = [
        instance(1, "other"),
        instance(2),
        instance(3),
        instance(4, "other"),
        instance(5),
    ]
    failed = {("10.0.0.2", 80), ("10.0.0.4", 80)}
    for seed in range(20):
        random.seed(seed)
        order = [
            int(one.ip[-1]) for one in ordered(instances, config(max_retry_attempts=9), failed)
        ]
        assert (set(order[:2]), order[2:]) == ({3, 5}, [1, 2, 4])


def test_at_most_max_retry_attempts_are_chosen():
    assert len(ordered([instance(n) for n in range(9)], config(), set())) == 3


def test_chance_spreads_clients_over_the_instances():
    random.seed(1)
    first = {ordered([instance(n) for n in range(4)], config(), set())[0].ip for _ in range(100)}
    assert len(first) == 4


async def test_nobody_there_names_who_was_asked_and_what_to_look_at():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with shared_client() as client:
        with pytest.raises(ServiceDiscoveryError) as failed:
            await discover(client, config(discovery_url=f"http://127.0.0.1:{port}/"))
    words = str(failed.value)
    assert words.startswith(f"service discovery failed: the request to 127.0.0.1:{port} failed: ")
    assert words.endswith(": is it running? check discovery_url")
    assert failed.value.__suppress_context__
