"""A third platform, as small as one can be: its words, a client, and the platform's ends of it."""

import logging

from avatarwire.audio import PcmFormat
from avatarwire.codec import client_message
from avatarwire.errors import SessionLostError
from avatarwire.session import Dialect, Endpoint, Engine, Outbox, Part, Reporter, Retry, SoundLine
from avatarwire.session.outbox import BINARY
from avatarwire.streaming import AudioStream, Timing, TurnRegister
from avatarwire.transport import memory_pair

FORMAT = PcmFormat(16000, 1)


class ToyDialect(Dialect):
    """The platform says "hello" when it is ready; sound is bare PCM, "bye" the goodbye."""

    def __init__(self):
        self.tickets = self.released = 0
        self.is_greeted = self.is_leaving = False

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

    def pause(self):
        self._outbox.write_text_now(b"silence")
        return True

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


class Toy:
    """A client of the toy platform, and the platform's ends of its connections."""

    def __init__(self, dialect=None):
        self.platforms = []
        self.dialect, self.told = dialect or ToyDialect(), Told()
        self.turns, self.outbox = ToyTurns(), Outbox()
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
