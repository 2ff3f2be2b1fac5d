"""A third platform for the command, as one module: it says everything to itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import click

from avatarwire.audio import PcmFormat
from avatarwire.cli.checks import Checklist, lacks_account
from avatarwire.cli.ending import run_in_order
from avatarwire.cli.faults import Fault, by_name
from avatarwire.cli.job import Delivery, Outcome, ReceivedSpeech, Settings, Speech
from avatarwire.cli.platform import Platform
from avatarwire.session.lifecycle import End
from avatarwire.streaming import Lateness, Playout

TOY_FORMAT = PcmFormat(8000)


class ToyEmulator:
    """A platform without a network."""

    def __init__(self, **options: Any) -> None:
        self.options: Mapping[str, Any] = options
        self.sessions: list[object] = []
        self.playground_url: str = "toy:page"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


class ToyJob:
    """A session with nobody."""

    frame_ms = 20

    def __init__(self, settings: Settings) -> None:
        self.url = settings.url or "toy:"
        self._volume: int = settings.own["volume"]
        self._pcm = b""

    @classmethod
    @contextlib.contextmanager
    def open(cls, settings: Settings) -> "Iterator[ToyJob]":
        yield cls(settings)

    def sent_format(self, written: PcmFormat) -> PcmFormat:
        return TOY_FORMAT

    async def stream(
        self, speech: Speech, delivery: Delivery, advance: Callable[[float], None] | None
    ) -> Outcome:
        if self._volume > 10:
            raise RuntimeError("too loud")
        ms = speech.format.ms(len(speech.pcm))
        self._pcm = speech.sent_pcm(TOY_FORMAT, ms)
        return Outcome(Playout("completed", ms, ms, 0, ms), Lateness(), 0.001)

    def explain(self, exc: Exception) -> str:
        return f"the toy is broken: {exc}"

    def received(self) -> ReceivedSpeech | None:
        return ReceivedSpeech(self._pcm, None)


def check_toy(checklist: Checklist, settings: Settings, sample_rate: int) -> None:
    if lacks_account(checklist, settings, "spring"):
        return

    async def wind_up() -> str:
        return f"wound up for {sample_rate} Hz"

    checklist.ok("spring", run_in_order(wind_up))


class ToySession:
    """A session that its listener ends."""

    def __init__(self) -> None:
        self.ending: End | None = None
        self._over = asyncio.Event()

    def end(self) -> None:
        self.ending = End(1000, "played enough")
        self._over.set()

    async def wait_closed(self) -> None:
        await self._over.wait()


class Duck:
    """Plays once."""

    agent: object
    count = 0

    def __init__(self) -> None:
        Duck.count += 1

    async def on_squeak(self, session: ToySession, colour: str) -> None:
        click.echo(f"duck {Duck.count} is {colour}")
        if Duck.count == 1:
            session.end()
        elif Duck.count == 2:
            raise ConnectionError("the duck is tired")


@contextlib.asynccontextmanager
async def play(listener: Any, emulator: ToyEmulator) -> AsyncIterator[Any]:
    session = ToySession()
    await listener.on_squeak(session, emulator.options["colour"])
    yield session


def _squeak(faults: list[str], value: str) -> None:
    faults.append(value)


PLATFORM = Platform(
    title="Toy",
    open_job=ToyJob.open,
    checks=("spring", "key"),
    check=check_toy,
    emulator=ToyEmulator,
    introduce=lambda emulator: ("toy:", [f"ToyClient({emulator.options['colour']!r})"]),
    callbacks=("on_squeak",),
    play=play,
    port=7000,
    new_faults=list,
    faults=by_name(Fault("squeak", "NOTE", "squeak instead of speaking", _squeak)),
    quiet={"colour": "white"},
    serve_options={"colour": click.option("--colour", default="red", help="Of the toy.")},
    options={"volume": click.option("--volume", type=int, default=5, help="The toy's volume.")},
    url_hint="the shop's for the toy",
)
