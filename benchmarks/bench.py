"""All groups in one run, and a summary of it, which the README shows.

Run it with ``make bench``: it writes ``benchmarks/results/`` and the README's section of figures.
"""

from pathlib import Path

import akool_group
import events
import peers
import sessions
import transport
from report import COPY, RESULTS, Panel, machine, micros

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- written by make bench -->\n", "<!-- to here -->\n"
OURS, SEED = "avatarwire", "published SDK"
AKOOL_SEED = f"{SEED} (Akool)"

# Of each group: a line's words, its panel, what is ours and what is the published SDK's in it.
CODEC = (
    ("pack a frame from its fields", 0, OURS, SEED),
    ("unpack a frame, payload included", 1, OURS, SEED),
    ("one second of PCM to a list of frames", 2, OURS, SEED),
    ("one second of PCM into a buffer", 3, OURS, SEED),
    ("one second of PCM to masked WebSocket bytes", 4, OURS, SEED),
)
EVENTS = (
    ("`response.chunk` to masked WebSocket bytes", 0, OURS, SEED),
    ("`input.asr.partial`, the same", 1, OURS, SEED),
)
LIVE_SEED = f"{SEED}, 1 frame, then sleep(0.04)"
SESSIONS = (
    ("a frame, streamed as fast as it goes", 0, OURS, SEED),
    ("the same, start and stop of the session included", 1, OURS, SEED),
    ("a second of live audio, 25 frames a call", 2, f"{OURS}, 25 frames each second", LIVE_SEED),
    ("the same, 5 frames a call", 2, f"{OURS}, 5 frames each 200 ms", LIVE_SEED),
    ("the same, 1 frame a call", 2, f"{OURS}, 1 frame each 40 ms", LIVE_SEED),
)

AKOOL = (
    ("build a message of 64 ms", 0, OURS, AKOOL_SEED),
    ("the same, framed and masked for the WebSocket", 1, OURS, AKOOL_SEED),
    ("`send_audio` of 64 ms, CPU of the whole call", 2, OURS, SEED),
)


def versus(
    heading: str,
    lines: tuple[tuple[str, int, str, str], ...],
    panels: list[Panel],
    limit: str = "",
) -> str:
    """Return a table of ours beside the published SDK, and beside the limit if there is one."""
    table = [
        f"| {heading}, µs | here | {SEED} | ratio |" + (f" {limit} |" if limit else ""),
        "|---|--:|--:|--:|" + ("--:|" if limit else ""),
    ]
    for words, index, ours, theirs in lines:
        costs = panels[index].costs
        row = (
            f"| {words} | {micros(costs[ours])} | {micros(costs[theirs])} "
            f"| {costs[theirs] / costs[ours]:.1f}x |"
        )
        table.append(row + (f" {micros(costs[limit])} |" if limit else ""))
    return "\n".join(table)


def ways(heading: str, panel: Panel) -> str:
    """Return a table of all ways in a panel."""
    first = next(iter(panel.costs.values()))
    table = [f"| {heading}, µs | here | to the first |", "|---|--:|--:|"]
    table += [
        f"| {name} | {micros(cost)} | {cost / first:.1f}x |" for name, cost in panel.costs.items()
    ]
    return "\n".join(table)


def main() -> None:
    """Run all groups, write the README's figures and print them."""
    frames, texts, wires, wholes = peers.run(), events.run(), transport.run(), sessions.run()
    akool = akool_group.run()
    packages = ["websockets", "aiohttp", "picows", "orjson"]
    summary = "\n\n".join(
        (
            f"{machine(packages)}",
            versus("codec", CODEC, frames, COPY),
            versus("event", EVENTS, texts, events.ORJSON),
            ways("CPU for a frame over loopback", wires[0]),
            versus("CPU in a whole session for", SESSIONS, wholes),
            versus("Akool, beside its published client 0.1.8", AKOOL, akool),
        )
    )
    head, _, rest = README.read_text("utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    README.write_text(f"{head}{BEGIN}\n{summary}\n\n{END}{tail}", "utf-8")
    print(f"In short, and in the README; everything is in {RESULTS.name}/:\n\n{summary}")


if __name__ == "__main__":
    main()
