"""The user's sound: in order, at one rate, whatever it came as."""

import array
import asyncio
import itertools
import logging
import math
import random
import struct
import sys

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatarwire.codec import AudioFrame
from avatarwire.errors import MissingExtraError
from avatarwire.liveavatar.user_audio import MAX_CONCEALED_MS, UserAudio

RATES = {16000: 0, 24000: 1, 48000: 2}


def frame(seq, pcm, *, rate=16000, channel=0, key=0, codec=0, frame_ms=40):
    return AudioFrame(
        channel=channel, key=key, seq=seq, timestamp=seq * frame_ms, sample_rate=RATES[rate],
        samples=rate * frame_ms // 1000, codec=codec, payload=pcm,
    )  # fmt: skip


def numbered(count, rate=16000):
    """Give frames whose samples all say which frame they are of."""
    return [frame(n, struct.pack("<h", n) * (rate // 25), rate=rate) for n in range(count)]


def tone(rate, *, channels=1, seconds=1.0):
    return [
        b"".join(
            struct.pack("<h", int(8000 * math.sin(2 * math.pi * 440 * (start + n) / rate)))
            * channels
            for n in range(rate // 25)
        )
        for start in range(0, int(rate * seconds), rate // 25)
    ]


def frequency(pcm, rate):
    samples = array.array("h", pcm)
    crossings = sum(a < 0 <= b for a, b in itertools.pairwise(samples))
    return crossings * rate / len(samples)


async def heard(audio):
    return b"".join([pcm async for pcm in audio])


async def test_frames_in_order_pass_through():
    audio = UserAudio()
    frames = numbered(50)
    for item in frames:
        audio.push(item)
    audio.close()
    assert await heard(audio) == b"".join(item.payload for item in frames)
    assert (audio.lost_frames, audio.duplicate_frames, audio.dropped_frames) == (0, 0, 0)


async def test_jitter_loss_and_duplicates():
    chance = random.Random(4)  # noqa: S311
    frames = numbered(200)
    lost = {30, 90, 91}
    arrivals = sorted(
        (n * 40 + chance.uniform(0, 140), n) for n in [*range(200), 50, 120] if n not in lost
    )
    audio = UserAudio()
    hearing = asyncio.create_task(heard(audio))
    for _, n in arrivals:
        audio.push(frames[n])
        await asyncio.sleep(0)
    audio.close()
    out = await hearing
    numbers = [n for n, _ in itertools.groupby(array.array("h", out))]
    assert numbers == [n for n in range(200) if n not in lost]
    assert audio.lost_frames == 3
    assert audio.duplicate_frames == 2
    assert audio.late_frames == 0


async def test_losses_can_be_concealed():
    frames = numbered(10)
    audio = UserAudio(conceal=True)
    for item in frames:
        if item.seq not in {4, 5}:
            audio.push(item)
    audio.close()
    out = await heard(audio)
    assert len(out) == 10 * 1280
    assert out[4 * 1280 : 6 * 1280] == bytes(2 * 1280)
    assert out[6 * 1280 :] == b"".join(item.payload for item in frames[6:])


@pytest.mark.parametrize("codec", [0, 1])
async def test_the_silence_is_where_the_loss_was(codec):
    """Conversion holds sound back, which belongs before the silence."""
    audio = UserAudio(conceal=True)
    for seq, payload in enumerate(opus_packets() if codec else tone(48000)):
        if seq not in {10, 11}:
            audio.push(frame(seq, payload, rate=48000, codec=codec, key=int(not seq)))
    audio.close()
    out = array.array("h", await heard(audio))
    assert len(out) == 16 * 1000
    assert not any(out[16 * 400 : 16 * 480])
    for before in range(16 * 200, 16 * 400, 40):  # a period of the tone has 36 samples
        assert max(out[before : before + 40]) > 4000


@pytest.mark.parametrize(("rate", "channels"), [(24000, 1), (48000, 1), (16000, 2), (48000, 2)])
@pytest.mark.parametrize("wanted", [16000, 8000])
async def test_other_rates_are_converted(rate, channels, wanted):
    audio = UserAudio(wanted)
    for seq, pcm in enumerate(tone(rate, channels=channels)):
        audio.push(frame(seq, pcm, rate=rate, channel=channels - 1))
    audio.close()
    out = await heard(audio)
    assert len(out) == wanted * 2
    assert frequency(out, wanted) == pytest.approx(440, abs=3)


async def test_a_change_of_rate_loses_nothing():
    audio = UserAudio()
    pieces = [(24000, pcm) for pcm in tone(24000)] + [(48000, pcm) for pcm in tone(48000)]
    for seq, (rate, pcm) in enumerate(pieces):
        audio.push(frame(seq, pcm, rate=rate))
    audio.close()
    assert len(await heard(audio)) == 2 * 32000


def opus_packets(seconds=1.0):
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48000, "mono", "s16"
    encoder.options = {"frame_duration": "40"}
    encoder.open()
    samples = np.frombuffer(b"".join(tone(48000, seconds=seconds)), np.int16)
    packets = []
    for at in range(0, len(samples) - 1919, 1920):
        sound = av.AudioFrame.from_ndarray(samples[None, at : at + 1920], "s16", "mono")
        sound.sample_rate = 48000
        packets += encoder.encode(sound)
    return [bytes(packet) for packet in packets]


async def test_opus_is_decoded():
    audio = UserAudio()
    packets = opus_packets()
    for seq, packet in enumerate(packets):
        audio.push(frame(seq, packet, rate=48000, key=int(seq in {0, 10}), codec=1))
    audio.close()
    out = await heard(audio)
    assert len(out) == len(packets) * 40 * 32
    assert frequency(out[6400:], 16000) == pytest.approx(440, abs=6)
    assert audio.bad_frames == 0


async def test_what_is_not_opus_is_counted_and_told_once(caplog):
    audio = UserAudio()
    packets = opus_packets()
    for seq, packet in enumerate(packets):
        audio.push(frame(seq, b"" if seq in {3, 4} else packet, rate=48000, codec=1))
    audio.push(AudioFrame(0, 0, len(packets), len(packets) * 40, 3, 640, 0, bytes(1280)))
    audio.push(AudioFrame(0, 0, len(packets) + 1, len(packets) * 40 + 40, 0, 640, 3, bytes(1280)))
    audio.close()
    with caplog.at_level(logging.WARNING):
        out = await heard(audio)
    assert len(out) == (len(packets) - 2) * 40 * 32
    assert audio.bad_frames == 4
    assert caplog.text.count("passed over") == 1


async def test_a_consumer_that_is_too_slow_loses_the_oldest(caplog):
    audio = UserAudio()
    frames = numbered(300)
    for item in frames:
        audio.push(item)
    assert audio.dropped_frames == 50
    audio.close()
    out = await heard(audio)
    assert out == b"".join(item.payload for item in frames[50:])
    assert caplog.text.count("dropped and counted") == 1


async def test_it_waits_and_ends():
    audio = UserAudio()
    waiting = asyncio.create_task(heard(audio))
    await asyncio.sleep(0)
    audio.push(numbered(1)[0])
    await asyncio.sleep(0)
    assert not waiting.done()
    audio.close()
    audio.close()
    assert len(await waiting) == 1280
    with pytest.raises(StopAsyncIteration):
        await anext(audio)


@pytest.mark.parametrize("arguments", [{"sample_rate": 100}, {"window_ms": 10}])
def test_arguments_are_checked(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments)).replace("sample_", "")):
        UserAudio(**arguments)


async def test_without_the_extra_the_iteration_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "avatarwire.audio._conversion", None)
    audio = UserAudio(8000)
    audio.push(numbered(1)[0])
    audio.close()
    with pytest.raises(MissingExtraError, match="avatarwire"):
        await anext(audio)


def jump(*, frames=20, seq=1500, timestamp=400_000):
    """Give frames of a peer that counts anew in the middle, without a key frame."""
    before = [frame(n, bytes(1280), key=int(not n)) for n in range(frames)]
    after = [frame(n, bytes(1280)) for n in range(frames)]
    for n, item in enumerate(after):
        item.seq, item.timestamp = seq + n, timestamp + n * 40
    return before + after


async def test_a_jump_of_the_counters_makes_no_more_than_two_seconds(caplog):
    audio = UserAudio(conceal=True)
    for item in jump():
        audio.push(item)
    audio.close()
    out = await heard(audio)
    assert len(out) == 32 * (40 * 40 + MAX_CONCEALED_MS)
    assert audio.unconcealed_ms == 1480 * 40 - MAX_CONCEALED_MS
    assert caplog.text.count("are missing at once: 2000 ms of silence") == 1


@given(
    jumps=st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 2**20 - 1)), max_size=6),
    rate=st.sampled_from([16000, 24000, 48000]),
)
async def test_no_gap_is_more_than_two_seconds_whatever_a_peer_counts(jumps, rate):
    audio = UserAudio(rate, conceal=True)
    plain = UserAudio(rate)
    for seq, timestamp in [(0, 0), *jumps]:
        for n in range(4):
            for side in (audio, plain):
                side.push(AudioFrame(0, 0, seq + n, timestamp + 60 * n, 0, 4095, 0, bytes(1920)))
    for side in (audio, plain):
        side.close()
    pieces = [len(pcm) async for pcm in audio]
    second = 2 * rate
    assert max(pieces) <= second * (MAX_CONCEALED_MS + 100) / 1000
    concealed_ms = (sum(pieces) - len(await heard(plain))) * 1000 / second
    # A jump back leaves a gap before what follows it and one behind, and a part of a frame between.
    frame_ms = 1920 * 1000 / (2 * 16000)
    assert concealed_ms <= (MAX_CONCEALED_MS * 2 + frame_ms) * len(jumps) + 1
    assert (audio.unconcealed_ms == 0) or concealed_ms >= MAX_CONCEALED_MS


@pytest.mark.parametrize("rate", [16000, 24000])
@pytest.mark.parametrize(("channel", "extra"), [(0, 1), (1, 1), (1, 2), (1, 3)])
async def test_half_a_sample_shifts_nothing_that_follows(rate, channel, extra, caplog):
    pieces = tone(rate, channels=channel + 1)
    whole, cut = UserAudio(), UserAudio()
    for seq, pcm in enumerate(pieces):
        whole.push(frame(seq, pcm, rate=rate, channel=channel))
        odd = b"abc"[:extra] if seq in {3, 7} else b""
        cut.push(frame(seq, pcm + odd, rate=rate, channel=channel))
    whole.close()
    cut.close()
    assert await heard(cut) == await heard(whole)
    assert cut.bad_frames == 2
    assert caplog.text.count("it ends with half a sample (told once)") == 1


async def test_what_the_platform_sends_as_pcm_and_is_none_is_told_once(caplog):
    audio = UserAudio()
    for seq, item in enumerate(numbered(5)):
        audio.push(frame(seq, b"OggS\0\2" + item.payload[6:]))
    audio.close()
    assert len(await heard(audio)) == 5 * 1280
    assert caplog.text.count("the user's audio begins like Ogg") == 1
    assert "ask the platform" in caplog.text
