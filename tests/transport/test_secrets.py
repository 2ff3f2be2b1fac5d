import pytest

from avatarwire.transport import are_legal, redacted


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
