"""Recordings that tests make, of a source that is told what to tell."""

import json
from array import array

from sources import MONO, Clock, Told

from avatarwire.recording import Recording, Timeline
from avatarwire.recording.files import Folder, Room

EVIL = '<img src=x onerror="document.title=1"></script><script>document.title="owned"</script>'


def made(path, tell, content=True, **wording):
    """Return a recording of what ``tell(source, at)`` tells; ``at`` sets the time in seconds."""
    source, clock = Told(**wording), Clock()
    folder = Folder(path, Room(10**9))
    timeline = Timeline(source, folder, content=content, now=clock)
    timeline.begin()

    def at(t):
        clock.now = 100 + t
        timeline.work()

    tell(source.to, at)
    timeline.end()
    timeline.work(is_over=True)
    folder.close(timeline.now_s)
    return Recording(path)


def conversation(to, at):
    """Two turns, the second interrupted, with a gap between connections."""
    to.life("connected", {})
    to.message("sent", "text", '{"name":"hello","token":"secret","id":"abc"}')
    to.message("received", "text", json.dumps({"name": "input.text", "text": EVIL}))
    at(1)
    speak(to, "turn-a", 1.0, 500)
    at(2)
    to.turn("turn-a", "ended", {"reason": "completed", "written_ms": 500.0, "sent_ms": 500.0})
    to.life("gap", {"code": 1006, "reason": ""})
    at(2.5)
    to.life("connected", {})
    speak(to, "turn-b", 2.5, 800)
    to.message("received", "binary", array("h", [9] * 40).tobytes())
    at(2.9)
    to.silence("turn-b", 102.9)
    to.turn("turn-b", "ended", {"reason": "interrupted", "sent_ms": 800.0, "underruns": 2})
    to.message("received", "text", '{"name":"session.state","data":{"state":"IDLE"}}')
    at(4)
    to.life("ended", {"code": 1000, "reason": ""})


def speak(to, turn, t, samples):
    to.turn(turn, "opened", {"request_id": "r"})
    pcm = array("h", [1000] * samples).tobytes()
    to.message("sent", "binary", pcm)
    to.sound(turn, pcm, MONO, 100 + t, 100 + t)
