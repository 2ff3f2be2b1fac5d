import uuid

import pytest

from avatarwire.akool import AuthenticationError, ConfigurationError, StreamingAvatarClient
from avatarwire.akool.config import ClientConfig, Instance

KEY = "sk-secret-key"
URL = "https://api.akool.test:9/streamingAvatar/service_status"


def config(**changes):
    return ClientConfig(**{"api_key": KEY, "avatar_id": "avatar-1", **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"api_key": ""},
        {"api_key": "  "},
        {"api_key": None},
        {"api_key": "sk\n"},
        {"api_key": "sk-schlüssel"},
        {"avatar_id": ""},
        {"avatar_id": None},
        {"avatar_id": URL},
    ],
)
def test_a_missing_key_or_avatar_is_an_authentication_error(changes):
    with pytest.raises(AuthenticationError, match=next(iter(changes))) as caught:
        config(**changes)
    assert caught.value.setting == next(iter(changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"env": "staging"},
        {"wire": "round"},
        {"session_id": 7},
        {"max_retry_attempts": 0},
        {"max_retry_attempts": 1.5},
        {"max_retry_attempts": True},
        {"reconnect_max_attempts": 0},
        {"max_message_bytes": 0},
        {"max_message_bytes": 1e6},
        {"heartbeat_interval": 0},
        {"connection_timeout": -1},
        {"discovery_timeout": float("nan")},
        {"message_timeout": float("inf")},
        {"pong_timeout": "10"},
        {"discovery_url": "api.akool.test"},
        {"discovery_url": "ftp://api.akool.test"},
        {"discovery_url": "https://"},
        {"discovery_url": "https://user:password@host"},
        {"discovery_url": None},
        {"server_url": "http://"},
        {"server_url": "http://[::1"},
        {"server_url": "ftp://host"},
        {"server_url": "host:port"},
        {"server_url": "host:99999"},
        {"server_url": "a b:80"},
        {"server_url": 8080},
    ],
)
def test_a_setting_that_cannot_work_is_a_configuration_error(changes):
    with pytest.raises(ConfigurationError, match=next(iter(changes))) as caught:
        config(**changes)
    assert caught.value.setting == next(iter(changes))


def test_a_url_is_not_quoted_by_the_error_that_refuses_it():
    with pytest.raises(ConfigurationError) as failed:
        config(server_url="http://user:hush@host:80")
    assert "hush" not in str(failed.value)


@pytest.mark.parametrize(
    ("env", "query"),
    [
        ("test", {"avatar_id": "avatar-1", "group_name": "WEBSOCKET_GROUP_TEST"}),
        ("prod", {"avatar_id": "avatar-1"}),
    ],
)
def test_discovery_is_asked_at_the_origin_of_its_url(env, query):
    expected = "https://api.akool.test:9/streamingAvatar/service_status"
    for url in (URL, "https://api.akool.test:9", "https://api.akool.test:9/other/"):
        assert config(env=env, discovery_url=url).discovery_request() == (expected, query)


@pytest.mark.parametrize(
    ("server_url", "websocket_url"),
    [
        ("host:81", "ws://host:81"),
        ("host", "ws://host:80"),
        ("10.0.0.1:81", "ws://10.0.0.1:81"),
        ("http://host", "ws://host:80"),
        ("http://host:81/", "ws://host:81"),
        ("https://host", "wss://host:443"),
        ("https://host:81/some/path", "wss://host:81"),
        ("ws://host:81", "ws://host:81"),
        ("wss://host", "wss://host:443"),
        (" wss://host:81 ", "wss://host:81"),
        ("ws://[::1]:81", "ws://[::1]:81"),
    ],
)
def test_server_url(server_url, websocket_url):
    instance = config(server_url=server_url).direct_instance()
    assert instance.websocket_url == f"{websocket_url}/streamingAvatar/ws/v1"
    assert instance.is_available


def test_without_a_server_url_there_is_no_direct_instance():
    assert config().direct_instance() is None
    assert config(server_url="").direct_instance() is None


@pytest.mark.parametrize(
    ("status", "healthy", "available"),
    [
        ("available", True, True),
        ("active", True, True),
        ("busy", True, False),
        ("available", False, False),
    ],
)
def test_an_instance_is_available_when_it_is_healthy_and_says_so(status, healthy, available):
    assert Instance("host", 1, status=status, healthy=healthy).is_available is available


def test_a_session_has_an_id():
    assert config(session_id="mine").session_id == "mine"
    assert uuid.UUID(config().session_id).version == 4
    assert config().session_id != config().session_id


@pytest.mark.parametrize(
    "client",
    [
        lambda: StreamingAvatarClient(KEY, "avatar-1", URL),
        lambda: StreamingAvatarClient(KEY, URL, "avatar-1"),
        lambda: StreamingAvatarClient(api_key=KEY, discovery_url=URL, avatar_id="avatar-1"),
    ],
)
def test_both_documented_orders_of_arguments_work(client):
    made = client()
    assert made._config.discovery_url == URL
    assert made.get_connection_info()["avatar_id"] == "avatar-1"


def test_the_key_is_in_no_repr():
    assert KEY not in repr(config())
    client = StreamingAvatarClient(KEY, "avatar-1")
    assert KEY not in repr(client)
    assert repr(client).startswith("<StreamingAvatarClient 'avatar-1' not connected, session ")


@pytest.mark.parametrize(
    "changes",
    [
        {"discovery_url": "https://host/path?api_key=pass-word"},
        {"discovery_url": "https://host/#pass-word"},
        {"server_url": "wss://host:81/?token=pass-word"},
        {"server_url": "host:81?pass-word"},
    ],
)
def test_a_url_with_a_query_is_refused_and_not_quoted(changes):
    (name,) = changes
    with pytest.raises(ConfigurationError, match=rf"{name} has a \? or a #") as caught:
        config(**changes).direct_instance()
    assert caught.value.setting == name
    assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"discovery_url": "https://user:pass-word@host"},
        {"server_url": "wss://user:pass-word@host"},
        {"server_url": "user:pass-word@host:81"},
    ],
)
def test_a_url_with_a_password_is_refused_for_that(changes):
    (name,) = changes
    with pytest.raises(ConfigurationError, match=f"{name} has a name or a password") as caught:
        config(**changes).direct_instance()
    assert caught.value.setting == name
    assert "pass-word" not in str(caught.value)
