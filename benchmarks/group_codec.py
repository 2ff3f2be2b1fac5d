"""The group *codec*: frames and bytes, by every candidate of the list."""

import seeds  # noqa: F401 - for the published SDK
from report import Panel, panel_of, write

NOTES = """\
One frame is 40 ms of 24 kHz PCM: 9 bytes of header and 1,920 of payload. The general-purpose ways
check less: `struct` is given fields shifted by hand, and of them only `construct` refuses a message
of another type; `ctypes` leaves the bits to whoever reads a field. A WebSocket library is given
frames packed by `struct`. *One copy* is what no framing can beat, of as many bytes."""

GROUPS = (
    "frame_pack",
    "frame_unpack",
    "pcm_frames",
    "pcm_into",
    "pcm_websocket",
    "message_mask",
    "flood_unpack",
    "image_unpack",
    "external_unpack",
)


def run() -> list[Panel]:
    """Measure the groups, and write the results."""
    panels = [panel_of(name) for name in GROUPS]
    packages = ["bitstruct", "construct", "numpy", "picows", "websockets", "wsproto"]
    write("codec", "Frames and bytes", panels, packages, NOTES)
    return panels


if __name__ == "__main__":
    run()
