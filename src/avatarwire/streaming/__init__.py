"""Sound in time: turns of speech that are paced, interruptible and accounted for.

What a turn needs of a platform is the small ``Speaker``; nothing here knows a protocol or a socket.
"""

from avatarwire.streaming.intake import Converter
from avatarwire.streaming.lane import Lane
from avatarwire.streaming.lateness import BOUNDS_MS, Lateness
from avatarwire.streaming.observing import NO_OBSERVERS, TurnObserver, TurnObservers
from avatarwire.streaming.pacer import Pacer, Punctual, running_pacer
from avatarwire.streaming.playout import Playout, PlayoutReason
from avatarwire.streaming.progress import Progress
from avatarwire.streaming.register import StreamRegister, StreamTotals, TurnRegister
from avatarwire.streaming.speaker import Speaker
from avatarwire.streaming.stream import AudioStream
from avatarwire.streaming.telling import NO_CALLBACKS, Callbacks
from avatarwire.streaming.timeline import Timeline
from avatarwire.streaming.timing import Timing

__all__ = [
    "BOUNDS_MS",
    "NO_CALLBACKS",
    "NO_OBSERVERS",
    "AudioStream",
    "Callbacks",
    "Converter",
    "Lane",
    "Lateness",
    "Pacer",
    "Playout",
    "PlayoutReason",
    "Progress",
    "Punctual",
    "Speaker",
    "StreamRegister",
    "StreamTotals",
    "Timeline",
    "Timing",
    "TurnObserver",
    "TurnObservers",
    "TurnRegister",
    "running_pacer",
]
