"""All groups in one run, and a summary of it, which the README shows.

Run it with ``make bench``: it writes ``benchmarks/results/`` and the README's section of figures.
"""

from collections.abc import Mapping
from pathlib import Path

import group_akool
import group_codec
import group_events
import group_hearing
import group_sessions
import group_transport
from report import RESULTS, Panel, machine, micros

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- written by make bench -->\n", "<!-- to here -->\n"
OURS, SEED = "avatarwire", "published SDK"
AKOOL_SEED = f"{SEED} (Akool)"
LIVE_SEED = f"{SEED}, 1 frame, then sleep(0.04)"

# A line's words, its group and panel, what is ours and what is the published SDK's in it.
LINES = (
    ("pack a frame from its fields", "codec", 0, OURS, SEED),
    ("unpack a frame, payload included", "codec", 1, OURS, SEED),
    ("one second of PCM to masked WebSocket bytes", "codec", 4, OURS, SEED),
    ("`response.chunk` to masked WebSocket bytes", "events", 0, OURS, SEED),
    ("CPU of a session for a frame, streamed as fast as it goes", "sessions", 0, OURS, SEED),
    (
        "the same for a second of live audio, 25 frames a call",
        "sessions",
        2,
        f"{OURS}, 25 frames each second",
        LIVE_SEED,
    ),
    ("the same, 1 frame a call", "sessions", 2, f"{OURS}, 1 frame each 40 ms", LIVE_SEED),
    ("Akool, beside its client 0.1.8: build a message of 64 ms", "akool", 0, OURS, AKOOL_SEED),
    ("Akool: `send_audio` of 64 ms, CPU of the whole call", "akool", 2, OURS, SEED),
)


def table(groups: Mapping[str, list[Panel]]) -> str:
    """Return the table of ours beside the published SDKs."""
    rows = [f"| µs | here | {SEED} | ratio |", "|---|--:|--:|--:|"]
    for words, group, index, ours, theirs in LINES:
        costs = groups[group][index].costs
        rows.append(
            f"| {words} | {micros(costs[ours])} | {micros(costs[theirs])} "
            f"| {costs[theirs] / costs[ours]:.1f}x |"
        )
    return "\n".join(rows)


def main() -> None:
    """Run all groups, write the README's figures and print them."""
    groups = {
        "codec": group_codec.run(),
        "events": group_events.run(),
        "sessions": group_sessions.run(),
        "hearing": group_hearing.run(),
        "akool": group_akool.run(),
    }
    group_transport.run()
    summary = f"{machine(['websockets'])}\n\n{table(groups)}"
    head, _, rest = README.read_text("utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    README.write_text(f"{head}{BEGIN}\n{summary}\n\n{END}{tail}", "utf-8")
    print(f"In short, and in the README; everything is in {RESULTS.name}/:\n\n{summary}")


if __name__ == "__main__":
    main()
