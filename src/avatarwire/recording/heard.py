"""What was heard, on one absolute line of time: the user on the left, the avatar on the right."""

import math
import sys
from array import array
from collections import deque
from dataclasses import dataclass

from avatarwire.audio import PcmFormat

__all__ = ["Heard", "Piece", "Run"]

#: How late a frame of a run may come without ending it: what the network's jitter is.
JITTER_S = 0.1
#: What follows at once begins so many samples from the end of what was there, rounded as that is.
ROUNDED = 0.51
#: A run is told at the latest when it is so long.
MOST_RUN_S = 2.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Stereo sound, as it belongs into the file: ``pcm`` begins at sample ``at``."""

    at: int
    pcm: bytes


@dataclass(slots=True)
class Run:
    """What was heard of a turn without a break.

    Attributes:
        turn_id: which turn.
        at: the first sample.
        samples: how many.
    """

    turn_id: str
    at: int
    samples: int

    @property
    def end(self) -> int:
        """The sample after the last."""
        return self.at + self.samples


class _Track:
    """One channel: sound that waits until it is certain, in the order of time."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, str, array[int]]] = deque()
        self.end = 0

    def put(self, at: int, turn_id: str, samples: "array[int]") -> None:
        """Add sound; what would begin before the end of the last follows it."""
        at = max(at, self.end)
        self.waiting.append((at, turn_id, samples))
        self.end = at + len(samples)

    def cut(self, turn_id: str, at: int, floor: int) -> None:
        """Take away what a turn has from ``at`` on."""
        kept: deque[tuple[int, str, array[int]]] = deque()
        for start, owner, samples in self.waiting:
            left = samples if owner != turn_id else samples[: max(0, at - start)]
            if left:
                kept.append((start, owner, left))
        self.waiting = kept
        self.end = max([floor, *(start + len(samples) for start, _, samples in kept)])

    def take(self, until: int) -> list[tuple[int, str, "array[int]"]]:
        """Return what begins before ``until``, up to there."""
        taken = []
        while self.waiting and self.waiting[0][0] < until:
            start, owner, samples = self.waiting.popleft()
            if start + len(samples) > until:
                rest = samples[until - start :]
                samples = samples[: until - start]
                self.waiting.appendleft((until, owner, rest))
            taken.append((start, owner, samples))
        return taken


class Heard:
    """Puts together what was heard; all that is certain can be taken.

    Args:
        rate: of what comes out, in Hz. The avatar's sound of that rate is kept as it is, sample by
            sample; any other is interpolated, which is good enough to listen to.
    """

    def __init__(self, rate: int) -> None:
        self.format: PcmFormat = PcmFormat(rate, 2)
        self._rate = rate
        self._user, self._avatar = _Track(), _Track()
        self._taken = 0
        self._user_to_rate = _Interpolator(rate)
        self._avatar_to_rate = _Interpolator(rate)
        self._run: Run | None = None
        self._runs: list[Run] = []

    @property
    def is_waiting(self) -> bool:
        """Whether sound waits to become certain."""
        return bool(self._user.waiting or self._avatar.waiting)

    def user(self, pcm: bytes, format_: PcmFormat, t: float) -> None:
        """Take what the user said, and what had arrived at ``t``, in seconds of the recording."""
        track, at = self._user, round(t * self._rate)
        length_s = len(pcm) / format_.bytes_per_second
        at -= round(length_s * self._rate)  # it was said before it came
        is_same = -self._rate <= at - track.end <= JITTER_S * self._rate and track.end > 0
        if not is_same:
            self._user_to_rate.begin()
        samples = self._user_to_rate.push(_mono(pcm, format_), format_.sample_rate)
        track.put(track.end if is_same else max(at, self._taken), "", samples)

    def avatar(self, turn_id: str, pcm: bytes, format_: PcmFormat, t: float) -> None:
        """Take what is heard of a turn from ``t`` on, in seconds of the recording."""
        track, at = self._avatar, round(t * self._rate)
        rounded = ROUNDED
        if format_.sample_rate != self._rate:  # the last sample waits for the next, to end there
            rounded += 1 + self._rate / format_.sample_rate
        if abs(t * self._rate - track.end) < rounded:  # what follows at once leaves no gap
            at = track.end
        elif at > track.end:
            self._avatar_to_rate.begin()
        samples = self._avatar_to_rate.push(_mono(pcm, format_), format_.sample_rate)
        track.put(max(at, self._taken), turn_id, samples)

    def silence(self, turn_id: str, t: float) -> None:
        """Take away what was to be heard of a turn from ``t`` on."""
        self._avatar.cut(turn_id, max(round(t * self._rate), self._taken), self._taken)

    def take(self, t: float) -> Piece | None:
        """Return what was heard before ``t`` and after what was taken last; None: silence."""
        until, begun = round(t * self._rate), self._taken
        if until <= begun:
            return None
        self._taken = until
        left, right = self._user.take(until), self._avatar.take(until)
        for start, owner, samples in right:
            self._note(start, owner, len(samples))
        if not left and not right:
            self._end_run(until)
            return None
        first = min(start for start, _, _ in (*left, *right))
        last = max(start + len(samples) for start, _, samples in (*left, *right))
        stereo = array("h", bytes(4 * (last - first)))
        for channel, pieces in enumerate((left, right)):
            for start, _, samples in pieces:
                at = 2 * (start - first) + channel
                stereo[at : at + 2 * len(samples) : 2] = samples
        return Piece(first, _little_endian(stereo).tobytes())

    def runs(self, *, are_over: bool = False) -> list[Run]:
        """Return, once, what was heard of turns without a break.

        Args:
            are_over: also what may go on.
        """
        if are_over and self._run is not None:
            self._runs.append(self._run)
            self._run = None
        runs, self._runs = self._runs, []
        return runs

    def _note(self, at: int, turn_id: str, samples: int) -> None:
        run = self._run
        if run is not None and (run.turn_id != turn_id or run.end != at):
            self._runs.append(run)
            run = None
        if run is None:
            run = Run(turn_id, at, 0)
        run.samples += samples
        self._run = run
        if run.samples >= MOST_RUN_S * self._rate:
            self._runs.append(run)
            self._run = None

    def _end_run(self, until: int) -> None:
        if self._run is not None and self._run.end < until:
            self._runs.append(self._run)
            self._run = None


class _Interpolator:
    """Another rate by straight lines between samples: to listen to, not to measure."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self.begin()

    def begin(self) -> None:
        """Begin another run of sound."""
        self._from = self._last = 0
        self._taken = self._given = 0

    def push(self, samples: "array[int]", rate: int) -> "array[int]":
        """Return the sound at the other rate, up to its last sample."""
        if rate == self._rate or not samples:
            return samples
        if rate != self._from:
            self.begin()
            self._from = rate
        to = self._rate
        # Sample k comes from place k * rate / to of the input, whose first here is self._taken.
        begun, self._taken = self._taken, self._taken + len(samples)
        known = array("h", [self._last if begun else samples[0]]) + samples
        end = ((self._taken - 1) * to) // rate + 1
        out = array("h", bytes(2 * (end - self._given)))
        # Every so many samples lie alike between two of the input's, and those are done together.
        shared = math.gcd(rate, to)
        up, down = to // shared, rate // shared
        for phase in range(min(up, len(out))):
            at, part = divmod((self._given + phase) * rate - (begun - 1) * to, to)
            count = len(range(phase, len(out), up))
            here = known[at::down][:count]
            if part:
                rest = to - part
                there = known[at + 1 :: down]
                here = array(
                    "h", [(x * rest + y * part) // to for x, y in zip(here, there, strict=False)]
                )
            out[phase::up] = here
        self._given, self._last = end, samples[-1]
        return out


def _mono(pcm: bytes, format_: PcmFormat) -> "array[int]":
    samples = array("h", pcm[: len(pcm) - len(pcm) % format_.frame_bytes])
    samples = _little_endian(samples)
    return samples[:: format_.channels]


def _little_endian(samples: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        samples.byteswap()
    return samples
