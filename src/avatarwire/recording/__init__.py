"""One format of record for what happens in a session, live and in files, and what is made of it.

Sessions and emulators hand over what they send, receive and play; nothing here knows a platform.
"""

from typing import TYPE_CHECKING

from avatarwire._lazy import lazy_names

if TYPE_CHECKING:
    from avatarwire.recording.live import Live, Sound
    from avatarwire.recording.recorder import Recorder
    from avatarwire.recording.records import TIMELINE, VERSION, Record, schema
    from avatarwire.recording.source import Content, Observer, Source, Wording
    from avatarwire.recording.timeline import Sink, Timeline

__all__ = [
    "TIMELINE",
    "VERSION",
    "Content",
    "Live",
    "Observer",
    "Record",
    "Recorder",
    "Sink",
    "Sound",
    "Source",
    "Timeline",
    "Wording",
    "schema",
]

_HOMES = {
    "avatarwire.recording.live": "Live Sound",
    "avatarwire.recording.recorder": "Recorder",
    "avatarwire.recording.records": "TIMELINE VERSION Record schema",
    "avatarwire.recording.source": "Content Observer Source Wording",
    "avatarwire.recording.timeline": "Sink Timeline",
}

if not TYPE_CHECKING:  # a type checker shall know a misspelt name
    __getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
