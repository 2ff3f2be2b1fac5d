"""The group *akool*: its figures as a table and a plot."""

import logging

from akool import BOUND, PCM, message_costs, whole_call_costs
from report import Panel, write

NOTES = f"""\
One message of sound for Akool: 64 ms of PCM, {len(PCM):,} bytes. *Build a message* is from the PCM
to the JSON text, a message id of its own included; *masked too* goes on to the WebSocket message.
The published client's time stops at the text, before its WebSocket library. *pybase64 alone* only
encodes the sound: the bound. *send_audio* is the CPU time, user and system, of the sending process
for the whole call, over loopback to a process that reads and discards; sides take turns, the best
turn of each. The published client would offer compression, which this receiver does not take: that
is in its favour."""


def run() -> list[Panel]:
    """Time everything, and write the results."""
    logging.disable(logging.INFO)  # the published client logs every message
    panels = [
        Panel("Build a message of 64 ms", message_costs(), limit=BOUND),
        Panel("send_audio of 64 ms, CPU of the whole call", whole_call_costs()),
    ]
    logging.disable(logging.NOTSET)
    packages = ["akool-streaming-avatar", "websockets", "pybase64"]
    write("akool", "Sound for Akool", panels, packages, NOTES)
    return panels


if __name__ == "__main__":
    run()
