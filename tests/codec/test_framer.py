import array
import random
import threading

import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from parsers import parse

from avatarwire.codec import AudioFrame, PcmFramer

SHAPES = st.fixed_dictionaries(
    {
        "sample_rate": st.sampled_from([16000, 24000, 48000]),
        "channels": st.integers(1, 2),
        "frame_ms": st.integers(1, 5),
        "seq": st.integers(-5000, 5000),
        "timestamp": st.integers(-(2**21), 2**21),
    }
)
STEP = st.one_of(
    st.integers(0, 2000).map(lambda size: ("pcm", size)),
    st.just(("flush", None)),
    st.tuples(
        st.just("reset"),
        st.fixed_dictionaries(
            {}, optional={"seq": st.integers(0, 4095), "timestamp": st.integers(0, 2**20)}
        ),
    ),
)


def sound(size, seed=1):
    return random.Random(seed).randbytes(size)  # noqa: S311


def packed(framer, pcm):
    out = bytearray(b"\xaa" * (len(pcm) * 10 + 20_000))
    size = framer.pack_into(pcm, out, 3)
    assert out[:3] == b"\xaa" * 3
    assert set(out[3 + size :]) <= {0xAA}
    return bytes(out[3 : 3 + size])


# Two calls each, which give a list of messages.
WAYS_OUT = [
    (PcmFramer.frames, PcmFramer.flush),
    (lambda framer, pcm: split(packed(framer, pcm)), PcmFramer.flush),
    (
        lambda framer, pcm: parse(framer.websocket(pcm)),
        lambda framer: parse(framer.flush_websocket()),
    ),
]


def split(messages):
    found = []
    while messages:
        size = 9 + int.from_bytes(messages[7:9], "big")
        found.append(messages[:size])
        messages = messages[size:]
    return found


@given(SHAPES, st.lists(st.tuples(STEP, st.sampled_from(WAYS_OUT)), max_size=30))
def test_the_ways_out_go_together(shape, steps):
    model, framer = reference.Framer(**shape), PcmFramer(**shape)
    for number, ((step, argument), (frames, flush)) in enumerate(steps):
        if step == "pcm":
            pcm = sound(argument, number)
            assert frames(framer, pcm) == model.frames(pcm)
        elif step == "flush":
            assert flush(framer) == model.flush()
        else:
            framer.reset(**argument)
            model.reset(**argument)
        assert framer.pending_bytes == len(model.rest)


@given(SHAPES, st.lists(STEP, max_size=12))
def test_every_way_out_is_what_the_reference_says(shape, steps):
    model = reference.Framer(**shape)
    listed, written, wired = (PcmFramer(**shape) for _ in range(3))
    for number, (step, argument) in enumerate(steps):
        if step == "pcm":
            pcm = sound(argument, number)
            expected = model.frames(pcm)
            assert listed.frames(pcm) == expected
            assert packed(written, pcm) == b"".join(expected)
            assert parse(wired.websocket(pcm)) == expected
        elif step == "flush":
            expected = model.flush()
            assert listed.flush() == written.flush() == expected
            assert parse(wired.flush_websocket()) == expected
        else:
            for framer in (model, listed, written, wired):
                framer.reset(**argument)
        for framer in (listed, written, wired):
            assert framer.pending_bytes == len(model.rest)
            assert framer.seq == model.seq % 4096
            time = model.start + model.sent * 1000 // model.rate
            assert framer.timestamp == time % 1048576


def test_exact_messages():
    framer = PcmFramer(sample_rate=24000, seq=4095, timestamp=1048560)
    pcm = sound(48000)
    messages = framer.frames(pcm)
    assert messages == [
        AudioFrame(
            key=i == 0, seq=4095 + i, timestamp=1048560 + 40 * i, sample_rate=1, samples=960,
            payload=pcm[i * 1920 : (i + 1) * 1920],
        ).pack()
        for i in range(25)
    ]  # fmt: skip
    assert all(type(message) is bytes for message in messages)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("chunk", [1, 3, 7, 1919, 5000])
def test_the_remainder_survives_any_chunk_size(channels, chunk):
    pcm = sound(20_001)
    whole = PcmFramer(sample_rate=48000, channels=channels, frame_ms=10)
    cut = PcmFramer(sample_rate=48000, channels=channels, frame_ms=10)
    wire = PcmFramer(sample_rate=48000, channels=channels, frame_ms=10)
    expected = whole.frames(pcm) + whole.flush()
    messages, written = [], b""
    for start in range(0, len(pcm), chunk):
        messages += cut.frames(pcm[start : start + chunk])
        written += wire.websocket(pcm[start : start + chunk])
    assert messages + cut.flush() == expected
    assert parse(written + wire.flush_websocket()) == expected
    heard = b"".join(AudioFrame.unpack(message).payload for message in expected)
    assert heard == pcm[: len(heard)]
    assert len(pcm) - len(heard) == len(pcm) % (2 * channels)


def test_flush_drops_half_a_sample():
    framer = PcmFramer()
    framer.frames(b"abcde")
    assert framer.pending_bytes == 5
    assert framer.flush() == [AudioFrame(key=1, samples=2, payload=b"abcd").pack()]
    assert framer.pending_bytes == 0
    assert (framer.seq, framer.timestamp) == (1, 0)
    framer.frames(b"a")
    assert framer.flush() == []
    assert framer.flush_websocket() == b""
    assert framer.seq == 1


def test_time_never_drifts():
    framer = PcmFramer(sample_rate=24000)
    sent = 0
    for size in range(2, 1800, 2):
        framer.frames(sound(size))
        framer.flush()
        sent += size // 2
        assert framer.timestamp == sent * 1000 // 24000 % 1048576


def test_reset():
    framer = PcmFramer(seq=5, timestamp=100)
    keys = [AudioFrame.unpack(message).key for message in framer.frames(bytes(1280 * 3 + 10))]
    assert keys == [1, 0, 0]
    framer.reset()
    assert (framer.seq, framer.timestamp, framer.pending_bytes) == (8, 220, 0)
    assert AudioFrame.unpack(framer.frames(bytes(1280))[0]).key == 1
    framer.reset(seq=-1, timestamp=-1)
    assert (framer.seq, framer.timestamp) == (4095, 1048575)
    framer.frames(b"ab")
    for wrong in ({"seq": 1.0}, {"seq": 1, "timestamp": "1"}):
        with pytest.raises(TypeError):
            framer.reset(**wrong)
    assert (framer.seq, framer.timestamp, framer.pending_bytes) == (4095, 1048575, 2)


def test_shapes():
    for rate, longest in ((16000, 255), (24000, 170), (48000, 85)):
        framer = PcmFramer(sample_rate=rate, channels=2, frame_ms=longest)
        assert framer.frame_bytes == rate * longest // 1000 * 4
        assert (framer.sample_rate, framer.channels, framer.frame_ms) == (rate, 2, longest)
        assert AudioFrame.unpack(framer.frames(bytes(framer.frame_bytes))[0]).channel == 1
        with pytest.raises(ValueError, match=f"frame_ms must be from 1 to {longest}, not"):
            PcmFramer(sample_rate=rate, frame_ms=longest + 1)
    framer = PcmFramer()
    assert (framer.sample_rate, framer.channels, framer.frame_ms) == (16000, 1, 40)
    assert (framer.frame_bytes, framer.seq, framer.timestamp) == (1280, 0, 0)


def test_wrong_shapes():
    for rate in (0, 8000, 44100, -16000):
        with pytest.raises(ValueError, match=f"16000, 24000 or 48000, not {rate}: .*resampled"):
            PcmFramer(sample_rate=rate)
    for name, value in (("channels", 0), ("channels", 3), ("frame_ms", 0), ("frame_ms", -1)):
        with pytest.raises(ValueError, match=f"{name} must be from 1"):
            PcmFramer(**{name: value})
    with pytest.raises(ValueError, match="sample_rate must be from"):
        PcmFramer(sample_rate=2**70)
    for name in ("sample_rate", "channels", "frame_ms", "seq", "timestamp"):
        with pytest.raises(TypeError, match=f"{name} must be an int"):
            PcmFramer(**{name: 16000.0})
    with pytest.raises(TypeError):
        PcmFramer(16000)


def test_pack_into_says_what_it_needs_and_changes_nothing(unexported):
    framer = PcmFramer(sample_rate=24000)
    framer.frames(b"abc")
    pcm, out = bytearray(1920 * 2), bytearray(1929 * 2)
    for target, offset in ((bytearray(1929 * 2 - 1), 0), (out, 1), (out, 5000)):
        before = bytes(target)
        with pytest.raises(ValueError, match=f"3858 bytes are needed at offset {offset} of out"):
            framer.pack_into(pcm, target, offset)
        assert target == before
        unexported(target, pcm)
    for offset in (-1, 2**70):
        with pytest.raises(ValueError, match="offset"):
            framer.pack_into(pcm, out, offset)
    with pytest.raises(TypeError, match="offset"):
        framer.pack_into(pcm, out, 0.0)
    for target in (bytes(4000), memoryview(bytes(4000))):
        with pytest.raises(TypeError, match="writable"):
            framer.pack_into(pcm, target)
    with pytest.raises(TypeError):
        framer.pack_into(pcm, None)
    with pytest.raises(TypeError, match="contiguous"):
        framer.pack_into(pcm, memoryview(bytearray(9000))[::2])
    assert (framer.seq, framer.pending_bytes) == (0, 3)
    assert framer.pack_into(pcm, out) == 3858
    assert framer.pack_into(b"", bytearray()) == 0
    unexported(pcm, out)


def test_pack_into_refuses_shared_memory():
    framer = PcmFramer()
    memory = bytearray(sound(10_000))
    before = bytes(memory)
    view = memoryview(memory)
    for start in (1, 700, 1289 + 1280 - 1):
        with pytest.raises(ValueError, match="out overlaps pcm"):
            framer.pack_into(view[1289 : 1289 + 1280], view, start)
    assert memory == before
    assert framer.pack_into(view[1289 : 1289 + 1280], view) == 1289
    assert memory[9:1289] == before[1289 : 1289 + 1280]


def test_wrong_input_changes_nothing(unexported):
    framer = PcmFramer()
    for take in (framer.frames, framer.websocket, lambda pcm: framer.pack_into(pcm, bytearray(9))):
        for wrong in ("text", None, 1, [0]):
            with pytest.raises(TypeError):
                take(wrong)
        with pytest.raises(ValueError, match="contiguous"):
            take(memoryview(bytes(4000))[::2])
    assert (framer.seq, framer.pending_bytes) == (0, 0)
    pcm = bytearray(2000)
    framer.frames(pcm)
    unexported(pcm)
    framer.websocket(pcm)
    unexported(pcm)


def test_any_buffer_is_read_in_place(as_buffer):
    pcm = sound(3000)
    expected = PcmFramer().frames(pcm)
    assert PcmFramer().frames(as_buffer(pcm)) == expected
    assert parse(PcmFramer().websocket(as_buffer(pcm))) == expected
    assert packed(PcmFramer(), as_buffer(pcm)) == b"".join(expected)
    assert PcmFramer().frames(array.array("h", pcm)) == expected


def test_exact_wire(masks):
    pcm = sound(80 * 64)
    framer = PcmFramer(frame_ms=2)
    wire = framer.websocket(pcm)
    expected = reference.Framer(frame_ms=2).frames(pcm)
    # Eighty frames: more keys than fit on the stack.
    assert len(expected) == 80
    assert wire == b"".join(map(reference.client_message, expected, masks))


def test_no_key_is_used_twice():
    wire = PcmFramer(frame_ms=1).websocket(bytes(32 * 3000))
    size = 6 + 9 + 32
    keys = [wire[start + 2 : start + 6] for start in range(0, len(wire), size)]
    assert len(keys) == 3000
    assert len(set(keys)) > 2990


def test_a_failure_of_the_entropy_changes_nothing(monkeypatch):
    from avatarwire.codec import _masks

    def broken(size):
        raise OSError("no entropy")

    framer = PcmFramer()
    framer.frames(b"abcd")
    pcm = bytearray(4000)
    with monkeypatch.context() as patch:
        patch.setattr("os.urandom", broken)
        _masks.discard()
        with pytest.raises(OSError, match="no entropy"):
            framer.websocket(pcm)
        with pytest.raises(OSError, match="no entropy"):
            framer.flush_websocket()
    pcm.append(0)
    assert (framer.seq, framer.pending_bytes) == (0, 4)


def test_several_threads_lose_and_repeat_nothing():
    framer = PcmFramer(sample_rate=48000, frame_ms=1)
    messages = [[] for _ in range(6)]
    begin = threading.Barrier(6)

    def work(number):
        mine = messages[number]
        pcm = bytes([number]) * (96 * 3)
        out = bytearray(105 * 4)
        begin.wait()
        for _ in range(100):
            mine.extend(framer.frames(pcm))
            mine.extend(parse(framer.websocket(pcm)))
            size = framer.pack_into(pcm, out)
            mine.extend(bytes(out[i : i + 105]) for i in range(0, size, 105))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    frames = [AudioFrame.unpack(message) for mine in messages for message in mine]
    assert len(frames) == 6 * 100 * 9
    assert sorted(frame.seq for frame in frames) == sorted(i % 4096 for i in range(5400))
    assert sum(frame.key for frame in frames) == 1
    for number in range(6):
        heard = sum(frame.payload.count(number) for frame in frames)
        assert heard == 100 * 9 * 96


def test_state_cannot_be_copied_or_assigned():
    import copy

    framer = PcmFramer()
    with pytest.raises(TypeError, match="pickle"):
        copy.copy(framer)
    with pytest.raises(AttributeError):
        framer.seq = 1
