"""How long the end of a connection may take, whatever the peer does."""

import asyncio

__all__ = ["CLOSE_TIMEOUT_S", "HANG_UP_S", "Closing"]

CLOSE_TIMEOUT_S = 2.0
"""How long a close waits for the peer before the connection is cut."""

HANG_UP_S = 0.05
"""How long a peer that has said goodbye may take to hang up before we do."""


class Closing:
    """Limits a close from its beginning, whether or not the close frame can leave.

    Args:
        transport: what is cut, or closed.
    """

    __slots__ = ("_hang_up_timer", "_limit_timer", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._limit_timer = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, transport.abort)
        self._hang_up_timer: asyncio.TimerHandle | None = None

    def expect_hang_up(self) -> None:
        """Hang up soon: our answer is written and nothing more comes, but the peer may wait."""
        if self._hang_up_timer is None:
            loop = asyncio.get_running_loop()
            self._hang_up_timer = loop.call_later(HANG_UP_S, self._transport.close)

    def stop(self) -> None:
        """Do nothing more: it has ended."""
        self._limit_timer.cancel()
        if self._hang_up_timer is not None:
            self._hang_up_timer.cancel()
