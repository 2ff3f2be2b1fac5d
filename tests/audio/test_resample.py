import sys
from array import array
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatarwire.audio import Resampler
from avatarwire.errors import MissingExtraError

RATES = [8000, 16000, 22050, 24000, 44100, 48000]
AMPLITUDE = 16000


def tone(rate: int, hertz: float, *, seconds: float = 1.0) -> bytes:
    time_s = np.arange(int(rate * seconds)) / rate
    return np.rint(AMPLITUDE * np.sin(2 * np.pi * hertz * time_s)).astype("<i2").tobytes()


def noise(samples: int, *, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).integers(-(2**15), 2**15, samples).astype("<i2").tobytes()


def whole(resampler: Resampler, pcm: bytes, chunk_bytes: int = 1 << 30) -> bytes:
    chunks = [resampler.push(pcm[at : at + chunk_bytes]) for at in range(0, len(pcm), chunk_bytes)]
    return b"".join([*chunks, resampler.flush()])


def samples(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(float)


def fit(pcm: bytes, rate: int, hertz: float) -> tuple[float, float]:
    """Give the amplitude of a tone, and the RMS of all else, away from both ends."""
    heard = samples(pcm)[rate // 10 : -rate // 10]
    angle = 2 * np.pi * hertz * np.arange(len(heard)) / rate
    basis = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    parts = np.linalg.lstsq(basis, heard, rcond=None)[0]
    return float(np.hypot(*parts)), float(np.sqrt(np.mean((heard - basis @ parts) ** 2)))


def db(ratio: float) -> float:
    return float(20 * np.log10(max(ratio, 1e-12)))


def test_a_tone_stays_a_tone() -> None:
    frame_bytes = 24000 * 2 * 40 // 1000
    heard = whole(Resampler(rate_in=24000, rate_out=16000), tone(24000, 1000), frame_bytes)
    level, rest = fit(heard, 16000, 1000)
    assert level == pytest.approx(AMPLITUDE, rel=0.001)
    assert db(level / 2**0.5 / rest) > 85


@pytest.mark.parametrize("hertz", [8300, 10000, 11500])
def test_what_the_new_rate_cannot_hold_does_not_alias(hertz: int) -> None:
    heard = whole(Resampler(rate_in=24000, rate_out=16000), tone(24000, hertz), 1920)
    rms = np.sqrt(np.mean(samples(heard)[1600:-1600] ** 2))
    assert db(rms * 2**0.5 / AMPLITUDE) < -90


@pytest.mark.parametrize(("rate_in", "rate_out"), [(24000, 16000), (16000, 24000), (44100, 16000)])
def test_speech_keeps_its_level(rate_in: int, rate_out: int) -> None:
    for hertz in (200, 3400, 6000):
        heard = whole(Resampler(rate_in=rate_in, rate_out=rate_out), tone(rate_in, hertz))
        assert abs(db(fit(heard, rate_out, hertz)[0] / AMPLITUDE)) < 0.4


def test_nothing_is_shifted_in_time() -> None:
    click = np.zeros(24000, "<i2")
    click[12000] = 20000
    heard = samples(whole(Resampler(rate_in=24000, rate_out=16000), click.tobytes()))
    assert int(np.argmax(heard)) == 8000


@settings(deadline=None, max_examples=60)
@given(
    rates=st.tuples(st.sampled_from(RATES), st.sampled_from(RATES)),
    channels=st.tuples(st.sampled_from([1, 2]), st.sampled_from([1, 2])),
    cuts=st.lists(st.integers(0, 9000), max_size=30),
    size=st.integers(0, 9000),
)
def test_the_output_does_not_depend_on_the_chunks(
    rates: tuple[int, int], channels: tuple[int, int], cuts: list[int], size: int
) -> None:
    def make() -> Resampler:
        return Resampler(
            rate_in=rates[0], rate_out=rates[1], channels_in=channels[0], channels_out=channels[1]
        )

    pcm = noise(5000)[:size]
    cut = make()
    edges = [0, *sorted(min(edge, size) for edge in cuts), size]
    out = b"".join(cut.push(pcm[a:b]) for a, b in pairwise(edges))
    assert cut.pending_bytes == size % (2 * channels[0])
    assert out + cut.flush() == whole(make(), pcm)


@pytest.mark.parametrize("channels_in", [1, 2])
def test_a_byte_at_a_time(channels_in: int) -> None:
    def make() -> Resampler:
        return Resampler(rate_in=24000, rate_out=16000, channels_in=channels_in)

    pcm = noise(3000)
    assert whole(make(), pcm, chunk_bytes=1) == whole(make(), pcm)


@settings(deadline=None, max_examples=60)
@given(
    rate_in=st.integers(4000, 192000),
    rate_out=st.integers(4000, 192000),
    count=st.integers(0, 6000),
)
def test_the_length_is_right_to_the_sample(rate_in: int, rate_out: int, count: int) -> None:
    heard = whole(Resampler(rate_in=rate_in, rate_out=rate_out), bytes(2 * count), 1920)
    assert abs(len(heard) / 2 - count * rate_out / rate_in) <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("rate_in", "most_ms"), [(24000, 21), (48000, 21), (44100, 22), (8000, 62)]
)
def test_what_is_held_back_is_told_and_small(rate_in: int, most_ms: float) -> None:
    resampler = Resampler(rate_in=rate_in, rate_out=16000)
    assert resampler.delay_ms == 0.0
    taken = given_ = 0
    delays = []
    for _ in range(500):
        taken += rate_in // 1000
        given_ += len(resampler.push(bytes(2 * (rate_in // 1000)))) // 2
        assert resampler.delay_ms == pytest.approx(1000 * (taken / rate_in - given_ / 16000))
        delays.append(resampler.delay_ms)
    assert most_ms / 2 < max(delays) <= most_ms + 0.01
    resampler.flush()
    assert resampler.delay_ms == 0.0


def test_after_a_flush_it_is_as_new() -> None:
    resampler = Resampler(rate_in=24000, rate_out=16000)
    first = whole(resampler, noise(2400) + b"\x01")
    assert resampler.pending_bytes == 0
    assert whole(resampler, noise(2400)) == first


def test_loud_sound_is_clipped_and_does_not_wrap() -> None:
    square = np.repeat(np.tile(np.array([32767, -32768], "<i2"), 100), 120)
    heard = samples(whole(Resampler(rate_in=24000, rate_out=16000), square.tobytes()))
    # The filter overshoots by a tenth beside every edge: without clipping that is the other sign.
    halves = np.sign(heard).reshape(200, 80)
    assert (halves[0::2, 1:-1] == 1).all()
    assert (halves[1::2, 1:-1] == -1).all()
    assert heard.max() == 32767
    assert heard.min() == -32768


def test_stereo_becomes_its_mean() -> None:
    pcm = np.array([100, 300, 3, 4, -3, -4, 32767, 32767], "<i2").tobytes()
    resampler = Resampler(rate_in=16000, rate_out=16000, channels_in=2)
    assert samples(whole(resampler, pcm)).tolist() == [200, 4, -4, 32767]


def test_mono_becomes_both_channels() -> None:
    pcm = np.array([1, -2], "<i2").tobytes()
    resampler = Resampler(rate_in=16000, rate_out=16000, channels_out=2)
    assert samples(whole(resampler, pcm)).tolist() == [1, 1, -2, -2]


def test_stereo_channels_stay_apart() -> None:
    both = np.stack([samples(tone(24000, 1000)), np.zeros(24000)], axis=1).astype("<i2")
    resampler = Resampler(rate_in=24000, rate_out=16000, channels_in=2, channels_out=2)
    heard = samples(whole(resampler, both.tobytes(), 1919))
    assert heard[0::2].astype("<i2").tobytes() == whole(
        Resampler(rate_in=24000, rate_out=16000), tone(24000, 1000)
    )
    assert not heard[1::2].any()


@pytest.mark.parametrize("make", [bytearray, memoryview, lambda pcm: array("h", pcm)])
def test_any_buffer_is_taken(make) -> None:
    pcm = noise(960)
    assert whole(Resampler(rate_in=24000, rate_out=16000), pcm) == b"".join(
        [(resampler := Resampler(rate_in=24000, rate_out=16000)).push(make(pcm)), resampler.flush()]
    )


@pytest.mark.parametrize("wrong", [5, "text", [1, 2]])
def test_what_is_no_buffer_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="bytes-like"):
        Resampler(rate_in=24000, rate_out=16000).push(wrong)  # type: ignore[arg-type]


def test_the_same_shape_passes_through_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch)
    resampler = Resampler(rate_in=16000, rate_out=16000, channels_in=2, channels_out=2)
    assert [resampler.push(pcm) for pcm in (b"abcdef", b"gh", b"i")] == [b"abcd", b"efgh", b""]
    assert (resampler.delay_ms, resampler.pending_bytes, resampler.flush()) == (0.0, 1, b"")


@pytest.mark.parametrize("missing", ["numpy", "soxr"])
def test_a_missing_extra_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, missing)
    with pytest.raises(MissingExtraError) as caught:
        Resampler(rate_in=24000, rate_out=16000)
    assert str(caught.value) == 'resampling needs an extra: pip install "avatarwire[audio]"'


@pytest.mark.parametrize("name", ["rate_in", "rate_out"])
@pytest.mark.parametrize("rate", [0, -16000, 3999, 192001, 16000.0, "16000", None])
def test_a_wrong_rate_is_named_with_the_range(name: str, rate: object) -> None:
    rates = {"rate_in": 16000, "rate_out": 16000, name: rate}
    with pytest.raises(ValueError, match=f"{name} must be .* from 4000 to 192000, not {rate!r}"):
        Resampler(**rates)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["channels_in", "channels_out"])
@pytest.mark.parametrize("channels", [0, 3, -1, "1"])
def test_wrong_channels_are_named(name: str, channels: object) -> None:
    with pytest.raises(ValueError, match=f"{name} must be 1 or 2, not {channels!r}"):
        Resampler(rate_in=16000, rate_out=16000, **{name: channels})  # type: ignore[arg-type]


def hide(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    for name in missing or ("numpy", "soxr"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "avatarwire.audio._conversion", raising=False)
    monkeypatch.delattr("avatarwire.audio._conversion", raising=False)


@pytest.mark.parametrize("rate_out", [16000, 24000])
@pytest.mark.parametrize(
    "wrong", [np.int32, np.int64, np.float32, np.bool_, ">i2", np.complex64, object]
)
def test_what_is_no_16_bit_sound_is_refused(wrong: type, rate_out: int) -> None:
    with pytest.raises(TypeError, match="pcm must be"):
        Resampler(rate_in=24000, rate_out=rate_out).push(np.zeros(100, wrong))


@pytest.mark.parametrize("kind", [np.int32, np.uint16, np.int64])
def test_a_rate_may_be_any_integer(kind: type) -> None:
    resampler = Resampler(rate_in=kind(24000), rate_out=kind(16000), channels_in=kind(2))
    plain = Resampler(rate_in=24000, rate_out=16000, channels_in=2)
    pcm = tone(24000, 440)
    assert resampler.push(pcm) + resampler.flush() == plain.push(pcm) + plain.flush()
