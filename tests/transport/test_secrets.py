import copy
import dataclasses
import json
import pickle

import pytest

from avatarwire.codec import client_message
from avatarwire.transport import (
    KeepsSecrets,
    Secret,
    SecretBytes,
    are_legal,
    redacted,
    secrets_in_url,
)


@pytest.mark.parametrize(
    ("headers", "legal"),
    [
        ({}, True),
        ({"api_key": "sk-1 2\t3"}, True),
        ({"api_key": ""}, False),
        ({"api_key": "sk\n"}, False),
        ({"api_key": " sk"}, False),
        ({"api_key": "schlüssel"}, False),
        ({"api key": "sk"}, False),
        ({"": "sk"}, False),
    ],
)
def test_only_what_http_can_carry_is_legal(headers, legal):
    assert are_legal(headers) is legal


def test_a_secret_is_taken_out_of_words():
    assert redacted("no such key: sk-12345678!", "sk-12345678") == "no such key: ***!"


def test_what_is_too_short_to_be_a_secret_does_not_eat_the_words():
    assert redacted("a bad key", "a") == "a bad key"


def test_a_secret_is_its_text_in_all_but_its_repr():
    secret = Secret("sk-12345678")
    assert secret == "sk-12345678"
    assert hash(secret) == hash("sk-12345678")
    assert f"Bearer {secret}" == "Bearer sk-12345678"
    assert "%s" % secret == str(secret) == "sk-12345678"  # noqa: UP031
    assert json.dumps({"key": secret}) == '{"key": "sk-12345678"}'
    assert (secret.encode(), secret[:3]) == (b"sk-12345678", "sk-")
    assert "12345678" not in repr({"key": [secret]})
    for again in (copy.copy(secret), copy.deepcopy(secret), pickle.loads(pickle.dumps(secret))):  # noqa: S301
        assert type(again) is Secret
        assert again == secret


@dataclasses.dataclass(eq=False)
class Account(KeepsSecrets):
    name: str
    key: str = dataclasses.field(repr=False)
    limit: int = dataclasses.field(default=3, repr=False)


def test_a_field_outside_of_the_repr_is_secret_whenever_it_is_set():
    account = Account("me", "sk-12345678")
    assert (type(account.name), type(account.key), account.limit) == (str, Secret, 3)
    account.key = "sk-87654321"
    assert type(account.key) is Secret
    assert account == Account("me", "sk-87654321")
    assert account != Account("me", "sk-12345678")
    assert account != "me"
    with pytest.raises(TypeError, match="unhashable"):
        hash(account)
    assert "sk-8" not in repr(vars(account))


def test_what_of_a_url_a_peer_must_not_be_quoted_with():
    url = "wss://h/live/0123456789abcdef?token=fedcba9876543210&room=lobby"
    words = f"{url} 0123456789abcdef fedcba9876543210 live lobby"
    assert redacted(words, *secrets_in_url(url)) == "*** *** *** live lobby"
    assert secrets_in_url(None) == secrets_in_url("") == []
    assert secrets_in_url("wss://[") == ["wss://["]


def test_the_longest_secret_is_taken_out_first():
    assert redacted("12345678 12345678901", "12345678", "12345678901", None) == "*** ***"


def test_secret_bytes_are_their_bytes_in_all_but_their_repr():
    secret = SecretBytes(b"sk-12345678")
    assert secret == b"sk-12345678"
    assert client_message(secret, text=True)[6:] != secret
    assert len(client_message(secret, text=True)) == 6 + len(secret)
    assert "12345678" not in repr([secret])
    assert type(pickle.loads(pickle.dumps(secret))) is SecretBytes  # noqa: S301
