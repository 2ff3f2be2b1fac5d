"""What the faults do to each message of one connection."""

import asyncio
from typing import Literal, TypeAlias

from avatarwire.emulator.liveavatar.faults import Faults
from avatarwire.liveavatar.messages import decode

__all__ = ["Fault", "MessageFaults"]

Fault: TypeAlias = Literal["cut", "close", "stop reading"]


class MessageFaults:
    """Counts the messages of one connection and says what goes wrong with each.

    Args:
        faults: what goes wrong; looked at anew for every message.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._received = 0
        self._frames = 0
        self._sent = 0
        self._held_back: str | bytes | None = None

    def after_receiving(self, message: str | bytes) -> Fault | None:
        """Return what the platform does now that ``message`` has arrived."""
        self._received += 1
        if isinstance(message, bytes):
            self._frames += 1
            if self._frames == self._faults.cut_after_frames:
                return "cut"
        if self._received == self._faults.close_after_messages:
            return "close"
        stops_after = self._faults.stop_reading_after
        if stops_after is not None and self._received >= stops_after:
            return "stop reading"
        return None

    async def delay(self, posted_s: float) -> None:
        """Wait until what was posted then, in the loop's time, is to leave."""
        if self._faults.delay_s:
            now_s = asyncio.get_running_loop().time()
            await asyncio.sleep(posted_s + self._faults.delay_s - now_s)

    def in_place_of(self, message: str | bytes) -> list[str | bytes]:
        """Return what is sent in place of ``message``."""
        faults = self._faults
        if isinstance(message, str) and faults.withhold and _name(message) in faults.withhold:
            return []
        self._sent += 1
        if self._is_turn_of(faults.garble_every):
            message = message[: len(message) // 2]
        sent = [message, message] if self._is_turn_of(faults.duplicate_every) else [message]
        if self._held_back is not None:
            sent.append(self._held_back)
            self._held_back = None
        elif self._is_turn_of(faults.reorder_every):
            self._held_back = sent.pop()
        return sent

    def _is_turn_of(self, every: int | None) -> bool:
        return every is not None and self._sent % every == 0


def _name(message: str) -> str | None:
    try:
        name: str = decode(message)["event"]
    except ValueError:
        return None
    return name
