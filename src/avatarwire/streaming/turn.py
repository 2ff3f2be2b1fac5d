"""A turn's sound on its way to the listener: what is due, what was sent, how it has ended."""

import asyncio
import contextlib
import logging
from typing import Any, Literal

from avatarwire._tasks import begin_later
from avatarwire.audio import PcmFormat
from avatarwire.errors import BacklogFullError
from avatarwire.streaming.delivery import Delivery
from avatarwire.streaming.drops import Drops
from avatarwire.streaming.hearing import Hearing
from avatarwire.streaming.intake import Converter, Intake
from avatarwire.streaming.lateness import Lateness
from avatarwire.streaming.observing import NO_OBSERVERS, TurnObservers
from avatarwire.streaming.pacer import Pacer, running_pacer
from avatarwire.streaming.playout import Playout, PlayoutReason
from avatarwire.streaming.speaker import Speaker
from avatarwire.streaming.start import Start
from avatarwire.streaming.telling import NO_CALLBACKS, Callbacks
from avatarwire.streaming.timeline import Timeline
from avatarwire.streaming.timing import MAX_MS, Timing

__all__ = ["Turn"]

logger: logging.Logger = logging.getLogger("avatarwire.streaming")

#: What leaves unpaced before others have their turn: about a millisecond's work.
UNPACED_BYTES = 1_000_000
#: What is left of a turn's sound, and is as good as heard: no platform stops within it.
HEARD_S = 0.001


class Turn:
    """What the session and the pacer know of a turn of speech; a program writes ``AudioStream``.

    Args:
        speaker: how the platform is spoken to.
        written: format of what ``write`` takes.
        sent: format of what the platform gets.
        converter: between the two; None when they are the same.
        timing: when it leaves.
        request_id: what the turn answers.
        response_id: the turn's own id.
        interrupt_on_input: the user's input ends the turn, as it ends playback at the platform.
        lateness: where the delay of each paced write is counted.
        grace_s: how long after its paced end the platform may take to say that the turn has been
            played; None: it says nothing, and the clock alone decides.
        keep_ms: how much of what was sent and not yet played is kept, to be sent again on another
            connection; None: the turn does not outlive its connection.
        start_grace_s: how long after its first sound the platform may take to say that it is
            heard; None: it says nothing, and the clock alone decides.
        callbacks: what the program is told.
        observers: who looks at the turns of its session.

    Attributes:
        start: when it began to be heard.
    """

    # So many attributes are a dictionary of their own otherwise, for each of thousands of streams.
    __slots__ = (
        "__weakref__",
        "_closed",
        "_delivery",
        "_drops",
        "_format",
        "_grace_s",
        "_hearing",
        "_intake",
        "_is_held",
        "_is_paused",
        "_is_stopped",
        "_is_writer_waiting",
        "_loop",
        "_outlives",
        "_paced",
        "_pacer",
        "_played_ms",
        "_reason",
        "_resolved",
        "_room",
        "_shown",
        "_skips_late",
        "_speaker",
        "_state",
        "_timeline",
        "_waiting_for_room",
        "interrupt_on_input",
        "lateness",
        "observers",
        "request_id",
        "response_id",
        "start",
    )

    def __init__(
        self,
        speaker: Speaker,
        *,
        written: PcmFormat,
        sent: PcmFormat,
        converter: Converter | None = None,
        timing: Timing,
        request_id: str,
        response_id: str,
        interrupt_on_input: bool = False,
        lateness: Lateness | None = None,
        grace_s: float | None = None,
        keep_ms: float | None = None,
        start_grace_s: float | None = None,
        callbacks: Callbacks = NO_CALLBACKS,
        observers: TurnObservers[Any] = NO_OBSERVERS,
    ) -> None:
        self.request_id: str = request_id
        self.response_id: str = response_id
        self.interrupt_on_input: bool = interrupt_on_input
        self.lateness: Lateness = lateness or Lateness()
        self.observers: TurnObservers[Any] = observers
        callbacks = observers.beside(callbacks, response_id)
        self.start: Start = Start(start_grace_s, callbacks.on_started)
        self._speaker = speaker
        self._format = sent
        self._paced = timing.paced
        self._skips_late = timing.late == "skip"
        self._grace_s = grace_s
        self._outlives = keep_ms is not None
        self._intake = Intake(written, sent, converter, f"turn {response_id}")
        # What is ahead of playout outlives a pause.
        kept_ms = min(MAX_MS, timing.lead_ms + 2 * timing.frame_ms) if timing.paced else 0
        self._timeline = Timeline(
            timing, sent, keep_ms=max(keep_ms or 0, kept_ms), lateness=self.lateness
        )
        self._delivery = Delivery(speaker, self._timeline, callbacks.on_underrun)
        self._drops = Drops(self._intake, self._timeline, sent, timing.buffer_ms)
        self._hearing: Hearing | None = None
        self._shown: tuple[float, float] | None = None  # until when, and what it had lacked
        if callbacks.on_mark is not None or callbacks.on_progress is not None:
            self._hear(callbacks)
        self._state: Literal["new", "open", "finishing", "closed"] = "new"
        self._is_held = False
        self._is_paused = False
        self._is_stopped = False  # at the platform, by a pause: it has to be opened again
        self._reason: PlayoutReason | None = None
        self._played_ms = 0.0
        self._room = asyncio.Event()
        self._is_writer_waiting = False
        self._closed = asyncio.Event()
        self._resolved = asyncio.Event()
        self._waiting_for_room: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop
        self._pacer: Pacer

    # What has become of the sound

    @property
    def is_open(self) -> bool:
        """Whether ``write`` still takes sound."""
        return self._state == "open"

    @property
    def is_paused(self) -> bool:
        """Whether ``pause`` holds it, until ``resume``."""
        return self._is_paused

    @property
    def is_resolved(self) -> bool:
        """Whether ``wait_playout`` returns at once."""
        return self._reason is not None

    @property
    def sends(self) -> bool:
        """Whether something of it is still to be sent, now or on another connection."""
        return self._reason is None and self._state in {"open", "finishing"}

    async def wait_sent(self) -> None:
        """Wait until nothing more of it is to be sent."""
        while self.sends:
            await self._closed.wait()

    @property
    def begins_at_s(self) -> float:
        """When the first sample is played by the paced clock; now, before there is one."""
        return self._timeline.begins_at_s(self._loop.time())

    @property
    def ends_at_s(self) -> float:
        """When all that was sent has been played by the paced clock, in the event loop's time."""
        return self._timeline.ends_at_s(self._loop.time())

    @property
    def written_ms(self) -> float:
        """What was given to the stream, in milliseconds of sound; an odd last byte is not."""
        return self._ms(self._intake.samples)

    @property
    def queued_ms(self) -> float:
        """What waits to be sent, in milliseconds of sound."""
        return self._ms(self._timeline.queued_samples)

    @property
    def sent_ms(self) -> float:
        """What has gone to the platform, in milliseconds of sound; what is taken back has not."""
        return self._ms(self._timeline.sent_samples)

    @property
    def taken_back_ms(self) -> float:
        """What had gone there, was taken back and was not sent again, in milliseconds of sound."""
        timeline = self._timeline
        return self._ms(timeline.most_samples - timeline.sent_samples)

    @property
    def position_ms(self) -> float:
        """What the listener has heard by now, in milliseconds of sound.

        It is the paced clock's, which stands still while what had arrived has been played.
        """
        if self._reason is not None:
            return self._played_ms
        if not self._timeline.sent_samples:
            return 0.0
        now_s = self._loop.time()
        self._delivery.look(now_s)
        return self._timeline.position_s(now_s) * 1000

    @property
    def underruns(self) -> int:
        """How often all that had arrived was played before more came."""
        return self._timeline.underruns

    @property
    def underrun_ms(self) -> float:
        """For how long in all, in milliseconds."""
        return self._timeline.underrun_s * 1000

    # What the session tells it

    async def begin(self) -> None:
        """Open the turn at the platform, when it can be.

        Raises:
            ConnectionError: it cannot, and the turn does not outlive a connection.
            RuntimeError: another turn is open.
        """
        self._loop = asyncio.get_running_loop()
        self._pacer = running_pacer()
        while self._state == "new":
            await self._speaker.ready()
            try:
                self._speaker.start()
            except ConnectionError:
                if not self._outlives:
                    raise
            else:
                self._state = "open"
                self.observers.change(self.response_id, "opened", request_id=self.request_id)

    def end(
        self, reason: PlayoutReason, *, scope: str | None = None, notify: bool = True
    ) -> Playout:
        """End the turn now, for ``reason``, unless it has ended; give what became of it.

        Only an interruption of ours stops the playback; with ``lost`` nothing can be sent. A
        platform that cannot be told, because too much waits for a connection, changes no reason.
        """
        if self._reason is not None:
            return self._playout()
        if reason != "lost":
            try:
                if reason == "interrupted" and notify:
                    self._speaker.interrupt(scope)
                elif self._state != "closed":
                    self._speaker.abandon()
            except BacklogFullError as exc:
                logger.warning(
                    "turn %s: %s, but the platform could not be told: %s",
                    self.response_id,
                    reason,
                    exc,
                )
            except ConnectionError:
                reason = "lost"
        self._close()
        self._resolve(reason)
        return self._playout()

    def hold(self, *, drop: bool = False) -> None:
        """The connection is lost, and another may follow: send nothing until then.

        Args:
            drop: what is queued, and what is written until then, is dropped; otherwise it waits,
                behind what was sent and cannot have been played.
        """
        if self._reason is not None or self._state == "new":
            return
        if self._waiting_for_room is not None:
            self._waiting_for_room.cancel()
            self._waiting_for_room = None
        self._is_held = True
        if drop:
            self._drop()
            self._room.set()
            return
        self._drops.is_on = False
        self._before_taken_back(self._loop.time())
        if self._timeline.take_back(self._loop.time()) and self._state == "closed":
            self._state = "finishing"
            self._closed.clear()
        if self._state != "closed":
            self._pacer.remove(self)

    def go_on(self) -> None:
        """There is another connection: begin the turn anew, with what was held."""
        if self._reason is not None or self._state == "new":
            return
        if self._state != "closed" and not self._is_paused:
            try:
                self._speaker.restart()
            except ConnectionError:
                return  # lost again; the session will say how it goes on
        self._is_stopped = self._is_paused  # on this connection it has not begun
        self._is_held = self._drops.is_on = False
        self._room.set()
        if self._state != "closed":
            self._pump()
            return
        # It was sent wholly before the gap, in which the platform's word may have been lost.
        self._grace_s = None
        now_s = self._loop.time()
        if self._timeline.ends_at_s(now_s) <= now_s:
            self._resolve("completed")
        else:
            self._pacer.schedule(self, self._timeline.ends_at_s(now_s))

    # What the program does to its clock

    def pause(self) -> None:
        """Stop the listener now; ``resume`` goes on with the first sample that was not heard.

        The platform stops what plays, and what it has not played is queued again: ``queued_ms`` and
        the turn's clock stand still, and nothing is sent, for as long as it takes. ``write`` takes
        sound until ``buffer_ms`` is queued; ``finish`` and ``wait_playout`` wait on. The turn stays
        the open one. A platform without an interrupt plays what it has, up to ``lead_ms``.

        Another pause does nothing, and neither does one of a turn that has been heard to its end or
        has ended otherwise. A gap between connections changes nothing, but for ``on_gap="drop"``,
        which drops what is queued. An interrupt and the end of the session end a paused turn too.

        Raises:
            RuntimeError: the stream has not been entered, is not paced (what was sent of it is not
                kept), or is still played while the next turn is open: pause that one.
        """
        self._require_entered()
        if not self._paced:
            raise RuntimeError("a stream that is not paced cannot be paused: leave out paced=False")
        if self._reason is not None or self._is_paused:
            return
        now_s = self._loop.time()
        self._delivery.look(now_s)
        is_heard = self._timeline.ends_at_s(now_s) - now_s < HEARD_S
        if not is_heard and not self._is_held:
            self._stop(now_s)
        if self.sends:
            self._is_paused = True
            self._timeline.pause(now_s)
            self.observers.change(self.response_id, "paused")
            self._pacer.remove(self)

    def resume(self) -> None:
        """Go on after ``pause``; without one it does nothing.

        Raises:
            RuntimeError: the stream has not been entered.
        """
        self._require_entered()
        if not self._is_paused:
            return
        self._is_paused = False
        self.observers.change(self.response_id, "resumed")
        now_s = self._loop.time()
        if self._hearing is not None:
            self._hearing.before_sent(now_s)
        self._timeline.resume(now_s)
        if self._is_held:
            return  # the session will say when it goes on
        if self._is_stopped:
            try:
                self._speaker.restart()
            except ConnectionError:
                self._cut()
                return
            self._is_stopped = False
        self._pump(now_s)

    def _stop(self, now_s: float) -> None:
        """Have the platform stop what it plays, and take that back, unless it plays on."""
        try:
            if not self._speaker.pause():
                return
        except ConnectionError:
            self._cut()
            if self._reason is not None:
                return
        self._is_stopped = True
        self._before_taken_back(now_s)
        self._timeline.take_back(now_s, exact=True)
        if self._state == "closed":
            self._state = "finishing"
            self._closed.clear()

    def _before_taken_back(self, now_s: float) -> None:
        self.start.taken_back()
        self.observers.taken_back(self.response_id, now_s)
        self._shown = None
        if self._hearing is not None:
            self._hearing.stopped(now_s)

    def _cut(self) -> None:
        """Nothing can be sent: the session will say whether there is another connection."""
        if self._outlives:
            self._is_held = True
        else:
            self.end("lost")

    def _require_entered(self) -> None:
        if self._state == "new":
            raise RuntimeError("the stream is not open: use it in an async with statement")

    # Sending

    def tick(self, now_s: float) -> float | None:
        """Do what is due at ``now_s``; give the next deadline. The pacer calls this."""
        if self._state == "closed":
            # Where nothing was sent, nothing can be late; its end is now, whenever that is.
            if not self._is_held and self._timeline.sent_samples:
                self._delivery.follow(now_s)
                is_over_at_s = self._is_over_at_s(now_s)
                if is_over_at_s > now_s:
                    return self._delivery.next_look_s(now_s, is_over_at_s)
            # A word that came in a gap was not heard: there the clock decides, too.
            is_by_clock = self._grace_s is None or self._is_held
            self._resolve("completed" if is_by_clock else "timed_out")
            return None
        try:
            return self._send_due(now_s)
        except ConnectionError:
            self._cut()
            return None
        except Exception:
            logger.exception("turn %s: sending failed unexpectedly: it ends", self.response_id)
            with contextlib.suppress(Exception):
                self._speaker.abandon()
            self._close()
            self._resolve("failed")
            return None

    def _pump(self, now_s: float | None = None) -> None:
        """Do what is due, and have the pacer call for the rest."""
        deadline_s = self.tick(self._loop.time() if now_s is None else now_s)
        if deadline_s is not None:
            self._pacer.schedule(self, deadline_s)

    def _send_due(self, now_s: float) -> float | None:
        if self._is_held or self._is_paused:
            return None
        if not self._paced:
            return self._send_unpaced(now_s)
        if not self._has_room(now_s):
            return self._delivery.next_look_s(now_s)
        if self._skips_late:
            self._skip_late(now_s)
        timeline = self._timeline
        pcm = timeline.due(now_s)
        if pcm is not None and not self._send(pcm, now_s):
            return self._delivery.next_look_s(now_s)
        if self._state == "finishing" and not timeline.queued_bytes:
            return self._finish(now_s)
        due_s = timeline.next_due_s(now_s)
        return self._delivery.next_look_s(now_s, due_s) if self._delivery.is_watched else due_s

    def _send_unpaced(self, now_s: float) -> float | None:
        timeline = self._timeline
        stop_at_bytes = timeline.queued_bytes - UNPACED_BYTES
        while timeline.queued_bytes >= timeline.frame_bytes:
            if timeline.queued_bytes <= stop_at_bytes:
                return now_s
            if not self._has_room(now_s):
                return self._delivery.next_look_s(now_s)
            whole_bytes = timeline.queued_bytes - timeline.queued_bytes % timeline.frame_bytes
            if not self._send(timeline.front(min(whole_bytes, timeline.batch_bytes)), now_s):
                return self._delivery.next_look_s(now_s)
        if self._state != "finishing" or self._waiting_for_room is not None:
            return self._delivery.next_look_s(now_s)
        if timeline.queued_bytes:
            self._send(timeline.front(timeline.queued_bytes), now_s)
        return self._finish(now_s)

    def _send(self, pcm: bytes | memoryview, now_s: float) -> bool:
        """Send the front of the queue; False when the connection has no more room."""
        has_room = self._speaker.say(pcm)
        hearing = self._hearing
        if hearing is None:
            self._timeline.sent(now_s)
        else:
            hearing.before_sent(now_s)
            self._timeline.sent(now_s)
            hearing.sent(now_s)
        if self.observers.each:
            self._show(pcm, now_s)
        if not self.start.is_sent:
            self.start.sent(now_s)
        if self._is_writer_waiting:
            self._admit_writer()
        if not has_room:
            self._waiting_for_room = begin_later(self._wait_for_room(), name="avatarwire room")
        return has_room

    def _show(self, pcm: bytes | memoryview, now_s: float) -> None:
        """Show what was sent, and when it is heard, to whoever looks."""
        to_s, lacked_s = self._timeline.ends_at_s(now_s), self._timeline.underrun_s
        length_s = len(pcm) / self._format.bytes_per_second
        # The clock also moves when the first of it arrives: no silence between two pieces.
        if self._shown is not None and self._shown[1] == lacked_s:
            to_s = self._shown[0] + length_s
        self._shown = (to_s, lacked_s)
        self.observers.sound(self.response_id, pcm, self._format, to_s - length_s, now_s)

    def _skip_late(self, now_s: float) -> None:
        samples = self._drops.skip_late()
        if samples:
            if self._hearing is not None:
                self._hearing.dropped(self._timeline.sent_samples, samples, now_s)
            self._admit_writer()

    def _admit_writer(self) -> None:
        if self._is_writer_waiting and self._timeline.has_room:
            self._is_writer_waiting = False
            self._room.set()

    def _has_room(self, now_s: float) -> bool:
        """Return whether more may be written; the clock follows what has arrived so far."""
        if self._delivery.is_watched or self._speaker.unacknowledged_bytes():
            self._delivery.follow(now_s)
            if self._waiting_for_room is None and not self._speaker.has_room():
                self._waiting_for_room = begin_later(self._wait_for_room(), name="avatarwire room")
        return self._waiting_for_room is None

    async def _wait_for_room(self) -> None:
        try:
            await self._speaker.writable()
        except ConnectionError:
            if not self._outlives:
                self.end("lost")
            return
        self._waiting_for_room = None
        if self._state != "closed":
            self._pump()

    def _finish(self, now_s: float) -> float | None:
        """Complete the turn; give the time at which its playback is over, with or without word."""
        self._speaker.finish()
        self._close()
        return self._delivery.next_look_s(now_s, self._is_over_at_s(now_s))

    def _is_over_at_s(self, now_s: float) -> float:
        """Return when the listener has heard all, and the platform has had time to say so."""
        return self._timeline.ends_at_s(now_s) + (self._grace_s or 0.0)

    def _close(self) -> None:
        self._state = "closed"
        self._timeline.clear()
        self._room.set()
        self._closed.set()

    def _resolve(self, reason: PlayoutReason) -> None:
        if self._reason is not None:
            return
        self._played_ms = self.sent_ms if reason == "completed" else self.position_ms
        if reason in {"completed", "timed_out"} and self._drops.has_the_end:
            reason = "lost"  # what was played to its end, if anything, was not all of the turn
        self._reason = reason
        self._is_paused = False
        if self._hearing is not None:
            played = round(self._played_ms * self._format.sample_rate / 1000)
            self._hearing.ended(self._loop.time(), played)
        self._timeline.forget()
        self.start.end(self._loop.time(), was_played=reason in {"completed", "timed_out"})
        self._resolved.set()
        self._pacer.remove(self)
        if self._waiting_for_room is not None:
            self._waiting_for_room.cancel()
        logger.debug("turn %s: %s", self.response_id, self._playout())
        if self.observers.each:
            self.observers.resolved(self.response_id, self._playout(), self._loop.time())

    def _playout(self) -> Playout:
        """Return what became of the turn, by now."""
        written_samples = self._intake.samples
        hearing, now_s = self._hearing, self._loop.time()
        return Playout(
            reason=self._reason or "timed_out",
            written_ms=self._ms(written_samples),
            sent_ms=self.sent_ms,
            dropped_ms=self._ms(written_samples - self._timeline.sent_samples),
            played_ms=self.position_ms,
            started_ms=self.start.ms,
            heard=() if hearing is None else hearing.passed(now_s),
            heard_text="" if hearing is None else hearing.heard_text(now_s),
        )

    def _hear(self, callbacks: Callbacks = NO_CALLBACKS) -> Hearing:
        """Return what follows the turn's marks and words; make it when it is needed."""
        if self._hearing is None:
            name = f"turn {self.response_id}"
            self._hearing = Hearing(self._timeline, self._format.sample_rate, callbacks, name)
        return self._hearing

    def _place(self) -> int:
        """Return how much sound is before what is written next, without what a gap dropped."""
        return self._intake.samples - self._drops.samples

    def _drop(self) -> None:
        """Drop what is queued, in a gap."""
        before, now_s = self._drops.samples, self._loop.time()
        if self._drops.is_on:
            self._drops.drop()
        else:
            self._drops.begin(now_s)
        size = self._drops.samples - before
        if self._hearing is not None and size:
            self._hearing.dropped(self._timeline.sent_samples, size, now_s)

    def _ms(self, samples: int) -> float:
        return samples * 1000 / self._format.sample_rate
