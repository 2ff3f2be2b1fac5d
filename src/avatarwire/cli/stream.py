"""``avatarwire stream``: one file through a whole session, in real time."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from avatarwire import AvatarwireError
from avatarwire.audio import PcmFormat, write_wav
from avatarwire.cli.ending import run_in_order
from avatarwire.cli.job import Delivery, Job, Outcome, Settings, Speech
from avatarwire.cli.options import platform_options
from avatarwire.cli.output import shown
from avatarwire.cli.platforms import PLATFORMS
from avatarwire.cli.report import Report
from avatarwire.cli.sound import MAX_RATE, MIN_RATE
from avatarwire.cli.usage import FiniteRange, refuse_incomplete, refuse_unheard

__all__ = ["stream"]

_WHY_NOT_PLAYED = {
    "timed_out": "the platform never said that it had played the file; see whether a browser shows"
    " the avatar, and whether this avatar takes the developer's voice",
    "interrupted": "the platform interrupted the file; see whether somebody speaks to this avatar",
    "failed": "the platform refused the file; see whether this avatar takes the developer's voice",
}


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@platform_options
@click.option(
    "--raw",
    "raw_rate",
    metavar="HZ",
    type=click.IntRange(MIN_RATE, MAX_RATE),
    help="FILE is no sound file but PCM at this rate: 16-bit, little-endian, mono.",
)
@click.option(
    "--save",
    metavar="OUT.wav",
    type=click.Path(dir_okay=False),
    help="Write what the local platform received.",
)
@click.option(
    "--lead-ms",
    type=FiniteRange(0, 60_000),
    default=400,
    show_default=True,
    help="How much sound may be ahead of playout.",
)
@click.option("--no-pace", is_flag=True, help="Send as fast as the connection takes it.")
@click.option(
    "--interrupt-after",
    metavar="SECONDS",
    type=FiniteRange(0),
    help="Interrupt the turn so long after it began.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, nothing else.")
def stream(
    file: str,
    platform: str,
    settings: Settings,
    raw_rate: int | None,
    save: str | None,
    lead_ms: float,
    no_pace: bool,
    interrupt_after: float | None,
    as_json: bool,
) -> int:
    """Stream FILE, any sound file, as one turn of speech in real time.

    Where FILE is -, standard input is read: synthesiser | avatarwire stream -
    """
    _check_use(platform, settings, save=save, no_pace=no_pace)
    if save is not None and not Path(save).absolute().parent.is_dir():
        raise click.ClickException(f"cannot write {save}: its folder does not exist")
    console = Console()
    speech = Speech.of(file, raw_rate)
    with contextlib.ExitStack() as stack:
        job: Job = stack.enter_context(PLATFORMS[platform].open_job(settings))
        sent = job.sent_format(speech.format)
        speech.sent_pcm(sent, 0)  # here, where a missing extra costs nobody a session
        show_bar = console.is_terminal and not as_json
        advance = _bar(stack, console, speech) if show_bar else None
        outcome = _run(job, speech, Delivery(lead_ms, not no_pace, interrupt_after), advance)

    received = job.received()
    report = Report(
        name=click.format_filename(file),
        platform=job.url,
        written=speech.format,
        sent=sent,
        sent_pcm=speech.sent_pcm(sent, outcome.playout.sent_ms),
        frame_ms=job.frame_ms,
        received_pcm=None if received is None else received.pcm,
        turn=None if received is None else received.turn,
        playout=outcome.playout,
        lateness=None if no_pace else outcome.lateness,
        interrupt_after_s=interrupt_after,
        cpu_s=outcome.cpu_s,
    )
    if save is not None and report.received_pcm is not None:
        _save(save, report.received_pcm, sent)
    if as_json:
        click.echo(report.as_json())
    else:
        report.show(console)
    if report.identical is False:
        raise click.ClickException("the platform received other PCM than the file holds")
    reason = outcome.playout.reason
    if reason != "completed" and not (reason == "interrupted" and interrupt_after is not None):
        raise click.ClickException(_WHY_NOT_PLAYED[reason])
    return 0


def _check_use(platform: str, settings: Settings, *, save: str | None, no_pace: bool) -> None:
    if no_pace:
        refuse_unheard("with --no-pace", "leave out one of the two", "lead_ms")
    if settings.url is None:
        return
    refuse_incomplete("--url", *PLATFORMS[platform].needs)
    if save is not None:
        raise click.UsageError("--save works with the local platform only: leave out --url.")


def _save(path: str, pcm: bytes, format_: PcmFormat) -> None:
    try:
        write_wav(path, pcm, format_)
    except OSError as exc:
        raise click.ClickException(f"cannot write {path}: {exc.strerror}") from exc


def _bar(stack: contextlib.ExitStack, console: Console, speech: Speech) -> Callable[[float], None]:
    total = speech.format.ms(len(speech.pcm)) / 1000
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.1f} of {task.total:.1f} s"),
    )
    # Drawn from here: a thread of its own could not say that the terminal is gone.
    progress = stack.enter_context(Progress(*columns, console=console, auto_refresh=False))
    task = progress.add_task(shown(speech.name), total=total)

    def advance(seconds: float) -> None:
        progress.update(task, completed=seconds, refresh=True)

    return advance


def _run(
    job: Job, speech: Speech, delivery: Delivery, advance: Callable[[float], None] | None
) -> Outcome:
    """Stream the speech; every failure on the way becomes one line."""
    try:
        return run_in_order(lambda: job.stream(speech, delivery, advance))
    except click.Abort:  # a RuntimeError too
        raise
    except (AvatarwireError, RuntimeError, OSError) as exc:
        raise click.ClickException(job.explain(exc)) from exc
