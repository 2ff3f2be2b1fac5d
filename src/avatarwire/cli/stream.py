"""``avatarwire stream``: one file through a whole session, in real time."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from avatarwire import (
    AgentListener,
    AvatarAgent,
    AvatarAgentConfig,
    AvatarwireError,
    ErrorCode,
    SessionLostError,
    SessionStartError,
)
from avatarwire.audio import PcmFormat, write_wav
from avatarwire.cli.local import LocalPlatform
from avatarwire.cli.report import Report
from avatarwire.cli.sound import converted, load
from avatarwire.streaming import AudioStream, Lateness, Playout

__all__ = ["stream"]

DRAW_EVERY_S = 0.1

_ADVICE = {
    ErrorCode.PRINCIPAL_UNIDENTIFIED: "check --api-key or AVATARWIRE_API_KEY",
    ErrorCode.SESSION_ACCESS_DENIED: "check that the key may use this avatar",
    ErrorCode.CONCURRENCY_LIMIT_EXCEEDED: "end another session first",
    ErrorCode.QUOTA_EXHAUSTED: "check the plan in the platform's console",
    ErrorCode.NO_ORCHESTRATION_POD: "the platform is busy; try again in a few seconds",
    ErrorCode.NO_RENDERER_POD: "the platform is busy; try again in a few seconds",
    ErrorCode.SESSION_START_FAILED: "check --url, and that a platform answers there",
}


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--url",
    envvar="AVATARWIRE_URL",
    show_envvar=True,
    help="The platform's base URL; without it, a platform on this machine.",
)
@click.option("--api-key", envvar="AVATARWIRE_API_KEY", show_envvar=True, help="Goes with --url.")
@click.option(
    "--avatar-id", envvar="AVATARWIRE_AVATAR_ID", show_envvar=True, help="Goes with --url."
)
@click.option("--voice-id", help="Another voice than the avatar's own.")
@click.option("--sandbox", is_flag=True, help="Use the platform's sandbox.")
@click.option(
    "--save",
    metavar="OUT.wav",
    type=click.Path(dir_okay=False),
    help="Write what the local platform received.",
)
@click.option(
    "--lead-ms",
    type=click.FloatRange(0, 60_000),
    default=400,
    show_default=True,
    help="How much sound may be ahead of playout.",
)
@click.option("--no-pace", is_flag=True, help="Send as fast as the connection takes it.")
@click.option(
    "--interrupt-after",
    metavar="SECONDS",
    type=click.FloatRange(0),
    help="Interrupt the turn so long after it began.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, nothing else.")
def stream(
    file: str,
    url: str | None,
    api_key: str | None,
    avatar_id: str | None,
    voice_id: str | None,
    sandbox: bool,
    save: str | None,
    lead_ms: float,
    no_pace: bool,
    interrupt_after: float | None,
    as_json: bool,
) -> int:
    """Stream FILE, any sound file, as one turn of speech in real time."""
    if url is not None:
        _require_with_url(api_key, avatar_id, save)
    if save is not None and not Path(save).absolute().parent.is_dir():
        raise click.ClickException(f"cannot write {save}: its folder does not exist")
    console = Console()
    speech = _load(file)
    with contextlib.ExitStack() as stack:
        local = None if url is not None else stack.enter_context(LocalPlatform())
        try:
            config = AvatarAgentConfig(
                api_key=api_key or "local",
                avatar_id=avatar_id or "local",
                base_url=local.base_url if local is not None else url or "",
                voice_id=voice_id,
                sandbox=sandbox,
            )
        except ValueError as exc:
            raise click.UsageError(f"{_by_option(exc)}.") from exc
        show_bar = console.is_terminal and not as_json
        advance = _bar(stack, console, speech) if show_bar else None
        manner = _Manner(lead_ms, not no_pace, interrupt_after)
        outcome = _run(config, speech, manner, advance)

    report = Report(
        name=file,
        platform=config.base_url,
        written=speech.format,
        sent=speech.sent_format,
        sent_pcm=speech.sent_pcm(outcome.playout.sent_ms),
        turn=None if local is None else local.sessions[0].turns[0],
        playout=outcome.playout,
        lateness=outcome.lateness,
        cpu_s=outcome.cpu_s,
    )
    if save is not None and report.turn is not None:
        _save(save, bytes(report.turn.pcm), speech.sent_format)
    if as_json:
        click.echo(report.as_json())
    else:
        report.show(console)
    if report.identical is False:
        raise click.ClickException("the platform received other PCM than the file holds")
    return 0


@dataclass(frozen=True, slots=True)
class _Speech:
    name: str
    pcm: bytes
    format: PcmFormat

    @property
    def sent_format(self) -> PcmFormat:
        """What the agent makes of it: mono, at a rate that a frame header can say."""
        rate = self.format.sample_rate
        return PcmFormat(rate if rate in {16000, 24000, 48000} else 24000)

    def sent_pcm(self, sent_ms: float) -> bytes:
        """Give what so much of it looks like on the wire."""
        pcm = converted(self.pcm, self.format, self.sent_format)
        return pcm[: 2 * round(sent_ms * self.sent_format.sample_rate / 1000)]


@dataclass(frozen=True, slots=True)
class _Manner:
    lead_ms: float
    paced: bool
    interrupt_after_s: float | None


@dataclass(frozen=True, slots=True)
class _Outcome:
    playout: Playout
    lateness: Lateness
    cpu_s: float


def _require_with_url(api_key: str | None, avatar_id: str | None, save: str | None) -> None:
    if not api_key:
        raise click.UsageError("--url needs an API key: set AVATARWIRE_API_KEY or --api-key.")
    if not avatar_id:
        raise click.UsageError("--url needs an avatar: set AVATARWIRE_AVATAR_ID or --avatar-id.")
    if save is not None:
        raise click.UsageError("--save works with the local platform only: leave out --url.")


def _by_option(exc: ValueError) -> str:
    """Say it with the names that the user typed."""
    words = str(exc)
    for name, option in (
        ("base_url", "--url"),
        ("api_key", "--api-key"),
        ("avatar_id", "--avatar-id"),
    ):
        words = words.replace(name, option)
    return words


def _load(file: str) -> _Speech:
    # All of it at once: it is compared with what arrives.
    pcm, format_ = load(file)
    speech = _Speech(Path(file).name, pcm, format_)
    speech.sent_pcm(0)  # here, where a missing extra costs nobody a session
    return speech


def _save(path: str, pcm: bytes, format_: PcmFormat) -> None:
    try:
        write_wav(path, pcm, format_)
    except OSError as exc:
        raise click.ClickException(f"cannot write {path}: {exc.strerror}") from exc


def _bar(stack: contextlib.ExitStack, console: Console, speech: _Speech) -> Callable[[float], None]:
    total = speech.format.ms(len(speech.pcm)) / 1000
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.1f} of {task.total:.1f} s"),
    )
    progress = stack.enter_context(Progress(*columns, console=console))
    task = progress.add_task(speech.name, total=total)

    def advance(seconds: float) -> None:
        progress.update(task, completed=seconds)

    return advance


def _run(
    config: AvatarAgentConfig,
    speech: _Speech,
    manner: _Manner,
    advance: Callable[[float], None] | None,
) -> _Outcome:
    """Stream the speech; every failure on the way becomes one line."""
    try:
        return asyncio.run(_stream(config, speech, manner, advance))
    except KeyboardInterrupt:
        raise click.Abort from None
    except SessionStartError as exc:
        # Without an answer there is no code worth showing.
        words = str(exc) if exc.code else exc.message
        advice = _ADVICE[exc.error_code]
        raise click.ClickException(f"no session at {config.base_url}: {words}; {advice}") from exc
    except (AvatarwireError, RuntimeError, OSError) as exc:
        raise click.ClickException(f"the session at {config.base_url} failed: {exc}") from exc


async def _stream(
    config: AvatarAgentConfig,
    speech: _Speech,
    manner: _Manner,
    advance: Callable[[float], None] | None,
) -> _Outcome:
    listener = _Listener()
    async with AvatarAgent(config, listener) as agent:
        stream = agent.audio_stream(
            sample_rate=speech.format.sample_rate,
            channels=speech.format.channels,
            lead_ms=manner.lead_ms,
            paced=manner.paced,
        )
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
        if playout.reason == "lost":
            raise SessionLostError(*await listener.end)
    return _Outcome(playout, stream.lateness, cpu_s)


async def _interrupt(stream: AudioStream, after_s: float | None) -> None:
    if after_s is not None:
        await asyncio.sleep(after_s)
        await stream.interrupt()


async def _draw(stream: AudioStream, advance: Callable[[float], None]) -> None:
    while True:
        advance(stream.sent_ms / 1000)
        await asyncio.sleep(DRAW_EVERY_S)


class _Listener(AgentListener):
    """Remembers why the session ended."""

    def __init__(self) -> None:
        self.end: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    async def on_closed(self, code: int, reason: str) -> None:
        self.end.set_result((code, reason))
