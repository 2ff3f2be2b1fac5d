"""The pieces of work that codecs are compared by: what goes in, and what has to come out.

A workload is an operation of a candidate: a method of its name that is given the input once and
returns a call without arguments, which is what is timed. What the call returns is checked first.
"""

import base64
import json
import math
import random
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from avatarwire.bench import reference
from avatarwire.bench.reference import External, Fields, Image

__all__ = ["WORKLOADS", "Call", "Workload", "workload"]

Call: TypeAlias = Callable[[], Any]
Inputs: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """One piece of work.

    Attributes:
        name: the operation.
        title: what it does.
        size: how many bytes of sound, image or text one call handles.
        cases: makes inputs afresh; candidates are checked with all, and timed with the first.
        fault: says what is wrong with what came out for an input; None: nothing.
        is_framing: whether it cuts sound into frames, which programs do in many threads.
    """

    name: str
    title: str
    size: int
    cases: Callable[[], list[Inputs]]
    fault: Callable[[Any, Inputs], str | None]
    is_framing: bool = False


@cache
def _noise(size: int) -> bytes:
    return random.Random(1).randbytes(size)  # noqa: S311 - no secret


def _frame(payload: bytes = b"") -> Fields:
    return Fields(0, 1, 7, 280, reference.RATE_BITS, 960, 0, payload)


# Each field at an end of its range, with a bit in each of its neighbours.
_ODD_FRAMES = (
    Fields(1, 0, 4095, 1_048_575, 0, 4095, 1, b"\x00\xff"),
    Fields(0, 1, 0, 0, 2, 1, 0, b""),
    Fields(1, 1, 2730, 699_050, 2, 2730, 1, b"x"),
)
_ODD_IMAGES = (Image(15, 255, 65535, 65535, 65535, b"\xff"), Image(0, 0, 1, 2, 3, b""))
_ODD_EXTERNALS = (
    External(2**64 - 1, -(2**63), b"\xff\x00"),
    External(1, 2**62 + 1, b"\x01\x02"),
)


# What is wrong with a result.


def _differs(got: object, expected: bytes) -> str | None:
    if not isinstance(got, bytes | bytearray | memoryview):
        return f"returned {type(got).__name__}, not bytes"
    if got == expected:
        return None
    if len(got) != len(expected):
        return f"returned {len(got):,} bytes, not {len(expected):,}"
    at = next(at for at, byte in enumerate(bytes(got)) if byte != expected[at])
    return f"byte {at:,} is 0x{got[at]:02x}, not 0x{expected[at]:02x}"


def _other_fields(got: Any, expected: Mapping[str, int]) -> str | None:  # noqa: ANN401
    for name, value in expected.items():
        found = got[name] if isinstance(got, Mapping) else getattr(got, name, None)
        if found != value:
            return f"{name} is {found!r}, not {value}"
    return None


def _other_frame(got: Any, expected: Mapping[str, int], payload: bytes) -> str | None:  # noqa: ANN401
    fields, sound = got
    return _other_fields(fields, expected) or _differs(sound, payload)


def _other_messages(got: Any, expected: list[bytes]) -> str | None:  # noqa: ANN401
    if len(got) != len(expected):
        return f"returned {len(got)} messages, not {len(expected)}"
    for at, (message, right) in enumerate(zip(got, expected, strict=True)):
        fault = _differs(message, right)
        if fault is not None:
            return f"message {at}: {fault}"
    return None


def _other_masked(got: Any, first: int, expected: list[bytes]) -> str | None:  # noqa: ANN401
    if not isinstance(got, bytes | bytearray | memoryview):
        got = b"".join(got)
    try:
        messages = reference.unmasked(bytes(got), first)
    except (ValueError, IndexError) as exc:
        return f"is no masked WebSocket message: {exc}"
    return _other_messages(messages, expected)


def _other_json(got: bytes | str, expected: object) -> str | None:
    try:
        value = json.loads(got)
    except ValueError as exc:
        return f"is no JSON: {exc}"
    return None if value == expected else "is JSON of something else"


def _masked_text(got: Any) -> bytes:  # noqa: ANN401
    (text,) = reference.unmasked(bytes(got), 0x81)
    return text


# Frames.


def _image() -> Image:
    return Image(1, 85, 7, 640, 480, _noise(1920))


def _external() -> External:
    return External(7, 280_000, _noise(1920))


def _pcm() -> bytes:
    return _noise(48_000)


def _frames_of(pcm: bytes) -> list[bytes]:
    return [reference.audio(*fields) for fields in reference.second(pcm)]


@cache
def _flood() -> list[bytes]:
    """Return ten seconds of frames."""
    sound = _noise(480_000)
    return [reference.audio(*fields) for fields in reference.second(sound)]


def _flood_fault(got: Any, inputs: Inputs) -> str | None:  # noqa: ANN401
    (messages,) = inputs
    if len(got) != len(messages):
        return f"returned {len(got)} frames, not {len(messages)}"
    for at, (frame, message) in enumerate(zip(got, messages, strict=True)):
        fault = _other_frame(frame, *reference.read_audio(message))
        if fault is not None:
            return f"frame {at}: {fault}"
    return None


def _late(jitter_ms: float = 150) -> list[Fields]:
    """Return twenty seconds of frames in the order in which a jittery network brings them."""
    chance = random.Random(1)  # noqa: S311 - no secret
    sent = list(reference.second(_noise(960_000)))
    return sorted(sent, key=lambda frame: frame.timestamp + chance.uniform(-jitter_ms, jitter_ms))


def _jitter_fault(got: Any, inputs: Inputs) -> str | None:  # noqa: ANN401
    frames, _ = inputs
    seqs = [getattr(frame, "seq", None) for frame in got]
    return None if seqs == sorted(frame.seq for frame in frames) else "is not in order, or not all"


# Events.

_CHUNK = ("req-1", "resp-1", 3, 120, "Good morning, how can I help you today?")
_PARTIAL = ("req-1", "Guten Morgen, ich hätte gern", 7)


def _chunk_event(request: str, response: str, seq: int, timestamp: int, text: str) -> object:
    return {
        "event": "response.chunk",
        "requestId": request,
        "responseId": response,
        "seq": seq,
        "timestamp": timestamp,
        "data": {"text": text},
    }


def _partial_event(request: str, text: str, seq: int) -> object:
    return {
        "event": "input.asr.partial",
        "requestId": request,
        "seq": seq,
        "data": {"text": text, "final": False},
    }


def _akool_fault(got: bytes | str, inputs: Inputs) -> str | None:
    (pcm,) = inputs
    try:
        value = json.loads(got)
    except ValueError as exc:
        return f"is no JSON: {exc}"
    mid = value.get("mid")
    if not mid or not isinstance(mid, str):
        return "has no mid"
    sound = base64.b64encode(pcm).decode()
    expected = {"v": 2, "type": "chat", "mid": mid, "pld": {"audio": sound}}
    return None if value == expected else "is JSON of something else"


# Samples.


def _level_fault(got: Any, inputs: Inputs) -> str | None:  # noqa: ANN401
    (pcm,) = inputs
    samples = _samples(pcm)
    rms = math.sqrt(sum(sample * sample for sample in samples) / len(samples)) / 32768
    peak = max(abs(sample) for sample in samples) / 32768
    if math.isclose(got[0], rms, rel_tol=1e-4) and math.isclose(got[1], peak, rel_tol=1e-4):
        return None
    return f"is {got[0]:.6f} and {got[1]:.6f}, not {rms:.6f} and {peak:.6f}"


def _samples(pcm: bytes) -> list[int]:
    return [int.from_bytes(pcm[at : at + 2], "little", signed=True) for at in range(0, len(pcm), 2)]


_LOW_HZ, _HIGH_HZ = 440, 10_000


def _tones() -> bytes:
    """Return a second at 24 kHz: a tone that 16 kHz can hold, and one that would alias."""
    samples = (
        round(
            9000 * math.sin(2 * math.pi * _LOW_HZ * at / 24_000)
            + 3000 * math.sin(2 * math.pi * _HIGH_HZ * at / 24_000)
        )
        for at in range(24_000)
    )
    sound = array("h", samples)
    return b"".join(sample.to_bytes(2, "little", signed=True) for sample in sound)


def _resample_fault(got: bytes, inputs: Inputs) -> str | None:
    del inputs
    if abs(len(got) - 32_000) > 64:
        return f"returned {len(got):,} bytes, not 32,000"
    # Half a second from the middle: whole periods, and no edge.
    samples = _samples(got)[4_000:12_000]
    wave = 2 * math.pi * _LOW_HZ / 16_000
    sines = sum(sample * math.sin(wave * at) for at, sample in enumerate(samples))
    cosines = sum(sample * math.cos(wave * at) for at, sample in enumerate(samples))
    power = sum(sample * sample for sample in samples) / len(samples)
    tone = 2 * (sines * sines + cosines * cosines) / len(samples) ** 2
    if not math.isclose(math.sqrt(2 * tone), 9000, rel_tol=0.02):
        return f"the tone has an amplitude of {math.sqrt(2 * tone):.0f}, not 9000"
    if power - tone > tone / 10_000:
        return "the sound that the rate cannot hold is not 40 dB down"
    return None


def _from_frame(title: str, name: str, payload: bytes = b"") -> Workload:
    return Workload(
        name,
        title,
        len(payload) or 9,
        lambda: [(frame,) for frame in (_frame(payload), *_ODD_FRAMES)],
        lambda got, inputs: _differs(got, reference.audio(*inputs[0])),
    )


def _to_frame(title: str, name: str, fault: Callable[[Any, Inputs], str | None]) -> Workload:
    frames = (_frame(_noise(1920)), *_ODD_FRAMES)
    return Workload(name, title, 1920, lambda: [(reference.audio(*it),) for it in frames], fault)


WORKLOADS: tuple[Workload, ...] = (
    _from_frame("Audio header from its fields, no payload", "header_pack"),
    _to_frame(
        "Audio frame to its fields; the payload may stay where it is",
        "header_unpack",
        lambda got, inputs: _other_fields(got, reference.read_audio(inputs[0])[0]),
    ),
    _from_frame("40 ms frame from its fields", "frame_pack", _noise(1920)),
    _from_frame("40 ms frame from an object made before", "frame_repack", _noise(1920)),
    _to_frame(
        "40 ms frame to its fields and payload",
        "frame_unpack",
        lambda got, inputs: _other_frame(got, *reference.read_audio(inputs[0])),
    ),
    Workload(
        "frame_builder",
        "40 ms frame step by step, by a builder",
        1920,
        lambda: [(_frame(_noise(1920)),)],
        lambda got, inputs: _differs(got, reference.audio(*inputs[0])),
    ),
    Workload(
        "image_pack",
        "Image frame from its fields",
        1920,
        lambda: [(image,) for image in (_image(), *_ODD_IMAGES)],
        lambda got, inputs: _differs(got, reference.image(*inputs[0])),
    ),
    Workload(
        "image_unpack",
        "Image frame to its fields; the payload may stay where it is",
        1920,
        lambda: [(reference.image(*image),) for image in (_image(), *_ODD_IMAGES)],
        lambda got, inputs: _other_fields(got, reference.read_image(inputs[0])[0]),
    ),
    Workload(
        "external_pack",
        "External audio (EXAU) from its fields",
        1920,
        lambda: [(external,) for external in (_external(), *_ODD_EXTERNALS)],
        lambda got, inputs: _differs(got, reference.external(*inputs[0])),
    ),
    Workload(
        "external_unpack",
        "External audio (EXAU) to its fields; the payload may stay where it is",
        1920,
        lambda: [(reference.external(*external),) for external in (_external(), *_ODD_EXTERNALS)],
        lambda got, inputs: _other_fields(got, reference.read_external(inputs[0])[0]),
    ),
    Workload(
        "pcm_frames",
        "1 s of PCM to a list of frames",
        48_000,
        lambda: [(_pcm(),)],
        lambda got, inputs: _other_messages(got, _frames_of(inputs[0])),
        is_framing=True,
    ),
    Workload(
        "pcm_into",
        "1 s of PCM to frames in one buffer",
        48_000,
        lambda: [(_pcm(), bytearray(48_000 + 25 * 9))],
        lambda _, inputs: _differs(inputs[1], b"".join(_frames_of(inputs[0]))),
        is_framing=True,
    ),
    Workload(
        "pcm_websocket",
        "1 s of PCM to masked WebSocket bytes",
        48_000,
        lambda: [(_pcm(),)],
        lambda got, inputs: _other_masked(got, 0x82, _frames_of(inputs[0])),
        is_framing=True,
    ),
    Workload(
        "flood_unpack",
        "250 frames to their fields and payloads",
        480_000,
        lambda: [(_flood(),)],
        _flood_fault,
    ),
    Workload(
        "message_mask",
        "Message of a 40 ms frame to a masked WebSocket frame",
        1929,
        lambda: [(_noise(size),) for size in (1929, 0, 1, 7, 125, 126, 65_536)],
        lambda got, inputs: _other_masked(got, 0x82, [inputs[0]]),
    ),
    Workload(
        "chunk_json",
        "response.chunk to JSON",
        169,
        lambda: [_CHUNK],
        lambda got, inputs: _other_json(got, _chunk_event(*inputs)),
    ),
    Workload(
        "chunk_websocket",
        "response.chunk to masked WebSocket bytes",
        169,
        lambda: [_CHUNK],
        lambda got, inputs: _other_json(_masked_text(got), _chunk_event(*inputs)),
    ),
    Workload(
        "partial_websocket",
        "input.asr.partial, with an umlaut, to masked WebSocket bytes",
        119,
        lambda: [_PARTIAL],
        lambda got, inputs: _other_json(_masked_text(got), _partial_event(*inputs)),
    ),
    Workload(
        "akool_json", "Akool: 64 ms of PCM to JSON", 2048, lambda: [(_noise(2048),)], _akool_fault
    ),
    Workload(
        "akool_websocket",
        "Akool: 64 ms of PCM to masked WebSocket bytes",
        2048,
        lambda: [(_noise(2048),)],
        lambda got, inputs: _akool_fault(_masked_text(got), inputs),
    ),
    Workload(
        "jitter",
        "500 frames within ±150 ms put in order",
        960_000,
        lambda: [(_late(), 300)],
        _jitter_fault,
    ),
    Workload(
        "level", "RMS and peak of 40 ms at 16 kHz", 1280, lambda: [(_noise(1280),)], _level_fault
    ),
    Workload(
        "resample", "1 s of PCM from 24 to 16 kHz", 48_000, lambda: [(_tones(),)], _resample_fault
    ),
)


def workload(name: str) -> Workload:
    """Return the workload of a name.

    Raises:
        KeyError: there is none.
    """
    return {it.name: it for it in WORKLOADS}[name]
