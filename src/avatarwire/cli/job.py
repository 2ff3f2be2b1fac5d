"""One file as one turn of speech, on whatever platform."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import click

from avatarwire.audio import PcmFormat
from avatarwire.cli.sound import STANDARD_INPUT, converted, load, load_raw
from avatarwire.emulator import Turn
from avatarwire.errors import AvatarwireError
from avatarwire.session import Connect, Session
from avatarwire.streaming import AudioStream, Lateness, Playout

__all__ = [
    "Delivery",
    "Job",
    "Outcome",
    "ReceivedSpeech",
    "Settings",
    "Speaker",
    "Speech",
    "advice_on_status",
    "in_options",
    "speak",
    "usage_error",
]

DRAW_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Speech:
    """What a file says.

    Attributes:
        name: the file's name.
        pcm: all of it: it is compared with what arrives.
        format: what that is.
    """

    name: str
    pcm: bytes
    format: PcmFormat

    @classmethod
    def of(cls, file: str, raw_rate: int | None = None) -> "Speech":
        """Read a file, or standard input where it is ``-``.

        Args:
            file: the file.
            raw_rate: it is no sound file but 16-bit little-endian mono PCM at this rate, in Hz.

        Raises:
            click.ClickException: it is no sound, or cannot be read.
        """
        pcm, format_ = load(file) if raw_rate is None else load_raw(file, raw_rate)
        return cls("standard input" if file == STANDARD_INPUT else Path(file).name, pcm, format_)

    def sent_pcm(self, sent: PcmFormat, sent_ms: float) -> bytes:
        """Return what so much of it looks like in the format sent."""
        pcm = converted(self.pcm, self.format, sent)
        return pcm[: sent.frame_bytes * round(sent_ms * sent.sample_rate / 1000)]


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a speech is delivered: how far ahead of its playout, and whether it is cut off."""

    lead_ms: float
    paced: bool
    interrupt_after_s: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it, and the CPU time of the thread that said it, in seconds."""

    playout: Playout
    lateness: Lateness
    cpu_s: float


@dataclass(frozen=True, slots=True)
class ReceivedSpeech:
    """What the local platform got, and how it was heard if it tells."""

    pcm: bytes
    turn: Turn | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which platform, and who is to speak there.

    Attributes:
        url: None for the local platform.
        api_key: the platform's key.
        avatar_id: the avatar.
        voice_id: another voice than the avatar's own.
        own: the values of the options that only some platforms have, by parameter.
    """

    url: str | None
    api_key: str | None = field(repr=False)
    avatar_id: str | None
    voice_id: str | None
    own: Mapping[str, Any] = field(repr=False)


class Speaker(Protocol):
    """A session that speaks: an agent, or a client."""

    def audio_stream(
        self, *, sample_rate: int, channels: int = 1, lead_ms: float = 400, paced: bool = True
    ) -> AudioStream:
        """Open one turn of speech."""
        ...


class Job(Protocol):
    """A platform's part of the command, as a context manager around its local platform."""

    frame_ms: int

    @property
    def url(self) -> str:
        """The platform's URL."""
        ...

    def sent_format(self, written: PcmFormat) -> PcmFormat:
        """Return what the platform gets."""
        ...

    def session(self, connect: Connect | None = None) -> Session:
        """Return a session that has not been started.

        Args:
            connect: opens its connections; None: the platform's own way.
        """
        ...

    async def prepare(self, session: Session) -> None:
        """Do what a session needs between its start and the first word."""

    async def stream(
        self, speech: Speech, delivery: Delivery, advance: Callable[[float], None] | None
    ) -> Outcome:
        """Run one whole session."""
        ...

    def explain(self, exc: Exception) -> str:
        """Return in one line why it failed, and what to do."""
        ...

    def received(self) -> ReceivedSpeech | None:
        """Return what arrived; None when the platform is not a local one."""
        ...


async def speak(
    session: Speaker,
    speech: Speech,
    delivery: Delivery,
    advance: Callable[[float], None] | None,
) -> Outcome:
    """Send the speech, and wait until it has been heard or has ended otherwise."""
    stream = session.audio_stream(
        sample_rate=speech.format.sample_rate,
        channels=speech.format.channels,
        lead_ms=delivery.lead_ms,
        paced=delivery.paced,
    )
    drawing = asyncio.create_task(_draw(stream, advance)) if advance is not None else None
    cpu_begun = time.thread_time()
    async with stream:
        interrupting = asyncio.create_task(_interrupt(stream, delivery.interrupt_after_s))
        await stream.write(speech.pcm)
    cpu_s = time.thread_time() - cpu_begun
    playout = await stream.wait_playout()
    for task in (interrupting, drawing):
        if task is not None:
            task.cancel()
    return Outcome(playout, stream.lateness, cpu_s)


def usage_error(exc: Exception, options: Mapping[str, str]) -> click.UsageError:
    """Return what is wrong with a setting, by the name that the user typed."""
    return click.UsageError(f"{in_options(exc, options)}.")


def in_options(exc: Exception, options: Mapping[str, str]) -> str:
    """Return an error's words, with the option in the place of the setting that it blames.

    Args:
        exc: the error.
        options: what the user can type, by the library's name for it.
    """
    setting = exc.setting if isinstance(exc, AvatarwireError) else None
    if setting is None or setting not in options:
        return str(exc)
    return str(exc).replace(setting, options[setting])


def advice_on_status(status: int | None) -> str | None:
    """Return what to do where the URL is right but the platform does not serve; else None."""
    if status == 429:
        return "the platform limits how often it may be asked: wait a minute, and try again"
    if status is not None and 500 <= status < 600:
        return "the trouble is the platform's: try again in a few minutes"
    return None


async def _interrupt(stream: AudioStream, after_s: float | None) -> None:
    if after_s is not None:
        await asyncio.sleep(after_s)
        await stream.interrupt()


async def _draw(stream: AudioStream, advance: Callable[[float], None]) -> None:
    while True:
        advance(stream.sent_ms / 1000)
        await asyncio.sleep(DRAW_EVERY_S)
