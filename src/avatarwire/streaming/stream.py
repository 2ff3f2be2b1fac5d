"""One turn of speech: written in any pieces, sent in time, interruptible, accounted for."""

import asyncio
import concurrent.futures
from collections.abc import AsyncIterable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from avatarwire.audio import is_one_piece, pcm_bytes, pieces_of
from avatarwire.streaming.playout import Playout
from avatarwire.streaming.turn import Turn
from avatarwire.streaming.words import checked_text, checked_words

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["AudioStream"]


class AudioStream(Turn):
    """One turn of speech; an agent's ``audio_stream()`` makes it.

    Example::

        async with agent.audio_stream(request_id) as stream:
            async for pcm in synthesiser:
                await stream.write(pcm)
        playout = await stream.wait_playout()

    Entering opens the turn at the platform. Leaving normally sends what is queued, in time, and
    completes the turn; leaving by an exception or a cancellation interrupts it. Its calls belong to
    one event loop, ``write_threadsafe`` excepted.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return (
            f"<AudioStream {self.response_id!r} {self._state}, "
            f"{self.sent_ms:.0f} of {self.written_ms:.0f} ms sent>"
        )

    # Writing

    async def write(
        self,
        pcm: "Buffer",
        *,
        text: str | None = None,
        words: Sequence[tuple[str, float]] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> bool:
        """Add sound, and wait while more than ``buffer_ms`` is queued.

        Whatever it waits for, also another connection or the end of a pause, an interrupt and any
        other end of the turn end the wait at once.

        Args:
            pcm: 16-bit little-endian samples, any number of bytes. ``bytes`` are kept by
                reference, any other buffer is copied. What begins like a file, or like text, is
                told in the log, once a turn.
            text: what is said in it; ``Playout.heard_text`` gives what was heard of it, spread
                evenly over the sound by its characters. Spaces are kept as they are.
            words: in place of ``text``, each word with the milliseconds at which it begins, counted
                from the beginning of ``pcm``. A space is put between two words that have none.
            timeout: seconds to wait at the most. The wait then comes first, until no more than
                ``buffer_ms`` is queued, and the sound is added after it.

        Returns:
            False once the turn has ended: what was not sent is counted as dropped, and there is no
            use in writing more.

        Raises:
            TypeError: ``pcm`` is not a buffer of bytes or of 16-bit little-endian integers, or the
                words are none.
            ValueError: both ``text`` and ``words`` are given, the words do not follow each other,
                or the turn has a million characters of them; nothing was taken.
            RuntimeError: the stream has not been entered.
            TimeoutError: there was no room in time; nothing of ``pcm`` was taken.
        """
        self._require_entered()
        if type(pcm) is not bytes:
            pcm = pcm_bytes(pcm)
        said = None if text is None and words is None else _said(text, words)
        if timeout is not None:
            await self._room_within(timeout)
        if self._state != "open":
            self._intake.count(pcm)
            return False
        if not self.start.is_written:
            self.start.written(self._loop)
        if said is None:
            self._timeline.put(self._intake.take(pcm))
        else:
            self._take(pcm, said)
        if self._drops.is_on:
            self._drop()
        else:
            self._pump()
        if not self._paced:
            # Nothing else makes a sender wait whose peer keeps up.
            await asyncio.sleep(0)
        if timeout is None and (self._drops.is_on or not self._timeline.has_room):
            await self._until_room()
        return self._state == "open"

    def _take(self, pcm: bytes, said: str | list[tuple[str, float]]) -> None:
        """Queue sound, and note what is said in it."""
        hearing, start = self._hear(), self._place()
        hearing.require_room(said)
        self._timeline.put(self._intake.take(pcm))
        if isinstance(said, str):
            hearing.text(start, self._place(), said)
        else:
            hearing.words(start, said)

    def mark(self, name: str) -> None:
        """Mark the place between the last write and the next one.

        ``Playout.heard`` has the names of the marks that the listener passed, and ``on_mark`` is
        called at each. On a turn that takes no more sound it does nothing.

        Args:
            name: any text; marks may have the same.

        Raises:
            TypeError: ``name`` is no text.
            ValueError: the turn has a million characters of marks and words.
            RuntimeError: the stream has not been entered.
        """
        self._require_entered()
        if not isinstance(name, str):
            raise TypeError(f"name must be str, not {type(name).__name__}")
        if self._state == "open":
            self._hear().mark(self._place(), name)

    async def _until_room(self) -> None:
        """Wait until a writer may add more, or the turn has ended."""
        while not self._timeline.has_room and self._state == "open":
            self._is_writer_waiting = True
            self._room.clear()
            await self._room.wait()
        if self._drops.is_on:
            await self._wait_while_dropping()

    async def _room_within(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._until_room()
        except TimeoutError:
            raise TimeoutError(
                f"no room for more sound within {timeout_s:g} s: {self.queued_ms:.0f} ms are"
                " queued, more than buffer_ms; nothing of it was taken, so write it again or"
                " interrupt the turn"
            ) from None

    async def _wait_while_dropping(self) -> None:
        while self._drops.is_on and self._state == "open":
            wait_s = self._drops.wait_s(self._loop.time())
            await asyncio.sleep(0)
            if wait_s <= 0:
                return
            self._room.clear()
            try:
                async with asyncio.timeout(wait_s):
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
        self.finish_nowait()
        await self._closed.wait()

    def finish_nowait(self) -> None:
        """Do what ``finish`` does, without waiting: for callbacks, which cannot await.

        What is queued leaves in time, whatever becomes of the caller. Leaving the stream, and
        ``wait_playout``, wait for it as after ``finish``.

        Raises:
            RuntimeError: the stream has not been entered.
        """
        self._require_entered()
        if self._state == "open":
            self._state = "finishing"
            self._timeline.put(self._intake.finish())
            self._timeline.finish()
            self.observers.change(self.response_id, "finishing")
            if self._hearing is not None:
                timeline = self._timeline
                self._hearing.finished(timeline.sent_samples + timeline.queued_samples)
            if self._drops.is_on:
                self._drop()
            self._pump()

    async def interrupt(self, *, scope: str | None = None, notify: bool = True) -> Playout:
        """Drop what is queued and stop what is playing; nothing of this turn is sent any more.

        It returns at once, not when playback has stopped. On a turn that has ended it does nothing.
        In a gap between connections the platform is told later; where too much waits for that
        already, the log says that it is not told.

        Args:
            scope: None or ``"VOICE_AND_ACCOMPANIMENT"``.
            notify: False: do not tell the platform to stop playback, only that the turn is over.

        Returns:
            What became of the turn.

        Raises:
            ValueError: a scope that the platform does not know, or that leaves the turn alone.
            RuntimeError: the stream has not been entered.
        """
        return self.interrupt_nowait(scope=scope, notify=notify)

    def interrupt_nowait(self, *, scope: str | None = None, notify: bool = True) -> Playout:
        """Do what ``interrupt`` does, from a callback, which cannot await.

        Args:
            scope: as for ``interrupt``.
            notify: as for ``interrupt``.

        Returns:
            What became of the turn.

        Raises:
            ValueError, RuntimeError: as ``interrupt``.
        """
        self._require_entered()
        return self.end("interrupted", scope=scope, notify=notify)

    async def wait_started(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109
        """Wait until the turn begins to be heard.

        That is when the avatar speaks, by the platform's word. Where it gives none, the first
        sample is heard when it is sent.

        Args:
            timeout: seconds to wait at the most. Nothing is raised.

        Returns:
            False: the turn has ended first, or the time is up.

        Raises:
            RuntimeError: the stream has not been entered.
        """
        self._require_entered()
        return await self.start.wait(timeout)

    async def wait_playout(self, timeout: float | None = None) -> Playout:  # noqa: ASYNC109
        """Wait until the turn has been played, or has ended otherwise.

        It resolves by what the platform says, by an interrupt, by the end of the session, and in
        any case some seconds after the paced end. What was sent wholly before a gap between
        connections resolves by the clock too: the platform's word may have been lost in the gap.

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

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise RuntimeError("a stream is one turn: make another one")
        await self.begin()
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


def _said(
    text: str | None, words: Sequence[tuple[str, float]] | None
) -> str | list[tuple[str, float]]:
    """Return what is said in a piece of sound, checked."""
    if words is None:
        return checked_text(text)
    if text is not None:
        raise ValueError("text and words say the same: give one of them")
    return checked_words(words)
