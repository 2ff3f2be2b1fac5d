import asyncio

import pytest
from raw_peer import BINARY, PING, TEXT, frame
from websockets.frames import CloseCode, Opcode
from websockets.protocol import Protocol, Side

from avatarwire.rfc6455.reader import BATCH
from avatarwire.transport import incoming
from avatarwire.transport.incoming import Incoming


class Owner:
    """The library's parser, and a note of how much it got at a time."""

    def __init__(self):
        self.protocol = Protocol(Side.CLIENT, max_size=10_000)
        self.parsed = []
        self.refusals = []

    def parse(self, data):
        self.parsed.append(len(data))
        self.protocol.receive_data(data)
        frames = self.protocol.events_received()
        return [each for each in frames if each.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}]

    def refuse(self, code, reason):
        self.refusals.append((code, reason))
        self.protocol.fail(code, reason)


class Transport:
    def __init__(self):
        self.is_reading = True
        self.is_over = False

    def is_closing(self):
        return self.is_over

    def pause_reading(self):
        assert self.is_reading
        assert not self.is_over
        self.is_reading = False

    def resume_reading(self):
        assert not self.is_reading
        assert not self.is_over
        self.is_reading = True


class Line:
    def __init__(self):
        self.owner = Owner()
        self.transport = Transport()
        self.incoming = Incoming(self.owner, self.transport, 10_000)
        self.batches = []
        self.ends = 0

    def listen(self):
        self.incoming.listen(self)

    def received(self, messages):
        self.batches.append(messages)

    def ended(self):
        self.ends += 1

    @property
    def messages(self):
        return [message for batch in self.batches for message in batch]


@pytest.fixture
async def line():
    line = Line()
    line.listen()
    return line


@pytest.fixture
def no_time(monkeypatch):
    """The time of a step is up as soon as it has done anything."""
    monkeypatch.setattr(incoming, "STEP_S", 0)


def one(payload, opcode=BINARY):
    return frame(payload, opcode, mask=None)


def part(payload, opcode, *, is_last=False):
    return bytes([opcode | 0x80 * is_last]) + one(payload)[1:]


async def steps(line):
    """Return how many messages and parsed bytes each iteration of the loop brings."""
    counts = []
    before = len(line.messages), sum(line.owner.parsed)
    while not line.transport.is_reading:
        await asyncio.sleep(0)
        now = len(line.messages), sum(line.owner.parsed)
        counts.append((now[0] - before[0], now[1] - before[1]))
        before = now
    return counts


async def test_what_one_read_brings_is_handed_on_in_one_go(line):
    line.incoming.take(one(b"1") + one(b"zwei", TEXT) + one(b"3") + one(b"4")[:2])
    assert line.batches == [[b"1", "zwei", b"3"]]
    line.incoming.take(one(b"4")[2:])
    assert line.batches[1:] == [[b"4"]]
    assert line.transport.is_reading


async def test_order_holds_between_the_reader_and_the_parser(line):
    wire = one(b"1") + part(b"2", 2) + one(b"", PING) + part(b"!", 0, is_last=True) + one(b"3")
    for at in range(len(wire)):
        line.incoming.take(wire[at : at + 1])
    assert line.messages == [b"1", b"2!", b"3"]


async def test_a_step_is_bounded_in_messages(line, no_time):
    line.incoming.take(one(b"x") * (4 * BATCH))
    assert [len(batch) for batch in line.batches] == [BATCH]
    assert not line.transport.is_reading
    assert await steps(line) == [(BATCH, 0)] * 3
    assert line.messages == [b"x"] * (4 * BATCH)


async def test_a_step_is_bounded_in_frames_of_the_parser(line, no_time):
    line.incoming.take(one(b"", PING) * (3 * BATCH))
    assert line.owner.parsed == [2 * BATCH]
    assert await steps(line) == [(0, 2 * BATCH)] * 2


async def test_a_message_of_fragments_of_one_byte(line, no_time):
    line.incoming.take(part(b"x", 2) + part(b"x", 0) * 5000 + part(b"x", 0, is_last=True))
    assert max(messages for messages, _ in await steps(line)) == 1
    assert max(line.owner.parsed) <= 3 * BATCH
    assert line.messages == [b"x" * 5002]


async def test_what_takes_no_time_is_done_at_once(line):
    line.incoming.take(one(b"x") * (2 * BATCH))
    assert [len(batch) for batch in line.batches] == [BATCH, BATCH]
    assert line.transport.is_reading


async def test_reads_that_come_all_the_same_wait_their_turn(line, no_time):
    line.incoming.take(one(b"1") * (2 * BATCH))
    line.incoming.take(one(b"2"))
    assert len(line.messages) == BATCH
    await steps(line)
    assert line.messages == [b"1"] * (2 * BATCH) + [b"2"]


async def test_without_a_listener_one_read_waits():
    line = Line()
    line.incoming.take(one(b"", PING) + one(b"1") + one(b"", PING) + one(b"2"))
    assert not line.transport.is_reading
    assert line.owner.parsed == [2]
    line.listen()
    assert line.messages == [b"1", b"2"]
    assert line.transport.is_reading


async def test_a_pause(line):
    line.incoming.pause()
    assert not line.transport.is_reading
    line.incoming.take(one(b"1"))
    assert line.messages == []
    line.incoming.resume()
    assert line.messages == []
    await asyncio.sleep(0)
    assert line.messages == [b"1"]
    assert line.transport.is_reading
    assert not line.incoming.is_held_up


async def test_a_pause_and_a_resume_while_messages_are_taken():
    line = Line()
    seen = []

    def take(messages):
        line.incoming.pause()
        if len(seen) < BATCH:
            line.incoming.resume()
        seen.extend(messages)

    line.received = take
    line.listen()
    wire = b"".join(one(bytes([number])) for number in range(200))
    line.incoming.take(wire)
    for _ in range(3):
        assert len(seen) == 2 * BATCH
        assert not line.transport.is_reading
        await asyncio.sleep(0)
    while len(seen) < 200:
        line.incoming.resume()
        await asyncio.sleep(0)
    assert seen == [bytes([number]) for number in range(200)]


async def test_the_end_hands_on_what_has_arrived(line, no_time):
    line.incoming.take(one(b"1") * (2 * BATCH) + part(b"2", 2) + part(b"", 0, is_last=True))
    line.incoming.pause()
    line.transport.is_over = True
    line.incoming.finish()
    assert line.messages == [b"1"] * (2 * BATCH) + [b"2"]
    line.incoming.finish()
    line.incoming.resume()
    await asyncio.sleep(0)
    assert len(line.messages) == 2 * BATCH + 1


async def test_the_end_before_anybody_listens():
    line = Line()
    line.incoming.take(one(b"1") * (BATCH + 1))
    line.transport.is_over = True
    line.incoming.finish()
    line.incoming.end()
    line.listen()
    assert line.messages == [b"1"] * (BATCH + 1)
    assert line.ends == 0
    line.incoming.end()
    line.incoming.end()
    assert line.ends == 1


@pytest.mark.parametrize(
    "wire",
    [
        one(b"ab\xff", TEXT) + one(b"unheard"),
        part(b"ab", TEXT) + part(b"\xff", 0, is_last=True) + one(b"unheard"),
    ],
)
async def test_text_that_is_not_utf8(line, wire):
    line.incoming.take(one(b"heard") + wire)
    assert line.owner.refusals == [(CloseCode.INVALID_DATA, "invalid start byte at position 2")]
    assert line.messages == [b"heard"]


async def test_nothing_is_taken_for_a_message_after_giving_up(line):
    line.incoming.give_up()
    line.owner.protocol.fail(CloseCode.INTERNAL_ERROR)
    line.incoming.take(one(b"unheard"))
    assert line.messages == []
