"""What a session has done so far, in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from avatarwire.streaming import BOUNDS_MS, TurnRegister

if TYPE_CHECKING:
    from avatarwire.session.engine import Engine
    from avatarwire.session.outbox import Outbox

__all__ = ["AgentStats", "stats_of"]


#: A loop that changes its sums all the time is not waited for.
MOST_READS = 100


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
        turns_started: turns of speech that have begun to be heard.
        turns_started_ms: the sum of the times to it, each from the turn's first write.
        queued_ms: sound that waits in open turns, and has not been sent before.
        backlog_bytes: messages that wait for a connection.
        buffered_bytes: written, and not yet taken by the operating system.
        audio_written_ms: given to turns of speech.
        audio_sent_ms: sent of it; what is taken back, as in a gap or a pause, counts once.
        audio_dropped_ms: dropped of it.
        lateness_bounds_ms: upper bounds of the histogram below.
        lateness_counts: how many paced writes were that late; the last is for those beyond.
        lateness_max_ms: the latest.
        underruns: how often a turn ran out of sound at the platform.
        underrun_ms: for how long in all.
        dropped: what was dropped otherwise, by cause: ``callback_slow`` in calls that were not
            made because 250 of the same callback waited, ``audio_callback_slow`` and
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
    turns_started: int
    turns_started_ms: float
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
    underrun_ms: float
    dropped: Mapping[str, int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "dropped", MappingProxyType(dict(self.dropped)))

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        *counts, dropped = (getattr(self, each.name) for each in fields(self))
        return type(self), (*counts, dict(dropped))  # the view that it is does not pickle


def stats_of(
    engine: "Engine[Any]",
    outbox: "Outbox",
    turns: TurnRegister,
    *,
    audio_frames_received: int,
    dropped: Mapping[str, int],
) -> AgentStats:
    """Return a snapshot of one session.

    Args:
        engine: what runs it.
        outbox: what it has sent.
        turns: its turns of speech.
        audio_frames_received: how many of the binary messages were the user's sound.
        dropped: what was dropped, by cause.
    """
    connection, lateness = outbox.connection, turns.lateness
    totals = turns.totals()
    # Another thread may read in the midst of a write: what adds up is read twice alike.
    for _ in range(MOST_READS):
        again = turns.totals()
        if again == totals:
            break
        totals = again
    round_trip_s = None if connection is None else connection.round_trip_s
    return AgentStats(
        is_connected=engine.is_connected,
        reconnects=max(0, engine.lifecycle.connections - 1),
        round_trip_ms=None if round_trip_s is None else round_trip_s * 1000,
        events_sent=outbox.events,
        audio_frames_sent=outbox.audio_frames,
        binary_messages_sent=outbox.binaries,
        bytes_sent=outbox.wire_bytes,
        events_received=engine.inbox.events,
        audio_frames_received=audio_frames_received,
        bytes_received=engine.inbox.payload_bytes,
        turns_started=totals.started,
        turns_started_ms=totals.started_ms,
        queued_ms=totals.queued_ms,
        backlog_bytes=outbox.backlog_bytes,
        buffered_bytes=0 if connection is None else connection.buffered_bytes,
        audio_written_ms=totals.written_ms,
        audio_sent_ms=totals.sent_ms,
        audio_dropped_ms=totals.written_ms - totals.sent_ms - totals.queued_ms,
        lateness_bounds_ms=BOUNDS_MS,
        lateness_counts=tuple(lateness.counts),
        lateness_max_ms=lateness.max_ms,
        underruns=totals.underruns,
        underrun_ms=totals.underrun_ms,
        dropped=dropped,
    )
