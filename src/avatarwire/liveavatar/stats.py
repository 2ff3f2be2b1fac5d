"""What an agent has done so far, in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import NamedTuple, Self

__all__ = ["AgentStats", "LiveCounts"]


class LiveCounts(NamedTuple):
    """The part of ``AgentStats`` that a session counts."""

    is_connected: bool = False
    reconnects: int = 0
    round_trip_ms: float | None = None
    events_sent: int = 0
    audio_frames_sent: int = 0
    binary_messages_sent: int = 0
    bytes_sent: int = 0
    events_received: int = 0
    audio_frames_received: int = 0
    bytes_received: int = 0
    backlog_bytes: int = 0
    buffered_bytes: int = 0
    dropped: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class AgentStats:
    """A snapshot of one agent.

    Counts begin with a session, outlive reconnections, and stay after ``stop()`` until the next
    session begins.

    Attributes:
        is_connected: there is a connection now.
        reconnects: connections after the first.
        round_trip_ms: of the last ping that was answered; None before that.
        events_sent: text messages written.
        audio_frames_sent: audio frames written.
        binary_messages_sent: other binary messages written, images for one.
        bytes_sent: all of it on the wire, headers included.
        events_received: text messages received.
        audio_frames_received: the user's audio frames received.
        bytes_received: payload bytes of all messages received.
        queued_ms: sound that waits in open turns.
        backlog_bytes: messages that wait for a connection.
        buffered_bytes: written, and not yet taken by the operating system.
        audio_written_ms: given to turns of speech.
        audio_sent_ms: sent of it.
        audio_dropped_ms: dropped of it.
        lateness_bounds_ms: upper bounds of the histogram below.
        lateness_counts: how many paced writes were that late; the last is for those beyond.
        lateness_max_ms: the latest.
        underruns: how often a turn ran out of sound at the platform.
        dropped: what was dropped otherwise, by cause: ``audio_callback_slow`` and
            ``user_audio_slow`` in frames, ``backlog_bytes`` of a session that was lost, and the
            platform's messages that were passed over, by what was wrong with them.
    """

    is_connected: bool
    reconnects: int
    round_trip_ms: float | None
    events_sent: int
    audio_frames_sent: int
    binary_messages_sent: int
    bytes_sent: int
    events_received: int
    audio_frames_received: int
    bytes_received: int
    queued_ms: float
    backlog_bytes: int
    buffered_bytes: int
    audio_written_ms: float
    audio_sent_ms: float
    audio_dropped_ms: float
    lateness_bounds_ms: tuple[float, ...]
    lateness_counts: tuple[int, ...]
    lateness_max_ms: float
    underruns: int
    dropped: Mapping[str, int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "dropped", MappingProxyType(dict(self.dropped)))

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        *counts, dropped = (getattr(self, each.name) for each in fields(self))
        return type(self), (*counts, dict(dropped))  # the view that it is does not pickle
