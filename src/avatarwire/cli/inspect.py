"""``avatarwire inspect``: what a recording says, in words, as HAR, as a page."""

import json
from collections import Counter
from pathlib import Path

import click

from avatarwire.cli.output import shown
from avatarwire.recording import Findings, Recording, RecordingError, findings, har, page
from avatarwire.recording.inspection import TurnFound

__all__ = ["inspect", "opened"]

MOST_TURNS = 50
MOST_PROBLEMS = 50


def opened(folder: str) -> Recording:
    """Return a recording.

    Raises:
        click.ClickException: there is none that can be read.
    """
    try:
        return Recording(folder)
    except (RecordingError, OSError) as exc:
        raise click.ClickException(str(exc)) from exc


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False))
@click.option(
    "--har",
    "har_path",
    metavar="OUT",
    type=click.Path(dir_okay=False),
    help="Write its messages as HAR, which browsers' developer tools open.",
)
@click.option(
    "--html",
    "html_path",
    metavar="OUT",
    type=click.Path(dir_okay=False),
    help="Write one page with waveforms, turns, events and the sound.",
)
def inspect(folder: str, har_path: str | None, html_path: str | None) -> int:
    """Tell what a recording in DIR says: turns, lateness, gaps, errors, and where to look.

    A Recorder made it, of a session or of an emulator.
    """
    recording = opened(folder)
    try:
        for line in _words(recording, findings(recording)):
            click.echo(shown(line))
        if har_path is not None:
            _write(har_path, json.dumps(har(recording)))
        if html_path is not None:
            _write(html_path, page(recording))
    except RecordingError as exc:
        raise click.ClickException(str(exc)) from exc
    return 0


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as exc:
        raise click.ClickException(f"cannot write {path}: {exc.strerror}") from exc
    click.echo(f"Wrote {shown(path)}")


def _words(recording: Recording, found: Findings) -> list[str]:
    snapshot = recording.snapshot
    name = recording.session_id or "without an id"
    side, length = snapshot["side"], _clock(found.length_s)
    lines = [f"{snapshot['platform']} session {name}, seen from the {side}; {length} long"]
    for way, title in (("send", "sent"), ("recv", "received")):
        kinds = [f"{n} {kind}" for (d, kind), n in sorted(found.messages.items()) if d == way]
        if kinds:
            lines.append(f"{title}: {', '.join(kinds)}; {found.bytes[way]:,} bytes")
    lines.append(_turns_in_all(found))
    lines += _up_to(MOST_TURNS, [_turn(turn) for turn in found.turns])
    stats = found.stats
    if stats:
        late_ms = stats.get("lateness_max_ms", 0)
        counts = [f"{stats.get(name, 0)} {name}" for name in ("underruns", "reconnects")]
        lines.append(f"lateness: {late_ms:.1f} ms at the most; {'; '.join(counts)}")
    for begun, lasted in found.gaps:
        took = "until the end" if lasted is None else f"{lasted * 1000:.0f} ms"
        lines.append(f"gap between connections: {took}, at {_clock(begun)}")
    lines.append("to look at:" if found.problems else "nothing went wrong")
    lines += _up_to(MOST_PROBLEMS, [f"{_clock(at.at_s)}  {at.words}" for at in found.problems])
    return lines


def _up_to(most: int, lines: list[str]) -> list[str]:
    more = [f"  … and {len(lines) - most} more: see --html"] if len(lines) > most else []
    return [f"  {line}" for line in lines[:most]] + more


def _turn(turn: TurnFound) -> str:
    facts = turn.facts
    words = [turn.reason.replace("_", " ") or "is open", f"{turn.heard_s * 1000:.0f} ms heard"]
    words += [
        f"{facts[name]:.0f} {title}"
        for name, title in (("sent_ms", "sent"), ("dropped_ms", "dropped"))
        if facts.get(name)
    ]
    if facts.get("started_ms") is not None:
        words.append(f"began after {facts['started_ms']:.0f} ms")
    if turn.silent_after_ms is not None:
        words.append(f"silent {turn.silent_after_ms:.0f} ms after the interrupt")
    if turn.confirmed_after_ms is not None:
        words.append(f"by the platform's word {turn.confirmed_after_ms:.0f} ms after it")
    return f"{_clock(turn.opened_s or 0)}  {turn.turn_id[:8]}  {', '.join(words)}"


def _turns_in_all(found: Findings) -> str:
    reasons = Counter(turn.reason.replace("_", " ") or "open" for turn in found.turns)
    words = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    heard_s = sum(turn.heard_s for turn in found.turns)
    return f"turns: {len(found.turns)}" + (f" ({words}), {heard_s:.1f} s heard" if words else "")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    return f"{minutes}:{rest // 1000:02d}.{rest % 1000:03d}"
