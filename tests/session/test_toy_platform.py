"""What the engine gives to whoever brings the words of a third platform."""

import asyncio
import logging

import pytest
from toy import Toy, ToyDialect

from avatarwire.errors import SessionLostError
from avatarwire.session import CallbackTasks, Engine, Part, Reporter


class Caller(Reporter):
    """Calls ``react`` with each message, and notes what the parts have been told by then."""

    def __init__(self, react):
        self.callbacks = CallbackTasks(logging.getLogger("toy"))
        self.react = react

    def notice(self, received):
        self.callbacks.queue("on_message", self.react, [(received,)])

    def start_callbacks(self):
        self.callbacks.start()


class Late(Part):
    """A part that is told after the reporter."""

    def __init__(self):
        self.told = []

    def notice(self, received):
        self.told.append(received)

    def connected(self):
        self.told.append("connected")

    def ended(self, lost):
        self.told.append("ended")


@pytest.fixture
async def toy():
    toy = Toy()
    yield toy
    await toy.engine.stop()


async def said(platform, count):
    return [await asyncio.wait_for(platform.receive(), 5) for _ in range(count)]


async def test_start_a_turn_and_stop(toy):
    await toy.start()
    async with toy.audio_stream() as stream:
        await stream.write(bytes(640))
    assert (await stream.wait_playout(5)).reason == "completed"
    await toy.engine.stop()
    assert await said(toy.platforms[0], 5) == ["let me in", "turn", bytes(640), "over", "bye"]
    assert toy.told.events == ["hello", 1000]
    assert (toy.dialect.tickets, toy.dialect.released) == (1, 1)


async def test_a_cut_in_a_turn_is_followed_by_another_connection(toy):
    await toy.start()
    async with toy.audio_stream() as stream:
        await stream.write(bytes(64_000))
        toy.platforms[0].cut()
        await stream.write(bytes(64_000))
    assert (await stream.wait_playout(10)).reason == "completed"
    first = await said(toy.platforms[1], 2)
    assert first == ["let me in", "turn"]
    assert toy.told.events == ["hello", "attempt 1", "hello"]
    assert toy.dialect.tickets == 2


async def test_a_final_close_is_the_end(toy):
    await toy.start()
    await toy.platforms[0].close(1000)
    await asyncio.wait_for(toy.engine.wait_closed(), 5)
    assert toy.told.events == ["hello", 1000]
    with pytest.raises(SessionLostError):
        toy.outbox.write_text(b"too late")


async def test_a_callback_that_stops_at_once_finds_every_part_told(toy):
    late, seen, stopped = Late(), [], asyncio.Event()

    async def react(message):
        seen.append((message, list(late.told)))
        if message == "enough":
            toy.outbox.write_text(b"farewell")
            await toy.engine.stop()
            stopped.set()

    caller = Caller(react)
    toy.engine = Engine(
        toy.dialect, caller, (caller, late), outbox=toy.outbox, connect=toy.connect,
        logger=logging.getLogger("toy"),
    )  # fmt: skip
    await toy.start()
    toy.platforms[0].send("enough")
    await asyncio.wait_for(stopped.wait(), 5)
    assert seen == [
        ("hello", ["connected", "hello"]),
        ("enough", ["connected", "hello", "enough"]),
    ]
    assert late.told.count("ended") == 1
    assert await said(toy.platforms[0], 3) == ["let me in", "farewell", "bye"]


async def test_a_callback_of_the_closing_word_cannot_send_any_more(toy):
    seen = []

    def react(message):
        if message == "closing":
            with pytest.raises(SessionLostError):
                toy.outbox.write_text(b"too late")
            seen.append(toy.engine.is_open)

    caller = Caller(react)
    toy.engine = Engine(
        toy.dialect, caller, (caller,), outbox=toy.outbox, connect=toy.connect,
        logger=logging.getLogger("toy"),
    )  # fmt: skip
    await toy.start()
    toy.platforms[0].send("closing")
    await asyncio.wait_for(toy.engine.wait_closed(), 5)
    assert seen == [False]


class Hearing(ToyDialect):
    """Binary messages that begin with "s" are the user's sound."""

    def hear(self, messages, start, most):
        sound = []
        for message in messages[start : start + most]:
            if not isinstance(message, bytes) or not message.startswith(b"s"):
                break
            sound.append(message)
        return sound


class Heard(Caller):
    """Notes what is told, and how."""

    def __init__(self, told):
        super().__init__(told.append)

    def hear(self, sound):
        self.callbacks.begin("on_sound", self.react, [(list(sound),)])


async def test_sound_of_one_read_is_told_in_one_go_and_all_in_order():
    told = []
    toy, caller = Toy(Hearing()), Heard(told)
    late = Late()
    toy.engine = Engine(
        toy.dialect, caller, (caller, late), outbox=toy.outbox, connect=toy.connect,
        logger=logging.getLogger("toy"),
    )  # fmt: skip
    await toy.start()
    for message in (b"s1", b"s2", b"x", b"s3", "word", "words", b"s4", *[b"s"] * 100):
        toy.platforms[0].send(message)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    words = [b"x", "word", "words"]
    assert told == [
        "hello", [b"s1", b"s2"], b"x", [b"s3"], "word", "words",
        [b"s4", *[b"s"] * 63], [b"s"] * 37,
    ]  # fmt: skip
    assert late.told == ["connected", "hello", *words]
    assert toy.engine.inbox.payload_bytes == 5 + 8 + 1 + 9 + 100
    await toy.engine.stop()


async def test_whoever_looks_sees_each_sound_before_it_is_told():
    told = []
    toy, caller = Toy(Hearing()), Heard(told)
    toy.engine = Engine(
        toy.dialect, caller, (caller,), outbox=toy.outbox, connect=toy.connect,
        logger=logging.getLogger("toy"),
    )  # fmt: skip
    await toy.start()
    toy.outbox.taps = (lambda *seen: told.append(seen),)
    for message in (b"s1", b"s2"):
        toy.platforms[0].send(message)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert told == [
        "hello",
        ("received", "binary", b"s1"), [b"s1"],
        ("received", "binary", b"s2"), [b"s2"],
    ]  # fmt: skip
    toy.outbox.taps = ()
    await toy.engine.stop()
