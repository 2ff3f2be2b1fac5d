import copy
import pickle

import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from avatarwire.codec import ExternalAudioFrame

PCM = st.binary(min_size=1, max_size=50).map(lambda half: half + half)


def test_exact_bytes():
    frame = ExternalAudioFrame(sequence=2, timestamp_us=-1, payload=b"abcd")
    assert frame.pack() == bytes.fromhex(
        "45584155 01 0000000000000002 ffffffffffffffff 00000004 61626364"
    )


@given(st.integers(1, 2**64 - 1), st.integers(-(2**63), 2**63 - 1), PCM)
def test_is_what_the_reference_says(sequence, timestamp_us, payload):
    frame = ExternalAudioFrame(sequence, timestamp_us, payload)
    assert frame.pack() == reference.external(sequence, timestamp_us, payload)
    again = ExternalAudioFrame.unpack(frame.pack() + b"more")
    assert again == frame
    assert (again.sequence, again.timestamp_us) == (sequence, timestamp_us)
    assert again.payload_view == again.payload == payload


def test_fields_must_fit():
    frame = ExternalAudioFrame(1, 0, b"ab")
    for value in (0, -1, 2**64):
        with pytest.raises(ValueError, match="sequence must be from 1 to 18446744073709551615"):
            frame.sequence = value
    for value in (2**63, -(2**63) - 1):
        with pytest.raises(ValueError, match="timestamp_us must be from -9223372036854775808"):
            frame.timestamp_us = value
    for value in (b"", b"a", b"abc"):
        with pytest.raises(ValueError, match="whole 16-bit samples"):
            frame.payload = value
        with pytest.raises(ValueError, match="whole 16-bit samples"):
            ExternalAudioFrame(1, 0, value)
    for name in ("sequence", "timestamp_us"):
        with pytest.raises(TypeError, match=f"{name} must be an int, not float"):
            setattr(frame, name, 1.0)
    with pytest.raises(TypeError):
        frame.payload = "ab"
    assert frame == ExternalAudioFrame(1, 0, b"ab")
    frame.sequence, frame.timestamp_us, frame.payload = 2, 3, bytearray(b"cd")
    assert frame == ExternalAudioFrame(2, 3, b"cd")


def test_what_is_not_one():
    message = ExternalAudioFrame(1, 0, b"ab").pack()
    for data, words in (
        (message[:24], "too short"),
        (b"EXAX" + message[4:], "Not an external audio frame"),
        (b"EXAU\x02" + message[5:], "Not an external audio frame"),
        (message[:-1], "payload truncated"),
        (message[:5] + bytes(8) + message[13:], "sequence must be from 1"),
        (message[:21] + bytes(4), "whole 16-bit samples"),
    ):
        with pytest.raises(ValueError, match=words):
            ExternalAudioFrame.unpack(data)


def test_like_a_dataclass(as_buffer, unexported):
    frame = ExternalAudioFrame(7, 8, b"abcd")
    assert copy.copy(frame) == copy.deepcopy(frame) == pickle.loads(pickle.dumps(frame)) == frame  # noqa: S301
    assert ExternalAudioFrame.unpack(as_buffer(frame.pack())) == frame
    assert frame != ExternalAudioFrame(7, 8, b"abce")
    assert frame != "frame"
    assert repr(frame) == "ExternalAudioFrame(sequence=7, timestamp_us=8, payload=<4 bytes>)"
    with pytest.raises(TypeError, match="unhashable"):
        hash(frame)
    message = bytearray(frame.pack())
    ExternalAudioFrame.unpack(message)
    unexported(message)
