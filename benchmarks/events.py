"""An event from its arguments to bytes: ours, the published SDK's, and orjson alone."""

import json

import orjson
from ratios import best_times
from report import Panel, write
from sending import (
    ASR_PARTIAL,
    RESPONSE_CHUNK,
    chunk_ours,
    chunk_seed,
    partial_ours,
    partial_seed,
    seed_builder,
)

from avatarwire.liveavatar import MessageBuilder
from avatarwire.liveavatar.messages import encode

NOTES = """\
*To the wire* is from the arguments to the masked WebSocket message, which is what a send costs
before the socket: framed by our codec, and by the `websockets` library for the published SDK. *To
JSON* stops at the encoded dict. Ours also checks every argument. *orjson alone* is given the
finished dict: the bound for whoever encodes with it, and less work than ours."""


def run() -> list[Panel]:
    """Time two events that are sent often, and write the results."""
    chunk = MessageBuilder.response_chunk(*RESPONSE_CHUNK)
    partial = MessageBuilder.input_asr_partial(*ASR_PARTIAL)
    panels = [
        Panel(
            "response.chunk, ASCII",
            best_times(
                {
                    "avatarwire, to the wire": chunk_ours,
                    "avatarwire, to JSON": lambda: encode(
                        MessageBuilder.response_chunk(*RESPONSE_CHUNK)
                    ),
                    "orjson alone, dict ready-made": lambda: orjson.dumps(chunk),
                    "published SDK, to JSON": lambda: json.dumps(
                        seed_builder.response_chunk(*RESPONSE_CHUNK)
                    ),
                    "published SDK, to the wire": chunk_seed,
                }
            ),
            limit="orjson alone, dict ready-made",
        ),
        Panel(
            "input.asr.partial, with an umlaut",
            best_times(
                {
                    "avatarwire, to the wire": partial_ours,
                    "avatarwire, to JSON": lambda: encode(
                        MessageBuilder.input_asr_partial(*ASR_PARTIAL)
                    ),
                    "orjson alone, dict ready-made": lambda: orjson.dumps(partial),
                    "published SDK, to JSON": lambda: json.dumps(
                        seed_builder.input_asr_partial(*ASR_PARTIAL)
                    ),
                    "published SDK, to the wire": partial_seed,
                }
            ),
            limit="orjson alone, dict ready-made",
        ),
    ]
    write("events", "Encoding an event", panels, ["orjson", "websockets"], NOTES)
    return panels


if __name__ == "__main__":
    run()
