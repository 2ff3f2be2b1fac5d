import array
import struct

import av
import pytest

from avatarwire.audio import decode_alaw, decode_ulaw, encode_ulaw

ALL = bytes(range(256))


@pytest.mark.parametrize(
    ("decode", "codec"), [(decode_ulaw, "pcm_mulaw"), (decode_alaw, "pcm_alaw")]
)
def test_every_code_is_what_ffmpeg_makes_of_it(decode, codec) -> None:
    context = av.CodecContext.create(codec, "r")
    context.sample_rate, context.layout = 8000, "mono"
    (frame,) = context.decode(av.Packet(ALL))
    assert decode(ALL) == bytes(frame.planes[0])[:512]


def test_the_standards_own_values() -> None:
    assert struct.unpack("<4h", decode_ulaw(b"\xff\x7f\x80\x00")) == (0, 0, 32124, -32124)
    assert struct.unpack("<4h", decode_alaw(b"\xd5\x55\xaa\x2a")) == (8, -8, 32256, -32256)


@pytest.mark.parametrize("decode", [decode_ulaw, decode_alaw])
def test_any_pieces_of_any_buffer(decode) -> None:
    whole = decode(ALL)
    assert b"".join(decode(ALL[n : n + 1]) for n in range(256)) == whole
    for buffer in (bytearray(ALL), memoryview(ALL), array.array("B", ALL)):
        assert decode(buffer) == whole
    assert decode(ALL[::2]) == decode(memoryview(ALL)[::2])
    assert decode(b"") == b""


@pytest.mark.parametrize("decode", [decode_ulaw, decode_alaw])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("text", "must be bytes, not str"),
        (array.array("h", [1]), 'one byte a sample, not "h" items'),
        (array.array("f", [1]), 'not "f" items'),
    ],
)
def test_anything_else_is_refused(decode, data, words) -> None:
    with pytest.raises(TypeError, match=words):
        decode(data)


def test_a_tone_keeps_its_level() -> None:
    codes = [(1 if n % 2 else 129) for n in range(8000)]  # nearly full scale, up and down
    pcm = array.array("h", decode_ulaw(bytes(codes)))
    assert max(pcm) == 31100
    assert min(pcm) == -31100


def test_every_sample_is_encoded_as_near_as_the_code_is_fine() -> None:
    samples = array.array("h", range(-32768, 32768))
    codes = encode_ulaw(samples)
    heard = struct.unpack("<65536h", decode_ulaw(codes))
    assert max(abs(heard[k] - samples[k]) - (abs(samples[k]) + 132) / 32 for k in range(65536)) <= 0
    assert encode_ulaw(decode_ulaw(ALL)) == ALL.replace(b"\x7f", b"\xff")


def test_what_cannot_be_encoded() -> None:
    with pytest.raises(ValueError, match="3 bytes is not a whole number"):
        encode_ulaw(b"abc")
    with pytest.raises(TypeError):
        encode_ulaw("text")
