"""The reader of a connection, beside the library's parser alone."""

import runpy
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatarwire.rfc6455 import MessageReader
from avatarwire.rfc6455.reader import BATCH

FUZZ = Path(__file__).parents[2] / "fuzz" / "reader.py"
judge = runpy.run_path(str(FUZZ))
alone, together, frame = judge["alone"], judge["together"], judge["frame"]

TEXT, BINARY, PING, PONG, CLOSE = 0x81, 0x82, 0x89, 0x8A, 0x88
LIMIT = 1 << 20


def read(reader, *chunks):
    found = []
    for chunk in chunks:
        reader.feed(chunk)
        while (one := reader.next()) is not None:
            found.append(one)
    return found


# Ours


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 300_000])
@pytest.mark.parametrize("form", [0, 16, 64])
def test_a_message_in_one_piece_and_cut_anywhere(size, form):
    if form == 16 and size > 65_535:
        return
    payload = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    wire = frame(BINARY, payload, form=form)
    assert read(MessageReader(LIMIT), wire) == [[payload]]
    for cut in (1, 2, 3, 5, 9, 10, 11, len(wire) // 2, len(wire) - 1):
        assert read(MessageReader(LIMIT), wire[:cut], wire[cut:]) == [[payload]]


def test_text_is_str_and_binary_bytes():
    wire = frame(TEXT, "zwölf ✓ \0".encode()) + frame(BINARY, b"\xff") + frame(TEXT, b"")
    assert read(MessageReader(LIMIT), wire) == [["zwölf ✓ \0", b"\xff", ""]]


def test_messages_of_one_read_come_together_up_to_a_limit():
    wire = frame(BINARY, b"x") * (2 * BATCH + 1)
    assert [len(found) for found in read(MessageReader(LIMIT), wire)] == [BATCH, BATCH, 1]


def test_what_is_fed_before_the_rest_is_read_waits_behind_it():
    reader = MessageReader(LIMIT)
    reader.feed(frame(BINARY, b"1") * (BATCH + 1) + frame(BINARY, b"2")[:2])
    assert reader.next() == [b"1"] * BATCH
    assert reader.unread_bytes == 5
    reader.feed(frame(BINARY, b"2")[2:] + frame(BINARY, b"3"))
    assert reader.next() == [b"1", b"2", b"3"]
    assert reader.next() is None
    assert reader.unread_bytes == 0


def test_a_payload_in_one_piece_is_copied_once_and_the_read_is_let_go():
    reader = MessageReader(LIMIT)
    wire = bytes(bytearray(frame(BINARY, bytes(1000))))
    references = sys.getrefcount(wire)
    reader.feed(wire)
    assert sys.getrefcount(wire) == references + 1
    (message,) = reader.next()
    assert sys.getrefcount(wire) == references
    assert sys.getrefcount(message) == 2


def test_a_header_alone_reserves_little():
    tracemalloc = pytest.importorskip("tracemalloc")
    most = 1 << 40
    reader = MessageReader(most)
    tracemalloc.start()
    try:
        reader.feed(bytes([BINARY, 127]) + most.to_bytes(8))
        assert reader.next() is None
        assert tracemalloc.get_traced_memory()[1] < 1 << 19
        for _ in range(64):
            reader.feed(bytes(1 << 16))
            assert reader.next() is None
        assert tracemalloc.get_traced_memory()[0] < 1 << 24
    finally:
        tracemalloc.stop()


# The parser's


@pytest.mark.parametrize(
    "wire",
    [
        frame(PING, b"are you there"),
        frame(PONG, b""),
        frame(0x01, b"hel") + frame(PING, b"") + frame(0x80, b"lo"),
    ],
)
def test_what_is_not_one_frame_goes_to_the_parser_and_back(wire):
    around = frame(BINARY, b"x")
    assert read(MessageReader(LIMIT), around + wire + around) == [[b"x"], wire, [b"x"]]


@pytest.mark.parametrize(
    "wire",
    [
        frame(CLOSE, b"\x03\xe8"),
        frame(0xC2, b"reserved"),
        frame(0x83, b"unknown"),
        frame(BINARY, b"masked", flags=0x80),
        frame(0x09, b"a fragmented ping"),
        frame(PING, bytes(126)),
        frame(0x80, b"nothing to continue"),
        frame(BINARY, bytes(LIMIT + 1)),
        bytes([BINARY, 127]) + bytes([0xFF] * 8),
        frame(0x01, b"begun") + frame(BINARY, b"and broken off"),
        frame(0x02, bytes(LIMIT)) + frame(0x00, b"x"),
    ],
)
def test_behind_what_ends_the_reading_everything_goes_to_the_parser(wire):
    around = frame(BINARY, b"x")
    reader = MessageReader(LIMIT)
    found = read(reader, around + wire + around)
    assert found[0] == [b"x"]
    assert b"".join(found[1:]) == wire + around
    assert read(reader, around) == [around]


def test_a_breach_is_handed_over_as_soon_as_it_shows():
    assert read(MessageReader(LIMIT), b"\x83", b"\x7f") == [b"\x83\x7f"]
    too_long = bytes([BINARY, 127]) + (LIMIT + 1).to_bytes(8)
    assert read(MessageReader(LIMIT), too_long[:5], too_long[5:]) == [too_long]


def test_text_that_is_not_utf8_goes_to_the_parser_alone():
    bad, good = frame(TEXT, b"ab\xff"), frame(TEXT, b"good")
    assert read(MessageReader(LIMIT), good + bad + good) == [["good"], bad, good]
    assert read(MessageReader(LIMIT), bad[:3], bad[3:] + good) == [bad, good]


def test_frames_for_the_parser_come_in_batches():
    found = read(MessageReader(LIMIT), frame(PING, b"!") * (2 * BATCH + 1))
    assert found == [frame(PING, b"!") * BATCH] * 2 + [frame(PING, b"!")]
    one_byte = frame(0x02, b"a") + frame(0x00, b"a") * (2 * BATCH)
    assert max(map(len, read(MessageReader(LIMIT), one_byte))) == 3 * BATCH


def test_a_long_fragment_passes_through_as_it_comes():
    wire = frame(0x02, bytes(1000))
    assert read(MessageReader(LIMIT), wire[:500], wire[500:900], wire[900:]) == [
        wire[:500],
        wire[500:900],
        wire[900:],
    ]


def test_after_giving_up_everything_goes_to_the_parser():
    reader = MessageReader(LIMIT)
    assert read(reader, frame(BINARY, bytes(1000))[:500]) == []
    reader.give_up()
    wire = frame(BINARY, b"x")
    assert read(reader, wire, b"") == [wire]


@pytest.mark.parametrize("wrong", [None, "data", bytearray(b"data")])
def test_only_bytes_are_fed(wrong):
    with pytest.raises(TypeError):
        MessageReader(LIMIT).feed(wrong)


def test_a_limit_is_not_negative():
    with pytest.raises(ValueError, match="max_message_bytes"):
        MessageReader(-1)


def test_threads_lose_no_message():
    reader = MessageReader(LIMIT)
    reader.feed(frame(BINARY, b"x" * 10) * 20_000)
    counts = []

    def work():
        mine = 0
        while (found := reader.next()) is not None:
            mine += len(found)
        counts.append(mine)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 20_000


# Beside the parser alone

first_bytes = st.one_of(
    st.sampled_from([0x81, 0x82, 0x89, 0x8A, 0x88, 0x01, 0x02, 0x00, 0x80]), st.integers(0, 255)
)
payloads = st.one_of(
    st.text(max_size=20).map(str.encode),
    st.binary(max_size=20),
    st.integers(120, 130).map(bytes),
    st.sampled_from([b"", b"\x03\xe8", b"\x0f\xa0why", b"\xff"]),
)
frames = st.builds(
    frame,
    first_bytes,
    payloads,
    form=st.sampled_from([0, 0, 16, 64]),
    flags=st.sampled_from([0] * 9 + [0x80]),
)
streams = st.one_of(st.lists(frames, max_size=8).map(b"".join), st.binary(max_size=200))


@given(streams, st.sampled_from([0, 5, 125, 126, 1000]), st.data())
def test_any_stream_cut_anyhow_is_as_the_parser_alone_has_it(stream, most, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert together(chunks, most) == alone(stream, most)


EVERYTHING = (
    frame(TEXT, "zwölf".encode())
    + frame(PING, b"ping")
    + frame(BINARY, bytes(130))
    + frame(0x01, "ö".encode()[:1])
    + frame(PONG, b"", form=64)
    + frame(0x00, b"")
    + frame(0x80, "ö".encode()[1:], form=16)
    + frame(TEXT, b"last", form=64)
)


@pytest.mark.parametrize(
    "end",
    [
        frame(CLOSE, b"\x0f\xa0why") + frame(BINARY, b"unheard"),
        frame(CLOSE, b"\x03"),
        frame(TEXT, b"\xc3") + frame(PING, b"unanswered"),
        frame(0x01, b"\xc3") + frame(0x80, b"(") + frame(PING, b"unanswered"),
        frame(BINARY, bytes(201)),
        frame(0x02, bytes(150)) + frame(0x80, bytes(51)),
        frame(0xA2, b"reserved"),
        b"",
    ],
)
def test_every_split_in_two_or_three_and_byte_by_byte(end):
    stream, most = EVERYTHING + end, 200
    expected = alone(stream, most)
    assert expected.messages == ["zwölf", bytes(130), "ö", "last"]
    assert together([stream[at : at + 1] for at in range(len(stream))], most) == expected
    for at in range(len(stream) + 1):
        assert together([stream[:at], stream[at:]], most) == expected
        near = stream[at : at + 3]
        assert together([stream[:at], near, stream[at + 3 :]], most) == expected


def test_a_short_run_of_the_fuzzer_finds_nothing():
    done = subprocess.run(
        [sys.executable, FUZZ, "--count", "2000"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2000 streams")
