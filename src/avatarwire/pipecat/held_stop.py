"""The end of the bot's speech, held back while more may come before it was heard."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pipecat.frames.frames import DataFrame, Frame, TTSStoppedFrame

from avatarwire._tasks import begin_later

__all__ = ["Behind", "HeldStop"]

#: So long before the end of the sound a turn is completed, unless more has come by then.
FINISH_EARLY_S = 0.15


@dataclass
class Behind(DataFrame):
    """A frame, or a mark, that is to stay behind the sound before it.

    Parameters:
        frame: what goes on from here; None: nothing does.
    """

    frame: Frame | None = None


class HeldStop:
    """Keeps a turn open as long as more may come without a gap.

    Args:
        queue: puts a frame behind the sound that has come.
        left_s: returns for how long what has been written is still heard, in seconds.
    """

    def __init__(
        self, queue: Callable[[Frame], Awaitable[None]], left_s: Callable[[], float]
    ) -> None:
        self._queue = queue
        self._left_s = left_s
        self._stop: TTSStoppedFrame | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._is_written = asyncio.Event()
        self._is_past = asyncio.Event()
        self._is_past.set()

    async def hold(self, stop: TTSStoppedFrame) -> None:
        """Pass an end on when it is about to be heard."""
        await self.go_on()
        self._stop = stop
        self._is_written.clear()
        await self._queue(Behind())
        self._stopping = begin_later(self._stop_when_heard(), name="avatarwire pipecat stop")

    def written(self) -> None:
        """Take note that the sound before a mark has been written."""
        self._is_written.set()

    async def go_on(self) -> None:
        """Have the turn go on: more sound has come."""
        if self._stopping is not None:
            stop = self._let_go()
            if stop is not None:
                await self._queue(Behind(frame=stop))
        await self._is_past.wait()

    async def now(self) -> None:
        """Pass on the end that is held back; what comes then belongs to the next turn."""
        stop = self._let_go()
        if stop is not None:
            self._is_past.clear()
            await self._queue(stop)

    def past(self) -> None:
        """Let the next turn begin: the end has been passed on, or there will be none."""
        self._is_past.set()

    def drop(self) -> None:
        """Forget an end that is held back."""
        self._let_go()
        self.past()

    def _let_go(self) -> TTSStoppedFrame | None:
        if self._stopping is not None:
            self._stopping.cancel()
            self._stopping = None
        stop, self._stop = self._stop, None
        return stop

    async def _stop_when_heard(self) -> None:
        await self._is_written.wait()
        left_s = self._left_s() - FINISH_EARLY_S
        while left_s > 0:
            await asyncio.sleep(left_s)
            left_s = self._left_s() - FINISH_EARLY_S
        self._stopping = None
        await self.now()
