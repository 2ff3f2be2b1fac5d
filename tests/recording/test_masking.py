import pytest

from avatarwire.recording.masking import masked, masked_words

NAMES = [
    "token", "rtcToken", "agora_token", "authToken", "api_key", "apiKey", "API-KEY", "x-api-key",
    "Authorization", "secret", "clientSecret", "password", "passwd", "key", "auth", "jwt",
    "credentials", "Cookie", "signature", "privateKey", "sessionKey", "accessKeyId",
]  # fmt: skip


def same(words):
    return words


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["abc", 123, ["abc"], {"deep": "abc"}])
def test_what_is_called_so_is_not_shown(name, value):
    assert masked({"a": [{name: value}]}, same) == {"a": [{name: "***"}]}


@pytest.mark.parametrize("name", ["text", "keyboard", "event", "author", "passage", "seq"])
def test_other_names_are_left(name):
    assert masked({name: "abc"}, same) == {name: "abc"}


@pytest.mark.parametrize("value", [None, "", True, False])
def test_that_there_is_none_is_no_secret(value):
    assert masked({"token": value}, same) == {"token": value}


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("it is eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_1 now", "it is *** now"),
        ("Bearer abc.def here", "Bearer *** here"),
        ("wss://host/p?token=abcdef&room=1", "wss://host/p?token=***&room=1"),
        ("wss://host/p?x=1&agent_token=abcdef#f", "wss://host/p?x=1&agent_token=***#f"),
        ("sk-abcdefghijkl1234", "***"),
        ("007eJxTYBBbsMMnKq7p9Hf/HcIX5kce9b518kCiQgSr5Zrp4X1Tu6UUA=", "***"),
        ("a token of love, a key to the door", "a token of love, a key to the door"),
    ],
)
def test_what_looks_like_one_is_not_shown_wherever_it_stands(words, shown):
    assert masked_words(words, same) == shown
    assert masked({"data": [words]}, same) == {"data": [shown]}


def test_what_the_session_knows_is_not_shown_in_names_either():
    def redacted(words):
        return words.replace("plainword", "***")

    value = {"note": "my plainword", "plainword": [1, "plainword"]}
    assert masked(value, redacted) == {"note": "my ***", "***": [1, "***"]}
