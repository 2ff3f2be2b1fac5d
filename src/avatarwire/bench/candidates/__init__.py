"""Who can do the work: this package, and what else a program could use for it.

A candidate is a class that is made without arguments, has a ``name``, and has an operation for each
workload that it can do. ``distributions``, if it has them, are the packages whose versions belong
to its figures. One that has ``is_bound`` does less than the job: what can be had at most.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from avatarwire.bench.candidates.layouts import Bitstruct, Construct, Ctypes, Struct
from avatarwire.bench.candidates.masking import IntXor, Picows, Websockets, Wsproto
from avatarwire.bench.candidates.ours import Avatarwire
from avatarwire.bench.candidates.published import AkoolSdk, LiveAvatarSdk
from avatarwire.bench.candidates.sound import (
    Audioop,
    Heap,
    Numpy,
    PythonLoop,
    Samplerate,
    Scipy,
    Soxr,
)
from avatarwire.bench.candidates.texts import (
    Json,
    Msgspec,
    Orjson,
    OrjsonAlone,
    Pybase64Alone,
)

__all__ = ["CANDIDATES", "AkoolSdk", "Avatarwire", "CandidateClass", "LiveAvatarSdk"]

CandidateClass: TypeAlias = Callable[[], Any]

#: Ours is the first: ratios are to it.
CANDIDATES: tuple[CandidateClass, ...] = (
    Avatarwire,
    LiveAvatarSdk,
    AkoolSdk,
    Struct,
    Ctypes,
    Bitstruct,
    Construct,
    Numpy,
    Websockets,
    Picows,
    Wsproto,
    IntXor,
    Orjson,
    Msgspec,
    Json,
    OrjsonAlone,
    Pybase64Alone,
    Heap,
    Audioop,
    PythonLoop,
    Soxr,
    Scipy,
    Samplerate,
)
