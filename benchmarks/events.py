"""An event from its arguments to bytes: ours, the published SDK's, and orjson alone."""

import json

import orjson
from codec import seed
from ratios import best_times
from report import Panel, write
from websockets.frames import Frame, Opcode

from avatarwire.codec import client_message
from avatarwire.liveavatar import MessageBuilder
from avatarwire.liveavatar.messages import encode

CHUNK = "req-1", "resp-1", 3, 120, "Good morning, how can I help you today?"
PARTIAL = "req-1", "Guten Morgen, ich hätte gern", 7

NOTES = """\
*To JSON* is the dict and its encoding; *to the wire* adds the masked WebSocket frame, by our codec
there and by the `websockets` library here; ours also checks every argument. *orjson alone* is given
the finished dict: the bound for whoever encodes with it, and less work than ours."""


def panels() -> list[Panel]:
    """Time two events that are sent often, as they are sent."""
    ours, theirs = MessageBuilder, seed.message_builder.MessageBuilder
    dicts = ours.response_chunk(*CHUNK), ours.input_asr_partial(*PARTIAL)

    def framed(text: str) -> bytes:
        return Frame(Opcode.TEXT, text.encode()).serialize(mask=True)

    return [
        Panel(
            "response.chunk, ASCII",
            best_times(
                {
                    "avatarwire, to the wire": lambda: client_message(
                        encode(ours.response_chunk(*CHUNK)), text=True
                    ),
                    "avatarwire, to JSON": lambda: encode(ours.response_chunk(*CHUNK)),
                    "orjson alone, dict ready-made": lambda: orjson.dumps(dicts[0]),
                    "published SDK, to JSON": lambda: json.dumps(theirs.response_chunk(*CHUNK)),
                    "published SDK, to the wire": lambda: framed(
                        json.dumps(theirs.response_chunk(*CHUNK))
                    ),
                }
            ),
            limit="orjson alone, dict ready-made",
        ),
        Panel(
            "input.asr.partial, with an umlaut",
            best_times(
                {
                    "avatarwire, to the wire": lambda: client_message(
                        encode(ours.input_asr_partial(*PARTIAL)), text=True
                    ),
                    "avatarwire, to JSON": lambda: encode(ours.input_asr_partial(*PARTIAL)),
                    "orjson alone, dict ready-made": lambda: orjson.dumps(dicts[1]),
                    "published SDK, to JSON": lambda: json.dumps(
                        theirs.input_asr_partial(*PARTIAL)
                    ),
                    "published SDK, to the wire": lambda: framed(
                        json.dumps(theirs.input_asr_partial(*PARTIAL))
                    ),
                }
            ),
            limit="orjson alone, dict ready-made",
        ),
    ]


if __name__ == "__main__":
    write("events", "Encoding an event", panels(), ["orjson", "websockets"], NOTES)
