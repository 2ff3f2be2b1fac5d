"""Which streams of one agent are not over yet, and which of them is open."""

from typing import Any, NamedTuple

from avatarwire.streaming.lateness import Lateness
from avatarwire.streaming.observing import NO_OBSERVERS, TurnObservers
from avatarwire.streaming.stream import AudioStream

__all__ = ["StreamRegister", "StreamTotals", "TurnRegister"]


class StreamTotals(NamedTuple):
    """Sums over streams, in milliseconds of sound; underruns and those started are counts.

    All but what is queued only grow: what was sent and is taken back, as in a gap or a pause, stays
    sent, and is not counted as queued.
    """

    started: int = 0
    started_ms: float = 0.0
    written_ms: float = 0.0
    sent_ms: float = 0.0
    queued_ms: float = 0.0
    underruns: int = 0
    underrun_ms: float = 0.0

    def plus(self, stream: AudioStream) -> "StreamTotals":
        """Return the sums with those of another stream."""
        started_ms, taken_back_ms = stream.start.ms, stream.taken_back_ms
        return StreamTotals(
            self.started + (started_ms is not None),
            self.started_ms + (started_ms or 0.0),
            self.written_ms + stream.written_ms,
            self.sent_ms + stream.sent_ms + taken_back_ms,
            self.queued_ms + max(0.0, stream.queued_ms - taken_back_ms),
            self.underruns + stream.underruns,
            self.underrun_ms + stream.underrun_ms,
        )


NOTHING = StreamTotals()


class StreamRegister:
    """The streams that share the connections of one session.

    Attributes:
        lateness: how late the paced writes of the session's streams were.
    """

    def __init__(self) -> None:
        self.lateness: Lateness = Lateness()
        self._playing: tuple[AudioStream, ...] = ()
        self._past = NOTHING

    def begin(self) -> None:
        """Count from zero: another session begins."""
        self._past = NOTHING
        self.lateness.clear()

    def totals(self) -> StreamTotals:
        """Return the sums over all streams of the session, those that are open included."""
        totals = self._past
        for stream in self._playing:
            totals = totals.plus(stream)
        return totals

    def opened(self, stream: AudioStream) -> None:
        """Note that ``stream`` sends from now on."""
        self.forget_resolved()
        self._playing = (*self._playing, stream)

    @property
    def playing(self) -> tuple[AudioStream, ...]:
        """The streams that are not over, in the order of their beginning."""
        return self._playing

    def hold(self, *, drop: bool) -> None:
        """The connection is lost, and another may follow: send nothing until then.

        Args:
            drop: what is queued, and what is written until then, is dropped.
        """
        for stream in self.playing:
            stream.hold(drop=drop)

    def go_on(self) -> None:
        """Resume the streams that were held: there is a connection again."""
        for stream in self.playing:
            stream.go_on()

    def lose(self) -> None:
        """End all streams: the connection has ended for good or is about to."""
        for stream in self.playing:
            stream.end("lost")
        self.forget_resolved()

    def forget_resolved(self) -> None:
        """Keep the sums of the streams that have ended, and not the streams."""
        for stream in self._playing:
            if stream.is_resolved:
                self._past = self._past.plus(stream)
        self._playing = tuple(stream for stream in self._playing if not stream.is_resolved)


class TurnRegister(StreamRegister):
    """Streams of which one is open at a time; earlier ones may still be played.

    Args:
        observers: who looks at them.

    Attributes:
        observers: who looks at them.
    """

    def __init__(self, observers: TurnObservers[Any] = NO_OBSERVERS) -> None:
        super().__init__()
        self.observers: TurnObservers[Any] = observers
        self._open: AudioStream | None = None
        self._held: tuple[AudioStream, ...] = ()
        self._resuming: AudioStream | None = None

    @property
    def open_turn(self) -> AudioStream | None:
        """The turn that is open; None while there is none."""
        return self._open

    def require_none(self, call: str) -> None:
        """Refuse ``call`` while a turn is open.

        Raises:
            RuntimeError: a turn is open.
        """
        if self._open is not None and not self._open.is_resolved:
            raise RuntimeError(
                f"{call} while the audio stream {self._open.response_id!r} is open: "
                "leave or interrupt that one first"
            )

    def opened(self, stream: AudioStream) -> None:
        """Note that ``stream`` speaks from now on."""
        super().opened(stream)
        self._open = stream

    def paused(self, stream: AudioStream) -> None:
        """Note that ``stream`` sends again what it has sent; it is the open one, or becomes it.

        Raises:
            RuntimeError: another turn is open.
        """
        if self._open is not stream:
            self.require_none("pause of an earlier turn")
        self._open = stream

    def closed(self, stream: AudioStream) -> None:
        """Note that ``stream`` sends nothing more."""
        if self._open is stream:
            self._open = None
        if self._resuming is stream:
            self._resuming = None
            self._resume_next()

    def go_on(self) -> None:
        """There is a connection: turns that were held go on, one after the other.

        Frames name no turn: of two that were sent at once the listener would hear a mixture.
        """
        self._held = self.playing
        self._resuming = None
        self._resume_next()

    async def wait_resumed(self) -> None:
        """Return when no earlier turn is being sent again."""
        while self._resuming is not None and self._resuming.sends:
            await self._resuming.wait_sent()

    def _resume_next(self) -> None:
        while self._held:
            stream, *rest = self._held
            self._held = tuple(rest)
            # Before it goes on: it may be complete, and tell so, at once.
            self._resuming = stream
            stream.go_on()
            if self._resuming is not stream or (stream.sends and not stream.is_paused):
                return
            self._resuming = None
