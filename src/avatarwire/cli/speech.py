"""One file as one turn of speech, on whatever platform."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import click

from avatarwire.audio import PcmFormat
from avatarwire.cli.sound import converted, load
from avatarwire.emulator import Turn
from avatarwire.streaming import AudioStream, Lateness, Playout

__all__ = [
    "Job",
    "Manner",
    "Outcome",
    "Received",
    "Settings",
    "Speech",
    "advice_on_status",
    "by_option",
    "in_options",
    "speak",
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
    def of(cls, file: str) -> "Speech":
        """Read a file.

        Raises:
            click.ClickException: it is no sound, or cannot be read.
        """
        pcm, format_ = load(file)
        return cls(Path(file).name, pcm, format_)

    def sent_pcm(self, sent: PcmFormat, sent_ms: float) -> bytes:
        """Give what so much of it looks like in the format sent."""
        pcm = converted(self.pcm, self.format, sent)
        return pcm[: sent.frame_bytes * round(sent_ms * sent.sample_rate / 1000)]


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is said."""

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
class Received:
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
        sandbox: Live Avatar's sandbox.
        env: Akool's environment.
        agora: Akool's Agora application, channel, token and user id, in this order.
    """

    url: str | None
    api_key: str | None
    avatar_id: str | None
    voice_id: str | None
    sandbox: bool
    env: str
    agora: tuple[str | None, str | None, str | None, str | None]


class Job(Protocol):
    """A platform's part of the command, as a context manager around its local platform."""

    frame_ms: int

    @property
    def url(self) -> str:
        """The platform's URL."""
        ...

    def sent_format(self, written: PcmFormat) -> PcmFormat:
        """Give what the platform gets."""
        ...

    async def stream(
        self, speech: Speech, manner: Manner, advance: Callable[[float], None] | None
    ) -> Outcome:
        """Run one whole session."""
        ...

    def explain(self, exc: Exception) -> str:
        """Say in one line why it failed, and what to do."""
        ...

    def received(self) -> Received | None:
        """Give what arrived; None when the platform is not a local one."""
        ...


async def speak(
    stream: AudioStream, speech: Speech, manner: Manner, advance: Callable[[float], None] | None
) -> Outcome:
    """Say it, and wait until it has been heard, or has ended otherwise."""
    drawing = asyncio.create_task(_draw(stream, advance)) if advance is not None else None
    cpu_begun = time.thread_time()
    async with stream:
        interrupting = asyncio.create_task(_interrupt(stream, manner.interrupt_after_s))
        await stream.write(speech.pcm)
    cpu_s = time.thread_time() - cpu_begun
    playout = await stream.wait_playout()
    for task in (interrupting, drawing):
        if task is not None:
            task.cancel()
    return Outcome(playout, stream.lateness, cpu_s)


def by_option(exc: Exception, options: dict[str, str]) -> click.UsageError:
    """Say it with the names that the user typed."""
    return click.UsageError(f"{in_options(str(exc), options)}.")


def in_options(words: str, options: dict[str, str]) -> str:
    """Put the options that the user can type in the place of the library's names."""
    for name, option in options.items():
        words = re.sub(rf"\b{name}\b", option, words)
    return words


def advice_on_status(status: int | None) -> str | None:
    """Say what to do where the URL is right and the platform does not serve; None elsewhere."""
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
