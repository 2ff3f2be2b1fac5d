"""A third platform, as small as one can be: what the engine gives to whoever brings the words."""

import asyncio
import logging

import pytest

from avatarwire.audio import PcmFormat
from avatarwire.codec import client_message
from avatarwire.errors import SessionLostError
from avatarwire.session import (
    CallbackTasks,
    Dialect,
    Endpoint,
    Engine,
    Outbox,
    Part,
    Reporter,
    Retry,
    SoundLine,
)
from avatarwire.session.outbox import BINARY
from avatarwire.streaming import AudioStream, Timing, TurnRegister
from avatarwire.transport import memory_pair

FORMAT = PcmFormat(16000, 1)


class ToyDialect(Dialect):
    """The platform says "hello" when it is ready; sound is bare PCM, "bye" the goodbye."""

    def __init__(self):
        self.tickets, self.is_greeted, self.released = 0, False, 0
        self.is_leaving = False

    @property
    def is_ready(self):
        return self.is_greeted

    async def endpoints(self, *, again):
        self.tickets += 1
        url = f"ws://toy/?ticket={self.tickets}"
        return [Endpoint(url=url, name="the toy", confirmation="hello", timeout_s=1)]

    def greeting(self, endpoint):
        self.is_greeted = False
        return [b"let me in"]

    @property
    def is_closing(self):
        return self.is_leaving

    def receive(self, message):
        self.is_leaving = message == "closing"
        self.is_greeted = self.is_greeted or message == "hello"
        return message

    def is_final(self, error):
        return isinstance(error, SessionLostError) and error.code == 1000

    async def goodbye(self, say):
        say(b"bye")

    async def release(self):
        self.released += 1


class ToyTurns(TurnRegister, Part):
    """A turn goes on after a gap."""

    def gap(self, lost):
        self.hold(drop=False)

    def connected(self):
        self.go_on()

    def ended(self, lost):
        self.lose()


class ToySpeaker(SoundLine):
    """Says a turn as bare PCM."""

    def __init__(self, outbox, turns):
        super().__init__(outbox)
        self.turns = turns

    def start(self):
        self.turns.opened(self.stream)
        return self.restart()

    def restart(self):
        self._connection = self._outbox.connection
        return self._outbox.write_text_now(b"turn")

    def say(self, pcm):
        return self._outbox.write_now(client_message(pcm), BINARY)

    def finish(self):
        self.turns.closed(self.stream)
        return self._outbox.write_text_now(b"over")

    def abandon(self):
        return self.finish()

    def interrupt(self, scope):
        return self._outbox.write_text(b"silence")


class Told(Reporter):
    def __init__(self):
        self.events = []

    def notice(self, received):
        self.events.append(received)

    def retrying(self, attempt, delay_s):
        self.events.append(f"attempt {attempt}")

    def closed(self, end):
        self.events.append(end.code)


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


class Toy:
    """A client of the toy platform, and the platform's ends of its connections."""

    def __init__(self):
        self.platforms = []
        self.dialect, self.told, self.turns, self.outbox = (
            ToyDialect(), Told(), ToyTurns(), Outbox()
        )  # fmt: skip
        self.engine = Engine(
            self.dialect, self.told, (self.turns, self.told), outbox=self.outbox,
            connect=self.connect, logger=logging.getLogger("toy"),
        )  # fmt: skip

    async def connect(self, url, **options):
        client, platform = memory_pair()
        self.platforms.append(platform)
        platform.send("hello")
        return client

    async def start(self):
        self.outbox.begin(1000, keeps=True)
        await self.engine.start(Retry(attempts=3, base_delay_s=0.001))

    def audio_stream(self):
        speaker = ToySpeaker(self.outbox, self.turns)
        speaker.stream = AudioStream(
            speaker, written=FORMAT, sent=FORMAT, timing=Timing(paced=False), request_id="",
            response_id="turn", keep_ms=2000,
        )  # fmt: skip
        return speaker.stream


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
