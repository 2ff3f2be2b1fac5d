"""Platforms that say little or much, and what the listener of one has heard."""

import asyncio
import json

PLATFORMS = {
    "as documented": {},
    "says nothing": {"withhold": {"session.state"}, "withhold_response_states": True},
    "says it twice": {"duplicate_every": 1},
    "says it late": {"delay_s": 0.2},
    "knows no responses": {"withhold_response_states": True},
    "knows no states": {"withhold": {"session.state"}},
    "says it late and twice": {"delay_s": 0.1, "duplicate_every": 1},
    "says it very late, and of responses alone": {"delay_s": 0.4, "withhold": {"session.state"}},
}


def heard_s(session):
    """Return, by response, the seconds that the listener of an emulated session has heard."""
    heard = {}
    turn, begun_s, length_s = None, None, 0.0

    def end(now_s):
        if turn is not None and begun_s is not None:
            heard[turn] = heard.get(turn, 0.0) + min(length_s, now_s - begun_s)

    for entry in session.transcript:
        if entry.direction != "received":
            continue
        if entry.kind == "binary":
            begun_s = entry.time_s if begun_s is None else begun_s
            length_s += (len(entry.data) - 9) / 48000
            continue
        event = json.loads(entry.data)
        match event["event"]:
            case "response.audio.start":
                end(float("inf"))
                turn, begun_s, length_s = event["responseId"], None, 0.0
            case "control.interrupt":
                end(entry.time_s)
                turn = None
    end(float("inf"))
    return heard


class Lateness:
    """When this machine was late, and by how much: what is sent then arrives by as much later."""

    def __init__(self):
        self.late = []

    async def watch(self):
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + 0.002
            await asyncio.sleep(0.002)
            if loop.time() - due_s > 0.005:
                self.late.append((due_s, loop.time() - due_s))

    def worst_s(self, begin_s, end_s):
        return max(
            (late_s for at_s, late_s in self.late if begin_s < at_s + late_s and at_s < end_s),
            default=0,
        )
