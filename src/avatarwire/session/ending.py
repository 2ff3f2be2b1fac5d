"""The end of a session: told once to everyone whom it concerns."""

import asyncio
import logging
from typing import Generic, TypeVar

from avatarwire.errors import SessionLostError
from avatarwire.session.lifecycle import End, Lifecycle, State
from avatarwire.session.ports import Ports

__all__ = ["Ending"]

ABNORMAL_CLOSURE = 1006

ReceivedT = TypeVar("ReceivedT")


class Ending(Generic[ReceivedT]):
    """Tells the end to what is sent, to the parts, to the program and to who waits for it.

    What one of them raises is logged, and the others are told all the same.

    Args:
        ports: who is told.
        lifecycle: the rules.

    Attributes:
        backlog_lost_bytes: what had waited for a connection in vain, in this session.
    """

    __slots__ = (
        "_are_parts_over",
        "_closed",
        "_is_settled",
        "_lifecycle",
        "_ports",
        "backlog_lost_bytes",
    )

    def __init__(self, ports: Ports[ReceivedT], lifecycle: Lifecycle) -> None:
        self.backlog_lost_bytes: int = 0
        self._ports = ports
        self._lifecycle = lifecycle
        self._closed: asyncio.Future[None] | None = None  # while someone waits for it
        self._is_settled = True
        self._are_parts_over = True

    def begin(self) -> None:
        """Begin another session."""
        self.backlog_lost_bytes = 0
        self._closed = None
        self._is_settled = self._are_parts_over = False

    def refuse(self, lost: SessionLostError) -> None:
        """Refuse what is sent from now on, since ``lost``; the parts are told once."""
        outbox = self._ports.outbox
        dropped_bytes = outbox.refuse(lost, is_ours=self._lifecycle.is_ours)
        self.backlog_lost_bytes += dropped_bytes
        if dropped_bytes:
            words = "%d bytes waited for a connection in vain"
            self._ports.log(logging.WARNING, words, dropped_bytes)
        if self._are_parts_over:
            return
        self._are_parts_over = True
        for part in self._ports.parts:
            try:
                part.ended(lost)
            except Exception:
                self._ports.logger.exception("%s failed at the end", type(part).__name__)

    def tell(self, decision: End) -> None:
        """Tell the end, once."""
        if self._lifecycle.state is State.ENDED or self._is_settled:
            return
        end = self._lifecycle.ended(decision)
        self._ports.log(logging.INFO, "ended with close code %d", end.code)
        self.refuse(end.error)
        try:
            self._ports.reporter.closed(end)
        except Exception:
            self._ports.logger.exception("telling the end failed")
        self.settle()

    async def loop_ends(self) -> None:
        """Tell the end of a session whose event loop ends before it was stopped.

        The loop still waits for this, and so for the callbacks that hear of it; what begins later,
        such as another dial, it would never run.
        """
        self.tell(End(ABNORMAL_CLOSURE, "the event loop ended before stop() was called"))
        await self._ports.reporter.finish(set())

    def settle(self) -> None:
        """Let go of everyone who waits for the end."""
        self._is_settled = True
        closed, self._closed = self._closed, None
        if closed is not None:
            closed.set_result(None)

    def forget(self) -> None:
        """Forget a session whose event loop is gone: nobody waits there any more."""
        self._closed = None
        self._is_settled = self._are_parts_over = True
        lost = SessionLostError(reason="the event loop is gone")
        self._ports.outbox.refuse(lost, is_ours=True)

    async def wait(self) -> None:
        """Wait for the end; at once when there is no session."""
        if not self._is_settled:
            await asyncio.shield(self._closing())

    async def wait_or(self, future: asyncio.Future[None], timeout_s: float) -> None:
        """Wait for a future, but not longer than for the end, or than ``timeout_s`` seconds."""
        closed = [] if self._is_settled else [self._closing()]
        await asyncio.wait(
            [future, *closed], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )

    def _closing(self) -> asyncio.Future[None]:
        if self._closed is None:
            self._closed = asyncio.get_running_loop().create_future()
        return self._closed
