"""What counts as samples, and that every native way in asks the same."""

import array
import ctypes
import struct
import sys

import pytest

from avatarwire.codec import (
    AudioFrame,
    AudioFrameBuilder,
    ExternalAudioFrame,
    PcmFramer,
    level,
    pcm_bytes,
    pcm_view,
)

PCM = struct.pack("<4h", 1, -2, 300, -32768)
NATIVE = array.array("h", [1, -2, 300, -32768])
if sys.byteorder == "big":
    NATIVE.byteswap()
SAMPLES = [1, -2, 300, -32768]


def of(kind, values=SAMPLES):
    return (kind * len(values))(*values)


GOOD = {
    "bytes": PCM,
    "a subclass of bytes": type("Sound", (bytes,), {})(PCM),
    "bytearray": bytearray(PCM),
    "memoryview": memoryview(PCM),
    "signed bytes": memoryview(PCM).cast("b"),
    "characters": memoryview(PCM).cast("c"),
    "array": NATIVE,
    "unsigned": memoryview(NATIVE).cast("B").cast("H"),
    "little-endian by name": of(ctypes.c_int16.__ctype_le__),
    "two channels": memoryview(PCM).cast("h", shape=[2, 2]) if sys.byteorder == "little" else PCM,
    "at an odd address": memoryview(b"x" + PCM)[1:],
}
BAD = {
    "big-endian": (of(ctypes.c_int16.__ctype_be__), r'little-endian.*big-endian ones \(">h"'),
    "32-bit": (array.array("i", SAMPLES), r'not 32-bit ones \("i" items\): scale'),
    "64-bit": (array.array("q", SAMPLES), "not 64-bit ones"),
    "unsigned 32-bit": (array.array("I", [1]), "not 32-bit ones"),
    "float": (array.array("f", [0.5]), r'not floats \("f" items\): scale floats to ±32767'),
    "double": (array.array("d", [0.5]), "not floats"),
    "long double": (of(ctypes.c_longdouble, [0.5]), "not floats"),
    "boolean": (of(ctypes.c_bool, [True]), r'not booleans \("<?\?" items'),
    "objects": (of(ctypes.py_object, [1]), "not others"),
    "pointers": (of(ctypes.c_void_p, [1]), "not"),
    "text": ("sound", "bytes-like buffer of 16-bit samples, not str"),
    "nothing": (None, "not NoneType"),
    "numbers": ([1, 2], "not list"),
}
STRIDED = memoryview(PCM + PCM)[::2]


def framed(pcm):
    framer = PcmFramer(frame_ms=1)
    return b"".join(frame[9:] for frame in [*framer.frames(pcm), *framer.flush()])


def packed(pcm):
    framer = PcmFramer(frame_ms=1)
    out = bytearray(1000)
    size = framer.pack_into(pcm, out)
    return bytes(out[9:size]) + b"".join(frame[9:] for frame in framer.flush())


def masked(pcm):
    framer = PcmFramer(frame_ms=1)
    return (framer.websocket(pcm) and b"") or framer.flush()[0][9:]


def assigned(pcm):
    frame = AudioFrame()
    frame.payload = pcm
    return frame.payload


WAYS_IN = {
    "pcm_bytes": pcm_bytes,
    "pcm_view": lambda pcm: pcm_view(pcm).tobytes(),
    "level": lambda pcm: PCM if level(pcm) == level(PCM) else b"",
    "PcmFramer.frames": framed,
    "PcmFramer.pack_into": packed,
    "PcmFramer.websocket": masked,
    "AudioFrame": lambda pcm: AudioFrame(payload=pcm).payload,
    "AudioFrame.payload": assigned,
    "AudioFrameBuilder": lambda pcm: AudioFrameBuilder().payload(pcm).build()[9:],
    "ExternalAudioFrame": lambda pcm: ExternalAudioFrame(1, 0, pcm).payload,
}
way_in = pytest.mark.parametrize("take", WAYS_IN.values(), ids=WAYS_IN.keys())


@way_in
@pytest.mark.parametrize("pcm", GOOD.values(), ids=GOOD.keys())
def test_bytes_and_16_bit_integers_are_taken_as_they_are(take, pcm):
    assert take(pcm) == PCM


@way_in
@pytest.mark.parametrize(("pcm", "words"), BAD.values(), ids=BAD.keys())
def test_anything_else_is_refused_in_words(take, pcm, words):
    with pytest.raises(TypeError, match=words):
        take(pcm)


@pytest.mark.parametrize("take", [take for name, take in WAYS_IN.items() if name != "pcm_bytes"])
def test_what_is_read_in_place_is_contiguous(take):
    with pytest.raises(ValueError, match=r"must be contiguous, .*: make a copy first"):
        take(STRIDED)


def test_what_is_copied_need_not_be_contiguous():
    stereo = memoryview(bytes(range(16))).cast("h")
    assert pcm_bytes(stereo[::2]) == b"\0\1\4\5\x08\x09\x0c\x0d"
    assert pcm_bytes(stereo[::-1])[:2] == b"\x0e\x0f"


def test_the_type_is_looked_at_before_the_order():
    for take in (pcm_bytes, pcm_view):
        with pytest.raises(TypeError, match="32-bit"):
            take(memoryview(array.array("i", SAMPLES))[::2])


def test_bytes_are_not_copied():
    assert pcm_bytes(PCM) is PCM
    sound = bytearray(PCM)
    with pcm_view(sound) as view:
        sound[0] = 7
        assert (view[0], view.format, view.nbytes) == (7, "B", 8)
    with pcm_view(NATIVE) as view:
        assert (view.format, view.ndim, view.tobytes()) == ("B", 1, PCM)


def test_no_sound_is_sound():
    for empty in (b"", bytearray(), array.array("h"), of(ctypes.c_int16, [])):
        assert pcm_bytes(empty) == b""
        with pcm_view(empty) as view:
            assert view.nbytes == 0
    assert level(array.array("h")) == (0.0, 0.0)


def test_what_cannot_be_lent_is_a_type_error():
    gone = memoryview(PCM)
    gone.release()
    with pytest.raises(TypeError, match=r"cannot be read as 16-bit samples: .*released"):
        pcm_bytes(gone)


@way_in
def test_nobody_holds_on_to_a_buffer(take, unexported):
    sound = bytearray(PCM)
    take(sound)
    numbers = array.array("i", SAMPLES)
    with pytest.raises(TypeError):
        take(numbers)
    unexported(sound)
    numbers.append(1)
