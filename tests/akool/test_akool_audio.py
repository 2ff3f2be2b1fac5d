import array
import ctypes
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatarwire.akool import AudioStreamError
from avatarwire.akool.audio import checked_size_bytes, whole_samples


@pytest.mark.parametrize(
    "pcm",
    [
        b"abcd",
        bytearray(b"abcd"),
        memoryview(b"abcd"),
        memoryview(b"xabcdx")[1:-1],
        array.array("h", [1, 2]),
        array.array("H", [1, 2]),
        memoryview(b"abcd").cast("b"),
        memoryview(b"abcd").cast("c"),
        memoryview(b"abcd").cast("@h"),
    ],
)
def test_sound_is_any_buffer_of_bytes_or_16_bit_integers(pcm):
    assert checked_size_bytes(pcm) == 4


@pytest.mark.parametrize(
    ("pcm", "words"),
    [
        (b"", "is empty"),
        (bytearray(), "is empty"),
        (b"abc", "whole 16-bit samples, not 3 bytes"),
        (memoryview(b"abc"), "whole 16-bit samples, not 3 bytes"),
        ("abcd", "not str"),
        (None, "not NoneType"),
        ([1, 2], "not list"),
        (1234, "not int"),
        (array.array("i", [1]), '"i" items'),
        (array.array("f", [0.5]), "scale floats"),
        (array.array("d", [0.5]), "scale floats"),
        (memoryview(b"abcdefgh")[::2], "contiguous"),
        ((ctypes.c_int16.__ctype_be__ * 2)(1, 2), "big-endian"),
        ((ctypes.c_bool * 4)(), "booleans"),
        (array.array("q", [1]), "64-bit"),
    ],
)
def test_anything_else_is_refused(pcm, words):
    with pytest.raises(AudioStreamError, match=words):
        checked_size_bytes(pcm)


async def collect(chunks):
    return [chunk async for chunk in whole_samples(chunks)]


async def as_async(chunks):
    for chunk in chunks:
        yield chunk


@given(st.lists(st.binary(max_size=9)))
async def test_any_chunking_gives_the_same_sound(chunks):
    sound = b"".join(chunks)
    if len(sound) % 2:
        chunks, sound = [*chunks, b"!"], sound + b"!"
    for source in (chunks, iter(chunks), as_async(chunks)):
        whole = await collect(source)
        assert b"".join(whole) == sound
        assert all(chunk and len(chunk) % 2 == 0 for chunk in whole)


async def test_even_chunks_stay_as_they_are():
    assert await collect([b"abcd", b"", bytearray(b"ef")]) == [b"abcd", b"ef"]


async def test_a_mutable_chunk_may_be_reused_by_its_owner():
    chunk = bytearray(b"abc")

    def source():
        yield chunk
        chunk[:] = b"def"
        yield chunk

    assert await collect(source()) == [b"ab", b"cdef"]


async def test_a_file_is_read_in_pieces_not_in_lines():
    sound = b"\n\n" * 50_000
    assert [len(chunk) for chunk in await collect(io.BytesIO(sound))] == [65_536, 34_464]


@pytest.mark.parametrize("chunk", [array.array("i", [1]), array.array("f", [0.5]), None])
async def test_a_chunk_that_is_no_16_bit_sound_is_refused(chunk):
    with pytest.raises(AudioStreamError, match="audio_data: pcm must be"):
        await collect([b"ab", chunk])


async def test_half_a_sample_at_the_end_is_an_error():
    chunks = whole_samples([b"abc", b"de"])
    assert [await anext(chunks), await anext(chunks)] == [b"ab", b"cd"]
    with pytest.raises(AudioStreamError, match="half a 16-bit sample"):
        await anext(chunks)


@pytest.mark.parametrize("chunks", [b"abcd", bytearray(4), memoryview(b"ab"), "text", 7, None])
async def test_one_piece_is_no_stream(chunks):
    with pytest.raises(AudioStreamError, match="send_audio takes one piece"):
        await collect(chunks)


async def test_a_chunk_of_another_type_is_refused():
    with pytest.raises(AudioStreamError, match="not str"):
        await collect([b"ab", "cd"])
