"""``avatarwire stream``: one file through a whole session, in real time."""

import asyncio
import contextlib
import shlex
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from avatarwire import (
    AgentListener,
    AudioFormatError,
    AvatarAgent,
    AvatarAgentConfig,
    AvatarwireError,
    ErrorCode,
    MissingExtraError,
    SessionStartError,
    SessionState,
)
from avatarwire.audio import PcmFormat, read, write_wav
from avatarwire.cli.local import LocalPlatform
from avatarwire.cli.report import Report

__all__ = ["stream"]

FRAME_MS = 40
SAMPLE_RATES = (16000, 24000, 48000)
# A platform plays a little behind what it is sent; without a word from it this is enough.
PLAYOUT_GRACE_S = 5.0

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
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, nothing else.")
def stream(
    file: str,
    url: str | None,
    api_key: str | None,
    avatar_id: str | None,
    voice_id: str | None,
    sandbox: bool,
    save: str | None,
    as_json: bool,
) -> int:
    """Stream FILE, a sound file at 16, 24 or 48 kHz, as one turn of speech in real time."""
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
        advance = _silent if as_json or not console.is_terminal else _bar(stack, console, speech)
        lateness_ms, cpu_s = _run(config, speech, advance)

    received = None if local is None else local.sessions[0].pcm
    report = Report(
        name=file,
        platform=config.base_url,
        format=speech.format,
        sent=speech.pcm,
        received=received,
        lateness_ms=lateness_ms,
        cpu_s=cpu_s,
    )
    if save is not None and received is not None:
        _save(save, received, speech.format)
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

    def frames(self) -> Iterator[bytes]:
        size = self.format.bytes_per_second * FRAME_MS // 1000
        for at in range(0, len(self.pcm), size):
            yield self.pcm[at : at + size]


class _Listener(AgentListener):
    """Notices the end of playback."""

    def __init__(self) -> None:
        self.played = asyncio.Event()
        self._spoke = False

    async def on_session_state(self, state: SessionState) -> None:
        self._spoke = self._spoke or state == SessionState.SPEAKING
        if self._spoke and state == SessionState.IDLE:
            self.played.set()


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
    # All of it at once: reading from disk between two frames would make them late.
    try:
        chunks, format_ = read(file)
        if format_.sample_rate not in SAMPLE_RATES:
            raise click.ClickException(
                f"{file}: {format_}, but a platform takes 16, 24 or 48 kHz; "
                f"convert it: ffmpeg -i {shlex.quote(file)} -ar 24000 OUT.wav"
            )
        return _Speech(Path(file).name, b"".join(chunks), format_)
    except (AudioFormatError, MissingExtraError) as exc:
        raise click.ClickException(str(exc)) from exc
    except OSError as exc:
        raise click.ClickException(f"cannot read {file}: {exc.strerror}") from exc


def _save(path: str, pcm: bytes, format_: PcmFormat) -> None:
    try:
        write_wav(path, pcm, format_)
    except OSError as exc:
        raise click.ClickException(f"cannot write {path}: {exc.strerror}") from exc


def _silent(seconds: float) -> None:
    """Show no progress."""


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
    config: AvatarAgentConfig, speech: _Speech, advance: Callable[[float], None]
) -> tuple[list[float], float]:
    """Stream the speech; every failure on the way becomes one line."""
    try:
        return asyncio.run(_stream(config, speech, advance))
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
    config: AvatarAgentConfig, speech: _Speech, advance: Callable[[float], None]
) -> tuple[list[float], float]:
    """Give each frame's lateness in ms, and the CPU seconds of it all."""
    listener = _Listener()
    async with AvatarAgent(config, listener) as agent:
        request_id, response_id = str(uuid.uuid4()), str(uuid.uuid4())
        loop = asyncio.get_running_loop()
        lateness_ms: list[float] = []
        drawing_s = 0.0
        cpu_begun = time.thread_time()
        await agent.send_response_audio_start(request_id, response_id)
        begun = loop.time()
        for index, pcm in enumerate(speech.frames()):
            deadline = begun + index * FRAME_MS / 1000
            await asyncio.sleep(deadline - loop.time())
            await agent.send_audio(
                pcm,
                sample_rate=speech.format.sample_rate,
                channels=speech.format.channels,
                frame_ms=FRAME_MS,
            )
            lateness_ms.append(1000 * (loop.time() - deadline))
            # The bar is drawn by a thread of its own; what feeding it costs is not the agent's.
            drawn = time.thread_time()
            advance((index * FRAME_MS + speech.format.ms(len(pcm))) / 1000)
            drawing_s += time.thread_time() - drawn
        await agent.send_response_audio_finish(request_id, response_id)
        cpu_s = time.thread_time() - cpu_begun - drawing_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PLAYOUT_GRACE_S):
                await listener.played.wait()
    return lateness_ms, cpu_s
