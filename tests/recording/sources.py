"""A session that is told what to tell."""

import json
from collections.abc import Callable

from avatarwire.audio import PcmFormat
from avatarwire.recording import Content, Wording

MONO = PcmFormat(1000)


class Clock:
    """Time that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Told:
    """A source: what is called on ``to`` happens to it. Binary messages are bare PCM."""

    def __init__(self, side="client", **wording) -> None:
        self.session_id = "session-1"
        self.to = None
        self.side = side
        self.options = {"sent_rate": 1000, "user_rate": 1000, **wording}

    def observe(self, observer) -> Callable[[], None]:
        self.to = observer

        def end() -> None:
            self.to = None

        return end

    def wording(self) -> Wording:
        return Wording(platform="toy", side=self.side, read=read, **self.options)


def read(data):
    if isinstance(data, bytes):
        return Content("audio", pcm=data, format=MONO, head=b"\x01\x02", facts={"seq": 7})
    try:
        value = json.loads(data)
    except ValueError:
        return Content("text")
    return Content("text", str(value.get("name", "")), value)


class Kept:
    """A sink that keeps all."""

    def __init__(self) -> None:
        self.records = []
        self.wavs = {}
        self.pieces = []

    def record(self, record) -> None:
        self.records.append(record)

    def sound(self, wav, pcm, format_):
        at = len(self.wavs.setdefault(wav, b"")) // format_.frame_bytes
        self.wavs[wav] += pcm
        return wav, at

    def heard(self, piece, format_) -> None:
        self.pieces.append(piece)

    def of(self, kind):
        return [record for record in self.records if record["kind"] == kind]
