import copy
import gc
import pickle
import random
import sys

import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from parsers import parse

from avatarwire.codec import AudioFrame, ExternalAudioFrame, FrameType, ImageFrame, frame_type
from avatarwire.codec.frames import audio_frames

AUDIO_RANGES = {"channel": 1, "key": 1, "sample_rate": 3, "samples": 4095, "codec": 3}
IMAGE_RANGES = {"format": 15, "quality": 255, "image_id": 65535, "width": 65535, "height": 65535}
AUDIO_FIELDS = st.fixed_dictionaries(
    {name: st.integers(0, top) for name, top in AUDIO_RANGES.items()}
    | {"seq": st.integers(), "timestamp": st.integers(), "payload": st.binary(max_size=300)}
)
IMAGE_FIELDS = st.fixed_dictionaries(
    {name: st.integers(0, top) for name, top in IMAGE_RANGES.items()}
    | {"payload": st.binary(max_size=300)}
)
RANGES = [(AudioFrame, *item) for item in AUDIO_RANGES.items()]
RANGES += [(ImageFrame, *item) for item in IMAGE_RANGES.items()]
FRAMES = [
    AudioFrame(1, 1, 2, 3, 1, 960, 0, b"sound"),
    ImageFrame(1, 90, 7, 640, 480, b"image"),
]


def fields(frame):
    return {name: getattr(frame, name) for name in frame.__match_args__}


def test_check_value_of_the_protocol():
    frame = AudioFrame(1, 1, 0, 1048575, 0, 0, 1, bytes(2640))
    assert frame.pack()[:9].hex() == "7000fffff000100a50"
    assert frame.pack()[9:] == bytes(2640)


def test_image_bytes():
    frame = ImageFrame(4, 85, 0x0102, 0x0304, 0x0506, b"abc")
    assert frame.pack() == bytes.fromhex("84 55 0102 0304 0506 00000003") + b"abc"


def test_defaults():
    assert fields(AudioFrame()) == dict.fromkeys(AudioFrame.__match_args__, 0) | {"payload": b""}
    assert fields(ImageFrame()) == {
        "format": 0, "quality": 85, "image_id": 0, "width": 0, "height": 0, "payload": b"",
    }  # fmt: skip


@given(AUDIO_FIELDS)
def test_audio_is_what_the_reference_says(values):
    message = AudioFrame(**values).pack()
    assert message == reference.audio(**values)
    assert fields(AudioFrame.unpack(message)) == reference.read_audio(message)


@given(IMAGE_FIELDS)
def test_image_is_what_the_reference_says(values):
    message = ImageFrame(**values).pack()
    assert message == reference.image(**values)
    assert fields(ImageFrame.unpack(message)) == reference.read_image(message)


@given(st.binary(min_size=9, max_size=40), st.booleans())
def test_any_bytes_are_read_as_the_reference_reads_them(message, is_audio):
    ours, theirs = (
        (AudioFrame.unpack, reference.read_audio)
        if is_audio
        else (ImageFrame.unpack, reference.read_image)
    )
    try:
        expected = theirs(message)
    except ValueError as error:
        with pytest.raises(ValueError, match=str(error)):
            ours(message)
    else:
        assert fields(ours(message)) == expected


@pytest.mark.parametrize(("kind", "name", "top"), RANGES)
def test_a_field_must_fit(kind, name, top):
    frame = kind()
    for value in (0, top, True):
        setattr(frame, name, value)
        assert getattr(kind(**{name: value}), name) == getattr(frame, name) == value
    for value in (-1, top + 1, 2**64, -(2**64)):
        pattern = f"{name} must be from 0 to {top}, not "
        with pytest.raises(ValueError, match=pattern):
            kind(**{name: value})
        with pytest.raises(ValueError, match=pattern):
            setattr(frame, name, value)
    assert getattr(frame, name) == True  # noqa: E712


def test_an_error_shows_the_value_unless_it_is_huge():
    with pytest.raises(ValueError, match="sample_rate must be from 0 to 3, not 16000"):
        AudioFrame(sample_rate=16000)
    with pytest.raises(
        ValueError, match="codec must be from 0 to 3, not an integer of 100001 bits"
    ):
        AudioFrame(codec=1 << 100000)


@pytest.mark.parametrize(("name", "modulus"), [("seq", 4096), ("timestamp", 1048576)])
@pytest.mark.parametrize("value", [0, -1, 4096, 1048577, 2**64 + 5, -(2**70) + 1, True])
def test_seq_and_timestamp_wrap(name, modulus, value):
    frame = AudioFrame(**{name: value})
    assert getattr(frame, name) == value % modulus
    setattr(frame, name, value + 1)
    assert getattr(frame, name) == (value + 1) % modulus


@pytest.mark.parametrize("frame", FRAMES, ids=repr)
@pytest.mark.parametrize("value", [None, "1", 1.0, b"1", [1]])
def test_wrong_types(frame, value):
    before = copy.copy(frame)
    for name in frame.__match_args__[:-1]:
        with pytest.raises(TypeError, match=f"{name} must be an int, not {type(value).__name__}"):
            setattr(frame, name, value)
        with pytest.raises(TypeError, match=name):
            type(frame)(**{name: value})
    assert frame == before


@pytest.mark.parametrize("kind", [AudioFrame, ImageFrame])
@pytest.mark.parametrize("value", [None, "text", 1, [1]])
def test_payload_must_be_a_buffer(kind, value):
    with pytest.raises(TypeError):
        kind(payload=value)
    frame = kind(payload=b"before")
    with pytest.raises(TypeError):
        frame.payload = value
    with pytest.raises(TypeError):
        kind.unpack(value)
    assert frame.payload == b"before"


def test_index_is_enough():
    class Number:
        def __index__(self):
            return 3

    assert AudioFrame(seq=Number(), codec=Number()) == AudioFrame(seq=3, codec=3)


def test_payload_over_the_limit_names_the_framer():
    frame = AudioFrame(payload=bytes(65535))
    assert AudioFrame.unpack(frame.pack()) == frame
    with pytest.raises(ValueError, match=r"65536 bytes.*PcmFramer"):
        AudioFrame(payload=bytes(65536))
    with pytest.raises(ValueError, match="PcmFramer"):
        frame.payload = bytes(65536)
    assert len(frame.payload) == 65535
    assert len(ImageFrame(payload=bytes(65536)).pack()) == 65548


def test_payload_from_any_buffer(as_buffer):
    for kind in (AudioFrame, ImageFrame):
        frame = kind(payload=as_buffer(b"sound"))
        assert frame.payload == b"sound"
        assert type(frame.payload) is bytes
        assert kind.unpack(as_buffer(frame.pack())) == frame


@pytest.mark.parametrize("kind", [AudioFrame, ImageFrame])
def test_buffers_must_be_contiguous(kind):
    gaps = memoryview(bytes(40))[::2]
    with pytest.raises(ValueError, match="contiguous"):
        kind(payload=gaps)
    with pytest.raises(ValueError, match="contiguous"):
        kind.unpack(gaps)
    with pytest.raises(ValueError, match="contiguous"):
        frame_type(gaps)


def test_length_is_checked_first():
    for kind, size in ((AudioFrame, 9), (ImageFrame, 12), (ExternalAudioFrame, 25)):
        with pytest.raises(ValueError, match="too short"):
            kind.unpack(b"")
        with pytest.raises(ValueError, match="too short"):
            kind.unpack(b"\xff" * (size - 1))
        with pytest.raises(ValueError, match="Not an"):
            kind.unpack(b"\xff" * size)
    with pytest.raises(ValueError, match="Not an audio frame"):
        AudioFrame.unpack(ImageFrame().pack())
    with pytest.raises(ValueError, match="Not an image frame"):
        ImageFrame.unpack(AudioFrame(payload=b"abc").pack())


@pytest.mark.parametrize("frame", FRAMES, ids=repr)
def test_truncated_and_trailing(frame):
    message = frame.pack()
    with pytest.raises(ValueError, match="payload truncated"):
        type(frame).unpack(message[:-1])
    assert type(frame).unpack(message + b"more") == frame
    assert type(frame).unpack(message + b"more").payload == frame.payload


def test_undefined_values_are_read():
    frame = AudioFrame.unpack(bytes.fromhex("7000fffffc003f0000"))
    assert (frame.sample_rate, frame.codec) == (3, 3)
    assert ImageFrame.unpack(b"\xbf" + bytes(11)).format == 15


@pytest.mark.parametrize("frame", FRAMES, ids=repr)
def test_payload_is_made_on_first_use(frame):
    message = frame.pack()
    count = sys.getrefcount(message)
    unpacked = type(frame).unpack(message)
    assert sys.getrefcount(message) == count + 1
    view = unpacked.payload_view
    assert view.readonly
    assert view.obj is message
    assert view == frame.payload
    assert unpacked.payload is unpacked.payload
    assert unpacked.payload == frame.payload
    del view
    assert sys.getrefcount(message) == count
    assert unpacked.payload_view.obj is unpacked.payload


@pytest.mark.parametrize("kind", [AudioFrame, ImageFrame, ExternalAudioFrame])
@given(data=st.data())
def test_a_frame_has_its_last_payload_whatever_was_done_to_it(kind, data):
    """Its payload lies in a message, in a copy or in what was assigned."""
    fixed = (1, 2) if kind is ExternalAudioFrame else ()
    payload = b"first!"
    frame = kind(*fixed, payload=payload)
    views = []
    for _ in range(data.draw(st.integers(1, 12))):
        step = data.draw(
            st.sampled_from(["assign", "anew", "unpack", "mutable", "read", "view", "copy"])
        )
        if step in {"assign", "anew"}:
            payload = data.draw(st.binary(min_size=1, max_size=40)) * 2
        if step == "assign":
            frame.payload = payload
        elif step == "anew":
            frame.__init__(*fixed, payload=payload)
        elif step == "unpack":
            frame = kind.unpack(frame.pack() + data.draw(st.binary(max_size=9)))
        elif step == "mutable":
            frame = kind.unpack(bytearray(frame.pack()) + b"behind")
        elif step == "read":
            assert frame.payload == payload
        elif step == "view":
            views.append((frame.payload_view, payload))
        else:
            frame = copy.copy(frame)
        assert frame.payload_view == payload
        assert frame == kind.unpack(frame.pack())
        assert frame.pack().endswith(payload)
    assert all(view == seen for view, seen in views)


def test_empty_payload_of_a_message_that_goes_on():
    frame = AudioFrame.unpack(AudioFrame().pack() + b"more")
    assert frame.payload == b""
    assert frame.payload_view == b""


@pytest.mark.parametrize("frame", FRAMES, ids=repr)
def test_a_mutable_message_is_copied_at_once(frame, unexported):
    message = bytearray(frame.pack())
    unpacked = type(frame).unpack(message)
    unexported(message)
    message[:] = bytes(len(message))
    assert unpacked == frame


@pytest.mark.parametrize("kind", [AudioFrame, ImageFrame, ExternalAudioFrame])
def test_a_failure_gives_the_buffer_back(kind, unexported):
    for data in (b"", b"\xff" * 30, b"\x40" * 9, b"\x80" * 12, b"EXAU\x01" + b"\1" * 20):
        buffer = bytearray(data)
        with pytest.raises(ValueError, match=r"short|Not an|truncated"):
            kind.unpack(buffer)
        unexported(buffer)
    big = bytearray(65536)
    with pytest.raises(ValueError, match="PcmFramer"):
        AudioFrame(payload=big)
    unexported(big)


@pytest.mark.parametrize("frame", FRAMES, ids=repr)
def test_like_a_dataclass(frame):
    lazy = type(frame).unpack(frame.pack())
    for twin in (copy.copy(frame), copy.deepcopy(frame), lazy):
        assert twin == frame
        assert twin is not frame
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(frame, protocol)) == frame  # noqa: S301
    assert frame != type(frame)()
    assert frame != "frame"
    for name in frame.__match_args__[:-1]:
        other = copy.copy(frame)
        setattr(other, name, getattr(frame, name) ^ 1)
        assert other != frame
    other = copy.copy(frame)
    other.payload = b"other"
    assert other != frame
    with pytest.raises(TypeError, match="unhashable"):
        hash(frame)
    with pytest.raises(AttributeError):
        frame.other = 1


def test_repr_shows_no_payload():
    assert repr(AudioFrame(0, 1, 5, 40, 1, 640, 0, bytes(1280))) == (
        "AudioFrame(channel=0, key=1, seq=5, timestamp=40, sample_rate=1, samples=640, codec=0, "
        "payload=<1280 bytes>)"
    )
    assert repr(ImageFrame(1, 90, 7, 640, 480, b"image")) == (
        "ImageFrame(format=1, quality=90, image_id=7, width=640, height=480, payload=<5 bytes>)"
    )


def test_positional_patterns():
    match FRAMES[0]:
        case AudioFrame(channel, _, seq, payload=payload):
            assert (channel, seq, payload) == (1, 2, b"sound")
        case _:
            pytest.fail("no match")


def test_a_frame_that_was_never_initialised_is_empty():
    for kind in (AudioFrame, ImageFrame):
        frame = kind.__new__(kind)
        assert frame.payload == frame.payload_view == b""
        assert kind.unpack(frame.pack()) == frame


def test_frame_type(as_buffer):
    external = ExternalAudioFrame(1, 0, b"ab").pack()
    for message, kind in (
        (AudioFrame().pack(), FrameType.AUDIO),
        (ImageFrame().pack(), FrameType.IMAGE),
        (external, FrameType.EXTERNAL),
        (external + b"c", FrameType.AUDIO),
        (external[:-1], FrameType.AUDIO),
        (b"EXAU\x02" + external[5:], FrameType.AUDIO),
        (b"EXAU\x01", FrameType.AUDIO),
        (b"\x40", FrameType.AUDIO),
        (b"\x00" * 20, None),
        (b"\xc0" * 20, None),
        (b"", None),
    ):
        assert frame_type(as_buffer(message)) is kind


def test_frame_type_takes_buffers_only(unexported):
    with pytest.raises(TypeError):
        frame_type("EXAU")
    message = bytearray(AudioFrame().pack())
    frame_type(message)
    unexported(message)


def test_mutated_messages_are_a_frame_or_a_value_error():
    chance = random.Random(17)  # noqa: S311
    seeds = [frame.pack() for frame in FRAMES] + [ExternalAudioFrame(1, -1, b"abcd").pack()]
    kinds = {
        FrameType.AUDIO: AudioFrame,
        FrameType.IMAGE: ImageFrame,
        FrameType.EXTERNAL: ExternalAudioFrame,
    }
    read = 0
    for _ in range(20_000):
        message = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(1, 4)):
            message[chance.randrange(len(message))] ^= 1 << chance.randrange(8)
        del message[chance.randrange(len(message) // 2, 2 * len(message)) :]
        kind = kinds.get(frame_type(message)) or chance.choice(list(kinds.values()))
        for data in (message, bytes(message)):
            try:
                frame = kind.unpack(data)
            except ValueError:
                continue
            read += 1
            assert kind.unpack(frame.pack()) == frame
        message.append(0)
    assert read > 1000


def test_nothing_leaks():
    payload = bytes(range(200))
    message = AudioFrame(payload=payload).pack()

    def use():
        frame = AudioFrame.unpack(message)
        frame.payload_view.release()
        frame = copy.deepcopy(AudioFrame(payload=payload))
        frame.payload = payload
        with pytest.raises(ValueError, match="truncated"):
            AudioFrame.unpack(message[:-1])

    use()
    gc.collect()
    before = sys.getrefcount(payload), sys.getrefcount(message)
    for _ in range(100):
        use()
    gc.collect()
    assert (sys.getrefcount(payload), sys.getrefcount(message)) == before


@pytest.mark.parametrize("size", [0, 1, 115, 116, 117, 1920, 65526, 65527, 65535])
def test_exact_bytes_on_a_websocket(size, masks):
    frame = AudioFrame(1, 1, 2, 3, 1, 960, 0, random.Random(size).randbytes(size))  # noqa: S311
    again = AudioFrame.unpack(frame.pack())  # its payload is a part of the message
    assert frame.websocket() == reference.client_message(frame.pack(), masks[0])
    assert again.websocket() == reference.client_message(frame.pack(), masks[1])


@given(AUDIO_FIELDS)
def test_two_implementations_read_a_frame_on_a_websocket(fields):
    frame = AudioFrame(**fields)
    assert parse(frame.websocket()) == [frame.pack()]


@given(
    st.lists(AUDIO_FIELDS.map(lambda fields: AudioFrame(**fields).pack()), max_size=5),
    st.sampled_from([
        "text", b"", b"\x40", bytearray(9), ImageFrame(payload=b"x").pack(),
        ExternalAudioFrame(1, 2, bytes(1920)).pack(), AudioFrame(payload=b"ab").pack()[:-1],
    ]),
    st.integers(0, 6),
    st.integers(0, 6),
)  # fmt: skip
def test_audio_frames_are_read_up_to_the_first_other_message(audio, other, start, most):
    messages = [*audio, other, *audio]
    expected = [AudioFrame.unpack(message) for message in audio[start : start + most]]
    if start > len(audio):
        rest = messages[start : start + most]
        expected = [AudioFrame.unpack(message) for message in rest]
    assert audio_frames(messages, start, most) == expected


@pytest.mark.parametrize(("start", "most"), [(-1, 1), (0, -1)])
def test_audio_frames_are_not_read_from_before_the_first(start, most):
    with pytest.raises(ValueError, match="must not be negative"):
        audio_frames([AudioFrame().pack()], start, most)
