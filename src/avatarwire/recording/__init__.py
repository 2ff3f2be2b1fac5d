"""One format of record for what happens in a session, live and in files, and what is made of it.

Sessions and emulators hand over what they send, receive and play; nothing here knows a platform.
"""

from typing import TYPE_CHECKING

from avatarwire._lazy import lazy_names

if TYPE_CHECKING:
    from avatarwire.recording.comparing import Difference, differences
    from avatarwire.recording.export import har
    from avatarwire.recording.inspection import Findings, findings
    from avatarwire.recording.live import Live, Sound
    from avatarwire.recording.reading import Recording, RecordingError
    from avatarwire.recording.recorder import Recorder
    from avatarwire.recording.records import Record, schema
    from avatarwire.recording.source import Content, Observer, Sessions, Source, Wording
    from avatarwire.recording.timeline import Sink, Timeline
    from avatarwire.recording.webpage import page

__all__ = [
    "Content",
    "Difference",
    "Findings",
    "Live",
    "Observer",
    "Record",
    "Recorder",
    "Recording",
    "RecordingError",
    "Sessions",
    "Sink",
    "Sound",
    "Source",
    "Timeline",
    "Wording",
    "differences",
    "findings",
    "har",
    "page",
    "schema",
]

_HOMES = {
    "avatarwire.recording.comparing": "Difference differences",
    "avatarwire.recording.export": "har",
    "avatarwire.recording.inspection": "Findings findings",
    "avatarwire.recording.live": "Live Sound",
    "avatarwire.recording.webpage": "page",
    "avatarwire.recording.reading": "Recording RecordingError",
    "avatarwire.recording.recorder": "Recorder",
    "avatarwire.recording.records": "Record schema",
    "avatarwire.recording.source": "Content Observer Sessions Source Wording",
    "avatarwire.recording.timeline": "Sink Timeline",
}

if not TYPE_CHECKING:  # a type checker shall know a misspelt name
    __getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
