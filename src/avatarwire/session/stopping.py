"""The stop of a session, in the order that a platform needs."""

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from avatarwire._tasks import begin_later
from avatarwire.errors import SessionLostError
from avatarwire.session.dialling import Dialling
from avatarwire.session.ending import Ending
from avatarwire.session.lifecycle import End, Lifecycle, State
from avatarwire.session.ports import Ports
from avatarwire.session.tasks import keep
from avatarwire.transport import Link
from avatarwire.transport.turnstile import pass_turnstile

if TYPE_CHECKING:
    from avatarwire.session.callbacks import RunningCallback

__all__ = ["Stopping", "require_gone"]

NORMAL_CLOSURE = 1000
GOING_AWAY = 1001
#: How long stop() waits for the connection and the platform, whatever they do.
STOP_LIMIT_S = 2.5
#: What is left of it for the platform at the least.
MIN_RELEASE_S = 0.3

ReceivedT = TypeVar("ReceivedT")


def require_gone(loop: asyncio.AbstractEventLoop | None) -> None:
    """Raise RuntimeError unless the loop of a session is gone, which cannot be told of a stop."""
    if loop is None or not loop.is_closed():
        raise RuntimeError(
            "stop() was called from another event loop than start(): have it run there, by"
            " asyncio.run_coroutine_threadsafe() or an AvatarAgent's call_threadsafe()"
        )


class Stopping(Generic[ReceivedT]):
    """Stops one session in a task of its own, however many wait for it; it begins at once.

    Args:
        ports: by which words, and who is told.
        lifecycle: the rules.
        ending: tells the end.
        dialling: what is to be given up; None: nothing.
        link: the connection of now; None: there is none.
        leaves: another process goes on with the session, so the platform is not told of its end.

    Attributes:
        task: the work.
        callers: callbacks that wait for the stop, for which the stop does not wait.
        left_running: why the platform may still run the session; None: it does not.
    """

    __slots__ = (
        "_ending",
        "_leaves",
        "_lifecycle",
        "_ports",
        "callers",
        "left_running",
        "task",
    )

    def __init__(
        self,
        ports: Ports[ReceivedT],
        lifecycle: Lifecycle,
        ending: Ending[ReceivedT],
        dialling: Dialling[ReceivedT] | None,
        link: Link | None,
        leaves: bool,
    ) -> None:
        self._leaves = leaves
        self.callers: set[RunningCallback] = set()
        self.left_running: str | None = None
        self._ports = ports
        self._lifecycle = lifecycle
        self._ending = ending
        was_open = lifecycle.state is State.OPEN
        lifecycle.stop()
        ending.refuse(SessionLostError(NORMAL_CLOSURE, "stop() was called"))
        work = self._run(dialling, link, was_open=was_open)
        self.task: asyncio.Task[None] = keep(begin_later(work, name="avatarwire stop"))

    @property
    def is_under_way(self) -> bool:
        """Whether it still stops."""
        return not self.task.done()

    async def _run(
        self, dialling: Dialling[ReceivedT] | None, link: Link | None, *, was_open: bool
    ) -> None:
        try:
            await pass_turnstile()
            # From here on: the wait for a turn is ours, and none of the platform's time.
            deadline_s = asyncio.get_running_loop().time() + STOP_LIMIT_S
            was_given_up = dialling is not None and await dialling.give_up(STOP_LIMIT_S)
            if link is not None:
                await self._close(link, was_open=was_open)
            if link is not None or was_given_up:
                # Where there was no connection to tell it.
                self._ending.tell(End(NORMAL_CLOSURE, ""))
            await self._release(deadline_s)
            await self._ports.reporter.finish(self.callers)
        finally:
            self._ending.settle()
            self._lifecycle.stopped()

    async def _close(self, link: Link, *, was_open: bool) -> None:
        if self._leaves:
            await link.close(GOING_AWAY)  # 1000 would tell the platform that the session is over
            return
        # In this order: the platform drops what it has not read once it is told to stop.
        if was_open and self._lifecycle.state is State.CLOSING:
            connection, outbox = link.connection, self._ports.outbox

            def say(message: bytes) -> None:
                outbox.say(message, connection)

            await self._ports.dialect.goodbye(say)
        await link.close()

    async def _release(self, deadline_s: float) -> None:
        dialect = self._ports.dialect
        work = dialect.leave() if self._leaves else dialect.release()
        release = keep(begin_later(work, name="avatarwire release"))
        # A platform that takes its time is told in the background; ours is not to wait for it.
        limit_s = max(MIN_RELEASE_S, deadline_s - asyncio.get_running_loop().time())
        done, _ = await asyncio.wait([release], timeout=limit_s)
        if not done:
            self.left_running = "the platform has not answered yet"
        elif release.cancelled():
            self.left_running = "the event loop ended before the platform was told"
        elif release.exception() is not None:
            self.left_running = f"telling the platform failed: {release.exception()}"
            self._ports.logger.error("releasing failed", exc_info=release.exception())
        else:
            self.left_running = release.result()
