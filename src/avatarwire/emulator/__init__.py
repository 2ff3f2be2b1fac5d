"""Local platforms to run against: real servers that behave as documented, with faults on demand."""

from avatarwire.errors import MissingExtraError

try:
    import aiohttp as _aiohttp  # noqa: F401
except ModuleNotFoundError as _exc:
    raise MissingExtraError("the emulator", "emulator") from _exc

from avatarwire.emulator.akool import (
    AkoolEmulator,
    AkoolFaults,
    AkoolInstance,
    AkoolSession,
    DiscoveryFault,
)
from avatarwire.emulator.liveavatar import (
    Faults,
    LiveAvatarEmulator,
    LiveSession,
    StartFault,
    Turn,
)
from avatarwire.emulator.slow_link import LinkFaults, Stall
from avatarwire.emulator.transcript import Entry

__all__ = [
    "AkoolEmulator",
    "AkoolFaults",
    "AkoolInstance",
    "AkoolSession",
    "DiscoveryFault",
    "Entry",
    "Faults",
    "LinkFaults",
    "LiveAvatarEmulator",
    "LiveSession",
    "Stall",
    "StartFault",
    "Turn",
]
