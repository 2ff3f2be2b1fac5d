"""A turn of speech that obeys at once, also while the platform has not opened it yet."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from avatarwire._tasks import begin_later
from avatarwire.errors import AvatarwireError
from avatarwire.session.tasks import keep
from avatarwire.streaming import AudioStream, Playout, PlayoutReason

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Utterance"]

logger: logging.Logger = logging.getLogger("avatarwire.session")


class Utterance:
    """Speaks one turn for a framework whose calls to end, stop and pause it are not coroutines.

    A turn is opened when the one before it has been sent, and that may take as long as a
    connection is being restored. Until then its writers wait; whatever else is asked of it holds
    from the moment it is asked. It needs a running event loop.

    Args:
        stream: the turn, not entered.
        behind: what must have been sent before.
        ready: waited for before it is opened.
        is_paused: it is not opened before ``resume``.
    """

    __slots__ = (
        "_end",
        "_is_finished",
        "_is_open",
        "_opening",
        "_resumed",
        "_stream",
    )

    def __init__(
        self,
        stream: AudioStream,
        *,
        behind: "Utterance | None" = None,
        ready: Callable[[], Awaitable[object]] | None = None,
        is_paused: bool = False,
    ) -> None:
        self._stream = stream
        self._is_open = False
        self._is_finished = False
        self._end: PlayoutReason | None = None  # of a turn that was never opened
        self._resumed = asyncio.Event()
        if not is_paused:
            self._resumed.set()
        self._opening = keep(begin_later(self._open(behind, ready), name="avatarwire utterance"))

    @property
    def stream(self) -> AudioStream:
        """The turn."""
        return self._stream

    @property
    def is_over(self) -> bool:
        """Whether it is known what became of the turn."""
        return self._end is not None or self._stream.is_resolved

    def write(self, pcm: "Buffer", *, timeout: float | None = None) -> Coroutine[Any, Any, bool]:
        """Do what the stream's ``write`` does, once the turn is open.

        Args:
            pcm: as for the stream.
            timeout: seconds for the opening and the writing together; None: as long as it takes.

        Returns:
            What to await; False: the turn has ended.

        Raises:
            TimeoutError: the time is up; the sound may have been taken or not.
        """
        if self._is_open and timeout is None:  # nearly every time, and as cheap as the stream's
            return self._stream.write(pcm)
        return self._write_once_open(pcm, timeout)

    async def _write_once_open(self, pcm: "Buffer", timeout_s: float | None) -> bool:
        async with asyncio.timeout(timeout_s):
            if not self._is_open and self._end is None:
                await asyncio.wait([self._opening])
            return self._is_open and await self._stream.write(pcm)

    def finish(self) -> None:
        """Complete the turn with what has been written."""
        self._is_finished = True
        if self._is_open:
            self._stream.finish_nowait()

    def interrupt(self) -> None:
        """Stop it, and what is heard of it; one that has ended stays as it is."""
        if not self._is_open:
            self._give_up("interrupted")
            return
        try:
            self._stream.interrupt_nowait()
        except AvatarwireError as exc:  # a platform that has no interrupt; what is queued is gone
            logger.warning("%s", exc)

    def pause(self) -> None:
        """Stop playback, and keep what has not been heard."""
        self._resumed.clear()
        if self._is_open:
            self._stream.pause()

    def resume(self) -> None:
        """Go on with the first sample that has not been heard."""
        self._resumed.set()
        if self._is_open:
            self._stream.resume()

    async def wait_sent(self) -> None:
        """Wait until nothing more of it is to be sent."""
        await asyncio.wait([self._opening])
        if self._is_open:
            await self._stream.wait_sent()

    async def wait_playout(self) -> Playout:
        """Wait until the turn has been played, or has ended otherwise."""
        await asyncio.wait([self._opening])
        if self._is_open:
            return await self._stream.wait_playout()
        return Playout(self._end or "failed", 0.0, 0.0, 0.0, 0.0)

    async def _open(
        self, behind: "Utterance | None", ready: Callable[[], Awaitable[object]] | None
    ) -> None:
        try:
            if behind is not None:
                await behind.wait_sent()
            if ready is not None:
                await ready()
            await self._resumed.wait()
            await self._stream.__aenter__()
        except asyncio.CancelledError:
            if self._end is None:  # the event loop ends
                self._end = "lost"
                raise
            return
        except (ConnectionError, RuntimeError) as exc:
            self._end = "lost" if isinstance(exc, ConnectionError) else "failed"
            logger.warning("turn %s could not be begun: %s", self._stream.response_id, exc)
            return
        self._is_open = True
        if not self._resumed.is_set():
            self._stream.pause()
        if self._is_finished:
            self._stream.finish_nowait()

    def _give_up(self, reason: PlayoutReason) -> None:
        if self._end is None:
            self._end = reason
            self._opening.cancel()
