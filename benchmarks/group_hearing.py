"""The tables of what it costs to hear the user."""

from hearing import (
    BOTH_S,
    BOTH_SESSIONS,
    CONNECTION,
    FLOOD_FRAMES,
    LIVE_SESSIONS,
    MANY_SESSIONS,
    OURS,
    PICOWS,
    SEED,
    SIDES,
    USER_AUDIO,
    allow_files,
    both,
    measure,
    run_on,
)
from report import Panel, write

NOTES = f"""\
CPU time, user and system, of the receiving process for one frame of 40 ms at 16 kHz; a process of
its own speaks. picows takes the payload and does nothing else: the bound. *Flood* is
{FLOOD_FRAMES:,} frames as fast as one connection takes them; *live* is a frame each 40 ms to each
session, as far as the machine keeps up. An iterator drops what it does not fetch in time, so
`user_audio()` takes no part in a flood. Sides take turns, the best turn of each.

*Speaking and hearing* is {BOTH_SESSIONS:,} sessions of ours at once, each with an audio stream with
its defaults and a user who speaks: CPU for a second of both."""


def run() -> list[Panel]:
    """Measure all sides, and write the results."""
    allow_files()
    names, few = list(SIDES), [OURS, USER_AUDIO, CONNECTION, PICOWS]
    both_s, underruns = run_on(both(BOTH_S))
    both_uvloop_s, underruns_uvloop = run_on(both(BOTH_S), on_uvloop=True)
    panels = [
        Panel("Flood: CPU per frame", measure(names, 1)),
        Panel(f"Live, {LIVE_SESSIONS} sessions: CPU per frame", measure(names, LIVE_SESSIONS)),
        Panel(f"Live, {MANY_SESSIONS:,} sessions: CPU per frame", measure(few, MANY_SESSIONS)),
        Panel("Flood, uvloop: CPU per frame", measure(few, 1, on_uvloop=True)),
        Panel(
            f"Live, {LIVE_SESSIONS} sessions, uvloop: CPU per frame",
            measure([*few, SEED], LIVE_SESSIONS, on_uvloop=True),
        ),
        Panel(
            "Speaking and hearing at once: CPU per session and second",
            {"avatarwire": both_s, "avatarwire, uvloop": both_uvloop_s},
        ),
    ]
    notes = (
        f"{NOTES}\nOf their writes {underruns:,} came too late (underruns), with uvloop"
        f" {underruns_uvloop:,}."
    )
    packages = ["picows", "websockets", "aiohttp", "uvloop"]
    write("hearing", "Hearing the user", panels, packages, notes)
    return panels
