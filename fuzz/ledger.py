"""What one session wrote, held against what the platform received."""

import struct
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from avatarwire.codec import AudioFrame
from avatarwire.emulator import LiveSession
from avatarwire.streaming import Playout

__all__ = ["EVENT", "Ledger", "WrittenTurn", "counted_pcm"]

EVENT = "chaos.event"
READY = "session.ready"
FRAME_MS = 40
#: What is told twice after a gap: two seconds at the most, and the frame that was being played.
RESUMED_MS = 2000 + FRAME_MS
#: A peer that stops reading is noticed by the keepalive, some seconds after it has.
NOTICED_WITHIN_S = 8.0
BYTES_PER_MS = 48  # 24 kHz mono


def counted_pcm(first: int, size_bytes: int) -> bytes:
    """Make PCM in which every four bytes are the number after those before them."""
    count = size_bytes // 4
    return struct.pack(f"<{count}I", *range(first, first + count))


@dataclass
class WrittenTurn:
    """One turn of speech as its writer saw it; ``first`` to ``last`` are what it was given."""

    first: int
    last: int
    playout: Playout
    is_lost: bool
    begun_s: float
    ended_s: float

    def had_gap(self, gaps_s: Sequence[float]) -> bool:
        """Whether its connection was lost; that may be noticed only after the turn."""
        return self.is_lost or any(
            self.begun_s <= gap_s <= self.ended_s + NOTICED_WITHIN_S for gap_s in gaps_s
        )


@dataclass
class Ledger:
    """Counts one session's events and sound, and what became of them.

    Attributes:
        made: numbers of the events handed to the agent, in order: 0 up to this.
        returned: those whose call returned.
        raised: those whose call raised.
        turns: the turns of speech.
        delivered: how many events the platform received.
        lost_in_cuts: calls that returned and whose bytes were in the socket when it was cut.
        raised_late: calls that raised although the platform received the event: it had been
            written, and the session ended while the caller waited for room.
    """

    made: int = 0
    returned: set[int] = field(default_factory=set)
    raised: set[int] = field(default_factory=set)
    turns: list[WrittenTurn] = field(default_factory=list)
    delivered: int = 0
    lost_in_cuts: int = 0
    raised_late: int = 0

    def check(self, session: LiveSession, gaps_s: Sequence[float], attempts: int) -> None:
        """Hold it against the platform's side.

        Args:
            session: what the platform received.
            gaps_s: when connections were lost.
            attempts: how many dials in a row may come to nothing.

        Raises:
            AssertionError: something is missing, twice, or out of order, or a platform that drops
                every connection was dialled on and on.
        """
        self._check_events(session)
        connections = list(_sound(session))
        self._check_order(connections)
        _check_dials(session, attempts)
        numbers = [number for connection in connections for number in connection]
        heard = Counter(bisect(self._firsts, number) for number in numbers)
        for index, turn in enumerate(self.turns, 1):
            is_whole = _was_stopped(session) and not turn.had_gap(gaps_s)
            _check_turn(turn, heard[index], is_whole=is_whole)

    def _check_events(self, session: LiveSession) -> None:
        assert self.returned | self.raised == set(range(self.made)), (
            "a call neither returned nor raised"
        )
        connections = list(_connections(session))
        received = [n for connection in connections for n in connection]
        assert received == sorted(set(received)), "events twice, or out of order"
        for connection in connections:
            span = range(connection[0], connection[-1] + 1) if connection else range(0)
            missing = (set(span) - set(connection)) & self.returned
            assert not missing, f"events missing within a connection: {missing}"
        if _was_stopped(session):
            last = connections[-1]
            after = set(range(last[-1] + 1, self.made)) if last else set()
            assert not after & self.returned, "events missing at an orderly end"
        self.delivered = len(received)
        self.raised_late = len(self.raised & set(received))
        self.lost_in_cuts = len(self.returned - set(received))

    @property
    def _firsts(self) -> list[int]:
        return [turn.first for turn in self.turns]

    def _check_order(self, connections: list[tuple[int, ...]]) -> None:
        """What is told again is told on another connection: of each turn what was not yet played.

        Within a connection everything is in order, also of several turns that are sent again.
        """
        last = self.turns[-1].last if self.turns else 0
        told: dict[int, int] = {}  # by turn, what comes behind the last of it that was heard
        for connection in connections:
            assert all(number < last for number in connection), "sound that nobody wrote"
            assert all(a < b for a, b in pairwise(connection)), "sound mixed up, or twice"
            after: dict[int, int] = {}
            for number in connection:
                turn = bisect(self._firsts, number)
                if turn not in after:
                    again = told.get(turn, number) - number
                    assert again * 4 / BYTES_PER_MS <= RESUMED_MS, f"{again} numbers told twice"
                after[turn] = number + 1
            told |= after


def _check_turn(written: WrittenTurn, heard: int, *, is_whole: bool) -> None:
    playout = written.playout
    assert abs(playout.written_ms - playout.sent_ms - playout.dropped_ms) < 1e-6, playout
    assert abs(playout.written_ms - (written.last - written.first) * 4 / BYTES_PER_MS) < 1e-6
    if is_whole:
        assert abs(heard * 4 / BYTES_PER_MS - playout.sent_ms) < 1e-6, (heard, playout)


def _was_stopped(session: LiveSession) -> bool:
    """Return whether the platform read the session to its end: the stop is written last."""
    return bool(session.events) and session.events[-1]["event"] == "session.stop"


def _check_dials(session: LiveSession, attempts: int) -> None:
    """A connection on which nothing comes after its confirmation was an attempt in vain."""
    in_vain, came = 0, 1
    for entry in session.transcript:
        if entry.kind == "text" and entry.direction == "received" and _is(entry.data, READY):
            in_vain = 0 if came else in_vain + 1
            assert in_vain <= attempts, f"dialled {in_vain} times in vain"
            came = 0
        elif entry.direction == "sent" and not _is(entry.data, "session.init"):
            came += 1


def _is(data: str | bytes, name: str) -> bool:
    return isinstance(data, str) and f'"{name}"' in data


def _sound(session: LiveSession) -> Iterator[tuple[int, ...]]:
    """Return the numbers heard, of one connection after the other."""
    pcm = bytearray()
    for entry in session.transcript:
        if entry.direction != "received":
            continue
        if isinstance(entry.data, bytes):
            pcm += AudioFrame.unpack(entry.data).payload
        elif _is(entry.data, READY):
            yield struct.unpack(f"<{len(pcm) // 4}I", pcm)
            pcm.clear()
    yield struct.unpack(f"<{len(pcm) // 4}I", pcm)


def _connections(session: LiveSession) -> Iterator[list[int]]:
    numbers: list[int] = []
    for event in session.events:
        if event["event"] == READY:
            yield numbers
            numbers = []
        elif event["event"] == EVENT:
            numbers.append(event["data"]["n"])
    yield numbers
