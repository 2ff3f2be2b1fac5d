"""What goes to another process or into a log of it: every public error and value."""

import copy
import dataclasses
import inspect
import pickle
from enum import Enum
from types import MappingProxyType

import pytest

import avatarwire
from avatarwire import akool, audio, codec, errors, liveavatar
from avatarwire.akool import exceptions
from avatarwire.akool.config import Instance
from avatarwire.liveavatar.events import ResourceTransitionData, ResponseStateEvent
from avatarwire.streaming.lateness import Lateness
from avatarwire.streaming.playout import Playout

FACES = [avatarwire, akool, akool.exceptions, audio, codec, errors, liveavatar]
#: How to make what does not take any words.
ARGUMENTS = {
    "SessionStartError": (40001, avatarwire.ErrorCode.NO_RENDERER_POD, "words", "advice"),
    "SessionLostError": (1006, "words"),
    "BacklogFullError": (9, 10),
    "MissingExtraError": ("resampling", "audio"),
}


def public(kind):
    found = {}
    for face in FACES:
        names = getattr(face, "__all__", None) or [n for n in vars(face) if n[0] != "_"]
        for name in names:
            value = getattr(face, name)
            if inspect.isclass(value) and issubclass(value, kind):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return [found[name] for name in sorted(found)]


ERRORS = public(avatarwire.AvatarwireError)


def made(kind):
    error = kind(*ARGUMENTS.get(kind.__name__, ("words",)))
    for name, value in vars(error).items():
        if value is None:
            setattr(error, name, f"the {name}" if name == "setting" else 4001)
    error.add_note("where it happened")
    return error


WAYS = {
    **{
        f"pickle {protocol}": lambda value, protocol=protocol: pickle.loads(  # noqa: S301
            pickle.dumps(value, protocol)
        )
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def test_there_are_errors_to_test():
    assert {errors.MissingExtraError, avatarwire.SessionStartError, exceptions.RetryError} <= {
        *ERRORS
    }
    assert len(ERRORS) > 20


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_comes_back_as_it_was(kind, way):
    error = made(kind)
    again = way(error)
    assert type(again) is kind
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


def _filled(kind):
    numbers = {"seq": 3, "timestamp": 40}
    return {f.name: numbers.get(f.name, f.name) for f in dataclasses.fields(kind)}


STATS = {
    **dict.fromkeys((field.name for field in dataclasses.fields(avatarwire.AgentStats)), 1),
    "dropped": MappingProxyType({"backlog_bytes": 3}),
}

VALUES = [
    avatarwire.AgentStats(**STATS),
    avatarwire.AvatarAgentConfig("key-of-mine", "avatar", voice_config={"speed": 1.0}),
    avatarwire.SessionStartResult("s", "https://sfu", "token", "agent", "wss://h/?t=1"),
    avatarwire.AudioFrame(payload=b"\x01\x00", seq=3, timestamp=40),
    avatarwire.ImageFrame(format=1, quality=80, image_id=1, width=2, height=3, payload=b"jpeg"),
    avatarwire.ExternalAudioFrame(1, 2, b"\x01\x00"),
    ResponseStateEvent(**_filled(ResponseStateEvent)),
    ResourceTransitionData(**_filled(ResourceTransitionData)),
    audio.PcmFormat(16000),
    Instance("host", 80),
    avatarwire.Gap(1, 2, 3, 40),
    Playout("completed", 1.0, 1.0, 0.0, 1.0),
]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_histogram_comes_back_with_what_it_has_counted(way):
    lateness = Lateness()
    for late_s in (0.0, 0.004, 2.5):
        lateness.add(late_s)
    again = way(lateness)
    assert (again.counts, again.max_ms) == (lateness.counts, 2500)
    lateness.add(0.0)
    assert sum(again.counts) == 3


def test_every_public_dataclass_is_among_the_values():
    kinds = {kind for kind in public(object) if dataclasses.is_dataclass(kind)}
    assert kinds <= {type(value) for value in VALUES}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_every_value_comes_back_as_it_was(value, way):
    again = way(value)
    assert type(again) is type(value)
    assert again == value
    assert repr(again) == repr(value)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("member", [each for kind in public(Enum) for each in kind], ids=str)
def test_every_member_of_an_enumeration_is_the_same_again(member, way):
    assert way(member) is member
