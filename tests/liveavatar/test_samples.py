"""What is no 16-bit sound is refused, and what begins like a file is told, at every call."""

import array
import contextlib
import logging

import numpy as np
import pytest

from avatarwire import AudioFrame, ImageFrame

TONE = (8000 * np.sin(np.arange(4800) / 9)).astype("<i2")
BAD = {
    "int32": TONE.astype("<i4"),
    "int64": TONE.astype("<i8"),
    "uint32": TONE.astype("<u4"),
    "big-endian": TONE.astype(">i2"),
    "bool": TONE > 0,
    "float16": TONE.astype(np.float16),
    "float32": TONE.astype(np.float32),
    "complex64": TONE.astype(np.complex64),
    "object": TONE.astype(object),
    "structure": np.zeros(4, "<i2,<i2"),
    "text": TONE.astype("S8"),
    "dates": TONE.astype("M8[s]"),
    "array of int": array.array("i", [1, 2]),
    "list": TONE.tolist(),
    "str": "sound",
}
GOOD = {
    "int16": TONE,
    "uint8": TONE.view(np.uint8),
    "column": TONE.reshape(-1, 1),
    "read-only": np.frombuffer(TONE.tobytes(), "<i2"),
    "at an odd address": np.frombuffer(b"x" + TONE.tobytes(), "<i2", offset=1),
    "one channel of two": TONE.repeat(2)[::2],
    "transposed": np.ascontiguousarray(TONE.reshape(-1, 2).T).T,
}


async def by_send_audio(agent, pcm):
    await agent.send_response_audio_start("r", "p")
    try:
        await agent.send_audio(pcm)
    finally:
        await agent.send_response_audio_finish("r", "p")


async def by_stream(agent, pcm):
    async with agent.audio_stream(paced=False) as stream:
        await stream.write(pcm)


async def by_play(agent, pcm):
    async with agent.audio_stream(paced=False) as stream:
        await stream.play([pcm])


async def by_external_playback(agent, pcm):
    await agent.send_external_playback("r", "p", [pcm])


async def by_external_audio(agent, pcm):
    await agent.send_external_audio(pcm)


async def by_external_stream(agent, pcm):
    async with agent.external_audio_stream(first_ms=0) as music:
        await music.write(pcm)


WAYS = [by_send_audio, by_stream, by_play, by_external_playback, by_external_audio]
WAYS += [by_external_stream]
every_way = pytest.mark.parametrize("send", WAYS, ids=lambda send: send.__name__[3:])


async def arrived(agent, session):
    """Give the sound that the platform has, of the voice and beside it."""
    await agent.send_custom_event(None, "test.marker")
    await session.wait_for("test.marker")
    return session.pcm + b"".join(frame.payload for frame in session.external_frames)


@every_way
async def test_what_is_no_16_bit_sound_is_refused(agent, session, send):
    for pcm in BAD.values():
        with pytest.raises(TypeError, match="pcm "):
            await send(agent, pcm)
    assert await arrived(agent, session) == b""


@every_way
async def test_any_16_bit_sound_is_taken(agent, session, send):
    for pcm in GOOD.values():
        await send(agent, pcm)
    assert await arrived(agent, session) == TONE.tobytes() * len(GOOD)


WAV = b"RIFF\xff\xff\xff\xffWAVEfmt " + bytes(4780)


@every_way
async def test_a_file_sent_as_sound_is_told_once_a_turn(agent, send, caplog):
    with caplog.at_level(logging.WARNING):
        await send(agent, TONE.tobytes())
        assert "begins like" not in caplog.text
        for count in (1, 2):
            await send(agent, WAV)
            assert caplog.text.count("begins like WAV") == count


@pytest.mark.parametrize("size", [2, 10, 480])
async def test_a_file_in_small_pieces_is_told_too(agent, caplog, size):
    pieces = [WAV[start : start + size] for start in range(0, 960, size)]
    await agent.send_response_audio_start("r", "p")
    for piece in pieces:
        await agent.send_audio(piece)
    await agent.send_response_audio_finish("r", "p")
    assert caplog.text.count("begins like WAV") == 1
    async with agent.audio_stream(paced=False) as stream:
        await stream.play(pieces)
    assert caplog.text.count("begins like WAV") == 2


FILES = {
    "JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(500),
    "PNG": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(500),
    "a long PNG": b"\x89PNG\r\n\x1a\n\0\0\0\0" + bytes(500),
    "WebP": b"RIFF\xf4\1\0\0WEBPVP8 " + bytes(500),
    "GIF": b"GIF89a" + bytes(500),
    "AVIF": b"\0\0\0\x20ftypavif" + bytes(500),
}


@pytest.mark.parametrize(("name", "data"), FILES.items(), ids=FILES.keys())
async def test_a_picture_is_no_frame_and_the_error_says_how_to_make_one(agent, name, data):
    with pytest.raises(
        ValueError,
        match=f"a {name.split()[-1]} file, not a packed ImageFrame: an image file goes as",
    ) as caught:
        await agent.send_image_frame(data)
    assert "send_audio" not in str(caught.value)
    await agent.send_image_frame(ImageFrame(payload=data))


async def test_a_file_is_no_audio_frame_either(agent):
    with pytest.raises(ValueError, match="WAV file, not a packed AudioFrame: raw PCM goes"):
        await agent.send_audio_frame(WAV)
    await agent.send_audio_frame(AudioFrame(payload=b"ab").pack())


async def test_a_file_or_a_process_may_be_played(agent, session, tmp_path):
    path = tmp_path / "sound.raw"
    path.write_bytes(TONE.tobytes())
    with contextlib.closing(path.open("rb")) as file:
        async with agent.audio_stream(paced=False) as stream:
            assert await stream.play(file)
        file.seek(0)
        await agent.send_external_playback("r", "p", file)
    assert await arrived(agent, session) == TONE.tobytes() * 2


@pytest.mark.parametrize("piece", [b"ab", bytearray(2), TONE, array.array("h", [1]), "text"])
async def test_one_piece_is_nothing_to_play(agent, piece):
    async with agent.audio_stream(paced=False) as stream:
        with pytest.raises(TypeError, match="one piece goes to write"):
            await stream.play(piece)
    with pytest.raises(TypeError, match="frames must be an iterable"):
        await agent.send_external_playback("r", "p", piece)


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64, np.uint16])
async def test_a_rate_may_be_any_integer(agent, session, kind):
    async with agent.audio_stream(
        sample_rate=kind(24000), channels=kind(1), frame_ms=kind(40), lead_ms=kind(400), paced=False
    ) as stream:
        await stream.write(TONE)
    assert stream.sent_ms == 200
    await agent.send_audio(TONE, sample_rate=kind(24000), channels=kind(1), frame_ms=kind(40))
    assert await arrived(agent, session) == TONE.tobytes() * 2
    agent.user_audio(kind(16000)).close()


@pytest.mark.parametrize("rate", ["24000", None, 24000.0, True, b"24000", [24000]])
def test_any_other_rate_is_one_clear_sentence(agent, rate):
    makers = [agent.audio_stream]
    if rate is not None:  # there it is the configured one
        makers.append(agent.external_audio_stream)
    for make in makers:
        with pytest.raises(TypeError, match="sample_rate must be a whole number, not"):
            make(sample_rate=rate)
