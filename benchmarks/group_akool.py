"""The group *akool*: its figures as a table and a plot."""

import logging

from guard_akool import PCM, whole_call_costs
from report import Panel, panel_of, write

NOTES = f"""\
One message of sound for Akool: 64 ms of PCM, {len(PCM):,} bytes, a message id of its own included;
the others' messages are masked by `websockets`. *pybase64 alone* only encodes the sound: the bound.
*send_audio* is the CPU time, user and system, of the sending process
for the whole call, over loopback to a process that reads and discards; sides take turns, the best
turn of each. The published client would offer compression, which this receiver does not take: that
is in its favour."""

BOUND = "pybase64 alone"


def run() -> list[Panel]:
    """Time everything, and write the results."""
    logging.disable(logging.INFO)  # the published client logs every message
    panels = [
        panel_of("akool_json", limit=BOUND),
        panel_of("akool_websocket", limit=BOUND),
        Panel("send_audio of 64 ms, CPU of the whole call", whole_call_costs()),
    ]
    logging.disable(logging.NOTSET)
    packages = ["akool-streaming-avatar", "websockets", "pybase64"]
    write("akool", "Sound for Akool", panels, packages, NOTES)
    return panels


if __name__ == "__main__":
    run()
