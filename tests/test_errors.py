"""The tree of errors: what each carries survives on the way out of a process."""

import pickle

import pytest

import avatarwire
from avatarwire import akool, errors
from avatarwire.errors import AvatarwireError
from avatarwire.liveavatar.errors import ErrorCode

ARGUMENTS: dict[str, tuple[object, ...]] = {
    "SessionStartError": (40003, ErrorCode.SESSION_START_FAILED, "in words", "look at it"),
    "ConnectFailedError": ("in words", 503),
    "SessionLostError": (1011, "in words"),
    "BacklogFullError": (5, 4),
    "MissingExtraError": ("resampling", "audio"),
}
OF_A_SETTING = ["SessionLostError", "BacklogFullError", "MissingExtraError"]


def tree(base: type[AvatarwireError]) -> list[type[AvatarwireError]]:
    return [base, *(below for child in base.__subclasses__() for below in tree(child))]


@pytest.mark.parametrize("kind", tree(AvatarwireError))
def test_an_error_pickles_with_all_that_it_carries(kind: type[AvatarwireError]) -> None:
    error = kind(*ARGUMENTS.get(kind.__name__, ("in words",)))
    error.setting = "base_url"
    error.add_note("a note")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(copy) is kind
    assert (str(copy), vars(copy), copy.args) == (str(error), vars(error), error.args)


@pytest.mark.parametrize(
    "kind", [it for it in tree(AvatarwireError) if it.__name__ not in OF_A_SETTING]
)
def test_an_error_names_the_setting_to_blame(kind: type[AvatarwireError]) -> None:
    arguments = ARGUMENTS.get(kind.__name__, ("in words",))
    assert kind(*arguments).setting is None
    assert kind(*arguments, setting="api_key").setting == "api_key"


def test_too_much_that_waits_blames_the_limit() -> None:
    assert errors.BacklogFullError(5, 4).setting == "reconnect_buffer_bytes"


def test_both_faces_have_every_error() -> None:
    for kind in tree(AvatarwireError):
        if kind.__module__.startswith("avatarwire"):
            face = akool if "akool" in kind.__module__ else avatarwire
            assert getattr(face, kind.__name__) is kind


@pytest.mark.parametrize(
    ("kind", "builtin"), [(errors.SettingError, ValueError), (errors.SettingTypeError, TypeError)]
)
def test_a_wrong_setting_is_caught_as_before(
    kind: type[AvatarwireError], builtin: type[Exception]
) -> None:
    assert issubclass(kind, builtin)
