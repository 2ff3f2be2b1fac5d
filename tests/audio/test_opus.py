import sys

import av
import numpy as np
import pytest

from avatarwire.audio import OpusDecoder
from avatarwire.errors import AudioFormatError, MissingExtraError

AMPLITUDE = 10000
PACKET_MS = 20
LOOK_AHEAD_MS = 6.5


def packets(hertz: float = 440, *, layout: str = "mono", seconds: float = 1.0) -> list[bytes]:
    """Encode a tone, in stereo with a silent right channel."""
    tone = AMPLITUDE * np.sin(2 * np.pi * hertz * np.arange(int(48000 * seconds)) / 48000)
    channels = [tone] if layout == "mono" else [tone, np.zeros_like(tone)]
    pcm = np.rint(np.stack(channels, axis=1)).astype(np.int16).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout=layout)
    frame.sample_rate = 48000
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate = 48000
    encoder.layout = layout
    encoder.format = "s16"
    encoder.bit_rate = 96000
    encoder.options = {"frame_duration": str(PACKET_MS)}
    encoder.open()
    fifo = av.AudioFifo()
    fifo.write(frame)
    found = []
    while (part := fifo.read(48000 * PACKET_MS // 1000)) is not None:
        found += [bytes(packet) for packet in encoder.encode(part)]
    assert len(found) == seconds * 1000 / PACKET_MS
    return found


def samples(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(float)


def fit(heard: np.ndarray, rate: int, hertz: float) -> tuple[float, float]:
    """Give the amplitude of a tone, and the signal-to-noise ratio in dB."""
    angle = 2 * np.pi * hertz * np.arange(len(heard)) / rate
    basis = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    parts = np.linalg.lstsq(basis, heard, rcond=None)[0]
    rest = np.sqrt(np.mean((heard - basis @ parts) ** 2))
    amplitude = float(np.hypot(*parts))
    return amplitude, float(20 * np.log10(amplitude / 2**0.5 / rest))


def decode(decoder: OpusDecoder, stream: list[bytes]) -> bytes:
    return b"".join(map(decoder.decode, stream)) + decoder.flush()


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100, 48000])
def test_a_tone_comes_back_whole(rate: int) -> None:
    heard = samples(decode(OpusDecoder(rate), packets()))
    assert len(heard) == rate
    # One fit over all packets: a seam anywhere would leave a remainder.
    amplitude, snr_db = fit(heard[rate // 10 : -rate // 10], rate, 440)
    assert amplitude == pytest.approx(AMPLITUDE, rel=0.05)
    assert snr_db > 30


def test_the_default_is_what_recognition_takes() -> None:
    heard = decode(OpusDecoder(), packets())
    assert len(heard) == 16000 * 2


def test_each_packet_gives_its_sound_at_once() -> None:
    decoder = OpusDecoder(48000)
    assert [len(decoder.decode(packet)) for packet in packets()] == [1920] * 50
    assert decoder.flush() == b""


def test_resampling_holds_back_no_more_than_a_packet() -> None:
    decoder = OpusDecoder(16000)
    given = 0
    for count, packet in enumerate(packets(), start=1):
        given += len(decoder.decode(packet)) // 2
        assert count * PACKET_MS - given / 16 <= 20.5


def test_the_sound_starts_after_the_look_ahead() -> None:
    heard = samples(decode(OpusDecoder(48000), packets(1000)))
    first = int(np.argmax(np.abs(heard) > AMPLITUDE / 2))
    assert first / 48 == pytest.approx(LOOK_AHEAD_MS, abs=1)


def test_stereo_stays_stereo() -> None:
    heard = samples(decode(OpusDecoder(24000, 2), packets(layout="stereo")))
    left, right = heard[0::2][2400:-2400], heard[1::2][2400:-2400]
    assert fit(left, 24000, 440)[0] == pytest.approx(AMPLITUDE, rel=0.05)
    assert np.abs(right).max() < AMPLITUDE / 20


def test_a_stereo_packet_becomes_mono_where_mono_is_wanted() -> None:
    heard = samples(decode(OpusDecoder(16000), packets(layout="stereo")))
    assert len(heard) == 16000
    assert fit(heard[1600:-1600], 16000, 440)[0] == pytest.approx(AMPLITUDE / 2, rel=0.1)


def test_a_mono_packet_becomes_stereo_where_stereo_is_wanted() -> None:
    heard = samples(decode(OpusDecoder(16000, 2), packets()))
    assert (heard[0::2] == heard[1::2]).all()
    assert fit(heard[0::2][1600:-1600], 16000, 440)[0] == pytest.approx(AMPLITUDE, rel=0.05)


def test_a_lost_packet_does_not_break_what_follows() -> None:
    stream = packets()
    heard = samples(decode(OpusDecoder(16000), stream[:20] + stream[21:]))
    assert len(heard) == 16000 - 320
    amplitude, snr_db = fit(heard[8000:-1600], 16000, 440)
    assert amplitude == pytest.approx(AMPLITUDE, rel=0.05)
    assert snr_db > 30


@pytest.mark.parametrize("wrong", [b"\x03", b"\xff\xff\xff", b"RIFF1234", b"OggS" + bytes(60)])
def test_what_is_no_packet_is_refused_and_changes_nothing(wrong: bytes) -> None:
    stream = packets()
    expected = decode(OpusDecoder(), stream)
    decoder = OpusDecoder()
    heard = [decoder.decode(packet) for packet in stream[:25]]
    with pytest.raises(AudioFormatError, match=f"{len(wrong)} bytes that are not an Opus packet"):
        decoder.decode(wrong)
    heard += [decoder.decode(packet) for packet in stream[25:]]
    assert b"".join(heard) + decoder.flush() == expected


def test_an_empty_packet_does_not_end_the_stream() -> None:
    stream = packets()
    decoder = OpusDecoder()
    with pytest.raises(ValueError, match="an empty Opus packet"):
        decoder.decode(b"")
    assert decode(decoder, stream) == decode(OpusDecoder(), stream)


def test_after_a_reset_it_is_as_new() -> None:
    stream = packets()
    decoder = OpusDecoder()
    for packet in packets(1234)[:17]:
        decoder.decode(packet)
    decoder.reset()
    assert decode(decoder, stream) == decode(OpusDecoder(), stream)
    assert decode(decoder, stream) == decode(OpusDecoder(), stream)


def test_any_buffer_is_a_packet() -> None:
    packet = packets()[5]
    views = [packet, bytearray(packet), memoryview(packet)]
    assert len({OpusDecoder(48000).decode(view) for view in views}) == 1


@pytest.mark.parametrize("arguments", [(3999,), (192001,), (16000, 0), (16000, 3)])
def test_wrong_arguments_are_refused(arguments: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must be"):
        OpusDecoder(*arguments)


def test_a_missing_extra_is_named_for_opus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError) as caught:
        OpusDecoder(48000)
    assert str(caught.value) == 'Opus needs an extra: pip install "avatarwire[audio]"'
