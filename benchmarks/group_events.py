"""The group *events*: from the arguments to JSON and to bytes, by every candidate of the list."""

import seeds  # noqa: F401 - for the published SDK
from report import Panel, panel_of, write

ORJSON = "orjson alone, dict ready-made"
NOTES = """\
*To masked WebSocket bytes* is what a send costs before the socket: framed by our codec, and by the
`websockets` library for all others. Ours also checks every argument. *orjson alone* is given the
finished dict: the bound for whoever encodes with it, and less work than ours."""


def run() -> list[Panel]:
    """Measure two events that are sent often, and write the results."""
    groups = ("chunk_websocket", "partial_websocket", "chunk_json")
    panels = [panel_of(name, limit=ORJSON) for name in groups]
    write("events", "Encoding an event", panels, ["msgspec", "orjson", "websockets"], NOTES)
    return panels


if __name__ == "__main__":
    run()
