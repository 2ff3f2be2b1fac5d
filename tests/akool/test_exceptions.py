import builtins
import pickle

import pytest

from avatarwire import AvatarwireError, akool
from avatarwire.akool import exceptions

NAMES = [
    "AuthenticationError",
    "ConnectionError",
    "ServiceDiscoveryError",
    "AudioStreamError",
    "RetryError",
    "ConfigurationError",
]


@pytest.mark.parametrize("name", [*NAMES, "AkoolStreamingAvatarError"])
def test_the_face_and_the_module_have_the_published_names(name):
    error = getattr(exceptions, name)
    assert getattr(akool, name) is error
    assert issubclass(error, akool.AkoolStreamingAvatarError)
    assert issubclass(error, AvatarwireError)


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ConnectionError", builtins.ConnectionError),
        ("RetryError", builtins.ConnectionError),
        ("ConfigurationError", ValueError),
    ],
)
def test_what_a_user_would_catch_catches_them(name, builtin):
    assert issubclass(getattr(akool, name), builtin)


@pytest.mark.parametrize("name", NAMES)
def test_words_and_code_survive_pickling(name):
    error = getattr(akool, name)("in words", code=4003)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(copy), str(copy), copy.code) == (type(error), "in words", 4003)
    assert getattr(akool, name)("in words").code is None


def test_the_published_constructors_work():
    assert str(akool.ConnectionError("in words")) == "in words"
    assert str(akool.RetryError()) == ""
