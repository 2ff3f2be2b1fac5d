import pytest

from avatarwire.codec import AudioFrame, AudioFrameBuilder, ImageFrame, ImageFrameBuilder


def test_audio_step_by_step():
    builder = AudioFrameBuilder()
    assert builder.build() == AudioFrame().pack()
    built = (
        builder.stereo().keyframe().seq(5).timestamp(40).sample_rate_24k().samples(960).opus()
        .payload(bytearray(b"sound")).build()
    )  # fmt: skip
    assert built == AudioFrame(1, 1, 5, 40, 1, 960, 1, b"sound").pack()
    assert builder.mono().pcm().sample_rate_48k().build() == (
        AudioFrame(0, 1, 5, 40, 2, 960, 0, b"sound").pack()
    )
    assert builder.sample_rate_16k().build() == AudioFrame(0, 1, 5, 40, 0, 960, 0, b"sound").pack()


def test_audio_wraps_and_refuses():
    builder = AudioFrameBuilder().seq(-1).timestamp(1048577)
    assert AudioFrame.unpack(builder.build()) == AudioFrame(seq=4095, timestamp=1)
    for step, value, error in (
        ("seq", "1", TypeError),
        ("timestamp", 1.0, TypeError),
        ("samples", 4096, ValueError),
        ("samples", None, TypeError),
        ("payload", "sound", TypeError),
        ("payload", bytes(65536), ValueError),
    ):
        with pytest.raises(error):
            getattr(builder, step)(value)
    assert AudioFrame.unpack(builder.build()) == AudioFrame(seq=4095, timestamp=1)


@pytest.mark.parametrize(
    ("step", "number"),
    [("jpg", 0), ("jpeg", 0), ("png", 1), ("webp", 2), ("gif", 3), ("avif", 4)],
)
def test_image_step_by_step(step, number):
    assert ImageFrameBuilder().build() == ImageFrame().pack()
    builder = ImageFrameBuilder().gif()
    builder = getattr(builder, step)().quality(90).image_id(7).size(640, 480).payload(b"image")
    assert builder.build() == ImageFrame(number, 90, 7, 640, 480, b"image").pack()


def test_image_refuses():
    builder = ImageFrameBuilder().size(3, 4)
    for step, values, error in (
        ("quality", (256,), ValueError),
        ("image_id", (-1,), ValueError),
        ("size", (5, 65536), ValueError),
        ("size", (65536, 5), ValueError),
        ("size", (5, None), TypeError),
        ("payload", (None,), TypeError),
    ):
        with pytest.raises(error):
            getattr(builder, step)(*values)
    assert builder.build() == ImageFrame(width=3, height=4).pack()
