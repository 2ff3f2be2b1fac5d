"""``avatarwire replay``: a recording's messages once more, in time."""

import asyncio
import contextlib
from collections.abc import Callable

import click

from avatarwire import Recorder, transport
from avatarwire.cli.ending import run_in_order
from avatarwire.cli.inspect import opened
from avatarwire.cli.job import Job, Settings
from avatarwire.cli.options import platform_options
from avatarwire.cli.output import shown
from avatarwire.cli.platforms import PLATFORMS
from avatarwire.cli.usage import refuse_incomplete
from avatarwire.codec import client_message
from avatarwire.errors import AvatarwireError
from avatarwire.recording import Observer, Recording, RecordingError
from avatarwire.session import Session
from avatarwire.transport import Connection

__all__ = ["replay"]

#: For the platform's last words.
AFTERWARDS_S = 0.5
#: A pause longer than that is cut short: nobody waits for a user who went to lunch.
MOST_PAUSE_S = 3600


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False))
@platform_options
@click.option(
    "--record", metavar="OUT", type=click.Path(), help="Record what happens now, for diff."
)
def replay(folder: str, platform: str, settings: Settings, record: str | None) -> int:
    """Send what the client sent in the recording in DIR once more, in time, in a new session.

    Each message is as it was; what opens and ends a session is the new one's own, and keys and
    tokens are those that are given here.
    """
    if settings.url is not None:
        refuse_incomplete("--url", *PLATFORMS[platform].needs)
    recording = opened(folder)
    if recording.snapshot["platform"] != platform:
        raise click.UsageError(
            f"{folder} was recorded with {recording.snapshot['platform']}: name it by --platform."
        )
    if not recording.snapshot["content"]:
        raise click.ClickException(
            f"{folder} was recorded without its content: nothing can be sent"
        )
    try:
        messages = _messages(recording, PLATFORMS[platform].own_words)
    except RecordingError as exc:
        raise click.ClickException(str(exc)) from exc
    with PLATFORMS[platform].open_job(settings) as job:
        try:
            run_in_order(lambda: _replay(job, messages, record))
        except click.Abort:
            raise
        except (AvatarwireError, RuntimeError, OSError) as exc:
            raise click.ClickException(job.explain(exc)) from exc
    lasted_s = messages[-1][0] if messages else 0.0
    click.echo(f"Sent {len(messages)} messages again in {lasted_s:.1f} s, to {shown(job.url)}")
    if record is not None:
        click.echo(f"Recorded in {shown(record)}")
    return 0


def _messages(recording: Recording, own_words: frozenset[str]) -> list[tuple[float, str | bytes]]:
    """Return what the client said by itself, and when, from the first on."""
    side = "send" if recording.snapshot["side"] == "client" else "recv"
    said = []
    for record in recording.messages():
        if record["dir"] == side and record.get("name") not in own_words:
            message = recording.message(record)
            if message is not None:
                said.append((record["t"], message))
    begun = said[0][0] if said else 0.0
    return [(t - begun, message) for t, message in said]


async def _replay(job: Job, messages: list[tuple[float, str | bytes]], record: str | None) -> None:
    connections: list[Connection] = []

    async def connect(*args: object, **options: object) -> Connection:
        connections.append(await transport.connect(*args, **options))  # type: ignore[arg-type]
        return connections[-1]

    session = job.session(connect)
    again = _Again(session)
    with contextlib.ExitStack() as stack:
        if record is not None:
            stack.enter_context(Recorder(record, session=again))
        try:
            await session.start()
            await job.prepare(session)
            await _say(connections[-1], messages, again)
        finally:
            await session.stop()


class _Again:
    """A session as its recorder sees it, with what is sent beside it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._observers: list[Observer] = []
        self.stats = session.stats
        self.wording = session.wording

    @property
    def session_id(self) -> str | None:
        return self._session.session_id

    def observe(self, observer: Observer) -> Callable[[], None]:
        self._observers.append(observer)
        return self._session.observe(observer)

    def sent(self, message: str | bytes) -> None:
        for observer in self._observers:
            observer.message("sent", "text" if isinstance(message, str) else "binary", message)


async def _say(
    connection: Connection, messages: list[tuple[float, str | bytes]], again: _Again
) -> None:
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    for t, message in messages:
        await asyncio.sleep(begun_s + min(t, MOST_PAUSE_S) - loop.time())
        is_text = isinstance(message, str)
        data = message.encode() if isinstance(message, str) else message
        again.sent(message)
        if not connection.write_batch(client_message(data, text=is_text)):
            await connection.writable()
    await asyncio.sleep(AFTERWARDS_S)
