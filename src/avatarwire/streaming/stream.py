"""One turn of speech: written in any pieces, sent in time, interruptible, accounted for."""

import asyncio
import concurrent.futures
import logging
from collections.abc import AsyncIterable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self

from avatarwire.audio import PcmFormat, check_beginning, is_one_piece, pcm_bytes, pieces_of
from avatarwire.streaming.lateness import Lateness
from avatarwire.streaming.pacer import running_pacer
from avatarwire.streaming.playout import Playout, PlayoutReason
from avatarwire.streaming.speaker import Speaker
from avatarwire.streaming.timeline import Timeline
from avatarwire.streaming.timing import Timing

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["AudioStream", "Converter"]

logger: logging.Logger = logging.getLogger("avatarwire.streaming")

#: What leaves unpaced before others have their turn: about a millisecond's work.
UNPACED_BYTES = 1_000_000


class Converter(Protocol):
    """Turns sound of the format written into sound of the format sent, across any pieces."""

    def push(self, pcm: "Buffer") -> bytes:
        """Take sound in; give what is ready."""
        ...

    def flush(self) -> bytes:
        """Give what is left."""
        ...


class AudioStream:
    """One turn of speech; an agent's ``audio_stream()`` makes it.

    Example::

        async with agent.audio_stream(request_id) as stream:
            async for pcm in synthesiser:
                await stream.write(pcm)
        playout = await stream.wait_playout()

    Entering opens the turn at the platform. Leaving normally sends what is queued, in time, and
    completes the turn; leaving by an exception or a cancellation interrupts it. Its calls belong to
    one event loop, ``write_threadsafe`` excepted.

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
    """

    # So many attributes are a dictionary of their own otherwise, for each of thousands of streams.
    __slots__ = (
        "__weakref__",
        "_beginning",
        "_buffer_ms",
        "_closed",
        "_converter",
        "_dropped_bytes",
        "_drops_from_s",
        "_drops_while_held",
        "_flushed_samples",
        "_format",
        "_grace_s",
        "_is_held",
        "_is_writer_waiting",
        "_loop",
        "_outlives",
        "_paced",
        "_pacer",
        "_played_ms",
        "_reason",
        "_resolved",
        "_room",
        "_speaker",
        "_state",
        "_taken_bytes",
        "_timeline",
        "_waiting_for_room",
        "_written_format",
        "interrupt_on_input",
        "lateness",
        "request_id",
        "response_id",
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
    ) -> None:
        self.request_id: str = request_id
        self.response_id: str = response_id
        self.interrupt_on_input: bool = interrupt_on_input
        self.lateness: Lateness = lateness or Lateness()
        self._grace_s = grace_s
        self._outlives = keep_ms is not None
        self._is_held = False
        self._drops_while_held = False
        self._buffer_ms = timing.buffer_ms
        self._drops_from_s = 0.0  # when the gap began, less the sound that was dropped by then
        self._dropped_bytes = 0  # in gaps; all else that is dropped is what was never sent
        self._speaker = speaker
        self._written_format = written
        self._format = sent
        self._converter = converter
        self._paced = timing.paced
        self._timeline = Timeline(timing, sent, keep_ms=keep_ms or 0, lateness=self.lateness)
        self._taken_bytes = 0  # of what was written, in its own format
        self._beginning: bytes | None = b""  # until it is known to be sound, or told not to be
        self._flushed_samples = 0
        self._state: Literal["new", "open", "finishing", "closed"] = "new"
        self._reason: PlayoutReason | None = None
        self._played_ms = 0.0
        self._room = asyncio.Event()
        self._is_writer_waiting = False
        self._closed = asyncio.Event()
        self._resolved = asyncio.Event()
        self._waiting_for_room: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop

    def __repr__(self) -> str:
        return (
            f"<AudioStream {self.response_id!r} {self._state}, "
            f"{self.sent_ms:.0f} of {self.written_ms:.0f} ms sent>"
        )

    # What has become of the sound

    @property
    def is_open(self) -> bool:
        """Whether ``write`` still takes sound."""
        return self._state == "open"

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
        return self._ms(self._written_samples)

    @property
    def queued_ms(self) -> float:
        """What waits to be sent, in milliseconds of sound."""
        return self._ms(self._timeline.queued_samples)

    @property
    def sent_ms(self) -> float:
        """What has gone to the platform, in milliseconds of sound."""
        return self._ms(self._timeline.sent_samples)

    @property
    def position_ms(self) -> float:
        """What the listener has heard by now, in milliseconds of sound, by the paced clock."""
        if self._reason is not None:
            return self._played_ms
        if not self._timeline.sent_samples:
            return 0.0
        return self._timeline.position_s(self._loop.time()) * 1000

    @property
    def underruns(self) -> int:
        """How often everything sent had been played before more was sent."""
        return self._timeline.underruns

    @property
    def underrun_ms(self) -> float:
        """For how long in all, in milliseconds."""
        return self._timeline.underrun_s * 1000

    # Writing

    async def write(self, pcm: "Buffer") -> bool:
        """Add sound, and wait while more than ``buffer_ms`` is queued.

        Args:
            pcm: 16-bit little-endian samples, any number of bytes. ``bytes`` are kept by
                reference, any other buffer is copied. What begins like a file, or like text, is
                told in the log, once a turn.

        Returns:
            False once the turn has ended: what was not sent is counted as dropped, and there is no
            use in writing more.

        Raises:
            TypeError: ``pcm`` is not a buffer of bytes or of 16-bit little-endian integers.
            RuntimeError: the stream has not been entered.
        """
        self._require_entered()
        if type(pcm) is not bytes:
            pcm = pcm_bytes(pcm)
        if self._beginning is not None:
            self._beginning = check_beginning(
                self._beginning, pcm, f"turn {self.response_id}", logger
            )
        if not self._take(pcm):
            return False
        if not self._paced:
            # Nothing else makes a sender wait whose peer keeps up.
            await asyncio.sleep(0)
        while not self._timeline.has_room and self._state == "open":
            self._is_writer_waiting = True
            self._room.clear()
            await self._room.wait()
        if self._drops_while_held:
            await self._wait_while_dropping()
        return self._state == "open"

    async def _wait_while_dropping(self) -> None:
        """Wait as ``write`` does on a connection: until all but ``buffer_ms`` would be played.

        A source that is faster than sound would lose all of its sound to a gap of a moment, and
        one without an end would let nothing else happen.
        """
        while self._drops_while_held and self._state == "open":
            ahead_ms = self._dropped_ms - self._buffer_ms
            left_s = self._drops_from_s + ahead_ms / 1000 - self._loop.time()
            await asyncio.sleep(0)
            if left_s <= 0:
                return
            self._room.clear()
            try:
                async with asyncio.timeout(left_s):
                    await self._room.wait()
            except TimeoutError:
                return

    async def play(self, source: "AsyncIterable[Buffer] | Iterable[Buffer]") -> bool:
        """Write all that ``source`` gives; stop when the turn has ended.

        Args:
            source: an iterable, or async iterable, of what ``write`` takes. A file, or the stream
                of a process, is read in pieces. A plain iterable that blocks would block the event
                loop: use ``write_threadsafe`` for those.

        Returns:
            Whether all of it was accepted.

        Raises:
            TypeError: ``source`` is no iterable of buffers.
        """
        if is_one_piece(source):
            raise TypeError(
                f"play takes an iterable of PCM, not {type(source).__name__}: one piece goes to"
                " write"
            )
        source = pieces_of(source)
        if isinstance(source, AsyncIterable):
            async for pcm in source:
                if not await self.write(pcm):
                    return False
            return True
        for pcm in source:
            if not await self.write(pcm):
                return False
        return True

    def write_threadsafe(self, pcm: "Buffer", timeout: float | None = None) -> bool:
        """Do what ``write`` does from another thread, which waits as ``write`` would.

        Args:
            pcm: as for ``write``.
            timeout: seconds to wait at the most; None: as long as it takes.

        Returns:
            As ``write``; also False when the event loop is gone.

        Raises:
            TypeError: as ``write``.
            RuntimeError: the stream has not been entered, or this is the event loop's thread.
            TimeoutError: there was no room in time; the sound is queued nevertheless.
        """
        self._require_entered()
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self._loop:
            raise RuntimeError("write_threadsafe would block the event loop: await write() here")
        work = self.write(pcm)
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)
        except concurrent.futures.CancelledError:
            return False  # the event loop is about to end, and ends its tasks
        except RuntimeError:
            if not self._loop.is_closed():
                raise
            work.close()
            return False

    # Ending

    async def finish(self) -> None:
        """Send what is queued, in time, and complete the turn; leaving the stream does it.

        It returns when everything has gone to the platform, which then has up to ``lead_ms`` left
        to play, or when the turn has ended otherwise.

        Raises:
            RuntimeError: the stream has not been entered.
        """
        self._require_entered()
        if self._state == "open":
            self._state = "finishing"
            self._complete_queue()
            self._pump()
        await self._closed.wait()

    async def interrupt(self, *, scope: str | None = None, notify: bool = True) -> Playout:
        """Drop what is queued and stop what is playing; nothing of this turn is sent any more.

        It returns at once, not when playback has stopped. On a turn that has ended it does nothing.

        Args:
            scope: None or ``"VOICE_AND_ACCOMPANIMENT"``.
            notify: False: do not tell the platform to stop playback, only that the turn is over.

        Returns:
            What became of the turn.

        Raises:
            ValueError: a scope that the platform does not know, or that leaves the turn alone.
            RuntimeError: the stream has not been entered.
        """
        self._require_entered()
        return self.end("interrupted", scope=scope, notify=notify)

    async def wait_playout(self, timeout: float | None = None) -> Playout:  # noqa: ASYNC109
        """Wait until the turn has been played, or has ended otherwise.

        It resolves by what the platform says, by an interrupt, by the end of the session, and in
        any case some seconds after the paced end.

        Args:
            timeout: seconds to wait at the most; then the reason is ``timed_out``, and a later
                call may still learn how it ended. Nothing is raised.

        Raises:
            RuntimeError: the stream has not been entered.
        """
        self._require_entered()
        try:
            async with asyncio.timeout(timeout):
                await self._resolved.wait()
        except TimeoutError:
            pass
        return self._playout()

    def _require_entered(self) -> None:
        if self._state == "new":
            raise RuntimeError("the stream is not open: use it in an async with statement")

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise RuntimeError("a stream is one turn: make another one")
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
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is None:
            try:
                await self.finish()
            except BaseException:
                self.end("interrupted")
                raise
        else:
            self.end("interrupted")

    # What the session tells the stream

    def end(
        self, reason: PlayoutReason, *, scope: str | None = None, notify: bool = True
    ) -> Playout:
        """End the turn now, for ``reason``, unless it has ended; give what became of it.

        Only an interruption of ours stops the playback; with ``lost`` nothing can be sent.
        """
        if self._reason is not None:
            return self._playout()
        if reason != "lost":
            try:
                if reason == "interrupted" and notify:
                    self._speaker.interrupt(scope)
                elif self._state != "closed":
                    self._speaker.abandon()
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
        self._drops_while_held = drop
        if drop:
            self._drop_queue()
            self._drops_from_s = self._loop.time() - self._dropped_ms / 1000
            self._room.set()
            return
        if self._timeline.take_back(self._loop.time()) and self._state == "closed":
            self._state = "finishing"
            self._closed.clear()
        if self._state != "closed":
            self._pacer.remove(self)

    def go_on(self) -> None:
        """There is another connection: begin the turn anew, with what was held."""
        if self._reason is not None or self._state == "new":
            return
        if self._state != "closed":
            try:
                self._speaker.restart()
            except ConnectionError:
                return  # lost again; the session will say how it goes on
        self._is_held = self._drops_while_held = False
        self._room.set()
        if self._state != "closed":
            self._pump()

    # Sending

    def tick(self, now_s: float) -> float | None:
        """Do what is due at ``now_s``; give the next deadline. The pacer calls this."""
        if self._state == "closed":
            self._resolve("completed" if self._grace_s is None else "timed_out")
            return None
        try:
            return self._send_due(now_s)
        except ConnectionError:
            if self._outlives:
                self._is_held = True  # the session will say whether there is another connection
            else:
                self.end("lost")
            return None

    def _pump(self) -> None:
        """Do what is due, and have the pacer call for the rest."""
        deadline_s = self.tick(self._loop.time())
        if deadline_s is not None:
            self._pacer.schedule(self, deadline_s)

    def _send_due(self, now_s: float) -> float | None:
        if self._waiting_for_room is not None or self._is_held:
            return None
        if not self._paced:
            return self._send_unpaced(now_s)
        timeline = self._timeline
        pcm = timeline.due(now_s)
        if pcm is not None and not self._send(pcm, now_s):
            return None
        if self._state == "finishing" and not timeline.queued_bytes:
            return self._finish(now_s)
        return timeline.next_due_s(now_s)

    def _send_unpaced(self, now_s: float) -> float | None:
        timeline = self._timeline
        stop_at_bytes = timeline.queued_bytes - UNPACED_BYTES
        while timeline.queued_bytes >= timeline.frame_bytes:
            if timeline.queued_bytes <= stop_at_bytes:
                return now_s
            whole_bytes = timeline.queued_bytes - timeline.queued_bytes % timeline.frame_bytes
            if not self._send(timeline.front(min(whole_bytes, timeline.batch_bytes)), now_s):
                return None
        if self._state != "finishing":
            return None
        if timeline.queued_bytes:
            self._send(timeline.front(timeline.queued_bytes), now_s)
        return self._finish(now_s)

    def _send(self, pcm: bytes | memoryview, now_s: float) -> bool:
        """Send the front of the queue; False when the connection has no more room."""
        has_room = self._speaker.say(pcm)
        self._timeline.sent(now_s)
        if self._is_writer_waiting and self._timeline.has_room:
            self._is_writer_waiting = False
            self._room.set()
        if not has_room:
            self._waiting_for_room = asyncio.create_task(self._wait_for_room())
        return has_room

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

    def _finish(self, now_s: float) -> float:
        """Complete the turn; give the time at which its playback is over, with or without word."""
        self._speaker.finish()
        self._close()
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
        self._reason = reason
        self._timeline.forget()
        self._resolved.set()
        self._pacer.remove(self)
        if self._waiting_for_room is not None:
            self._waiting_for_room.cancel()
        logger.debug("turn %s: %s", self.response_id, self._playout())

    def _playout(self) -> Playout:
        """Give what became of the turn, by now."""
        return Playout(
            reason=self._reason or "timed_out",
            written_ms=self.written_ms,
            sent_ms=self.sent_ms,
            dropped_ms=self._ms(self._written_samples - self._timeline.sent_samples),
            played_ms=self.position_ms,
        )

    def _ms(self, samples: int) -> float:
        return samples * 1000 / self._format.sample_rate

    # The queue

    def _take(self, pcm: bytes) -> bool:
        """Count and queue what was written, and send what is due; False when the turn is over."""
        self._taken_bytes += len(pcm)
        if self._state == "open":
            converted = pcm if self._converter is None else self._converter.push(pcm)
            self._timeline.put(converted)
            if self._drops_while_held:
                self._drop_queue()
            else:
                self._pump()
        return self._state == "open"

    @property
    def _dropped_ms(self) -> float:
        """What was dropped in gaps."""
        return self._ms(self._dropped_bytes // self._format.frame_bytes)

    def _drop_queue(self) -> None:
        """Drop the whole samples: what follows half a sample is its other half."""
        queued_bytes = self._timeline.queued_bytes
        whole_bytes = queued_bytes - queued_bytes % self._format.frame_bytes
        self._timeline.skip(whole_bytes)
        self._dropped_bytes += whole_bytes

    def _complete_queue(self) -> None:
        """Queue what the converter holds, and drop what is no whole sample."""
        written = self._written_format
        odd_bytes = self._taken_bytes % written.frame_bytes
        if odd_bytes:
            logger.warning(
                "turn %s: the last %d byte(s) written are no whole sample of %s: dropped",
                self.response_id,
                odd_bytes,
                written,
            )
        if self._converter is not None:
            self._timeline.put(self._converter.flush())
        timeline = self._timeline
        timeline.finish()
        # From here on it is known, and no longer computed: conversion rounds.
        dropped_samples = self._dropped_bytes // self._format.frame_bytes
        self._flushed_samples = timeline.sent_samples + timeline.queued_samples + dropped_samples
        self._taken_bytes = 0

    @property
    def _written_samples(self) -> int:
        """What was written, as samples of the format sent."""
        written = self._written_format
        groups = self._taken_bytes // written.frame_bytes
        if self._converter is not None:
            groups = round(groups * self._format.sample_rate / written.sample_rate)
        return self._flushed_samples + groups
