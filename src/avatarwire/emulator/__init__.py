"""Local platforms to run against: real servers that behave as documented, with faults on demand."""

from avatarwire.errors import MissingExtraError

try:
    import aiohttp as _aiohttp  # noqa: F401
except ModuleNotFoundError as _exc:
    raise MissingExtraError("the emulator", "emulator") from _exc

from avatarwire.emulator.akool import AkoolEmulator, AkoolInstance
from avatarwire.emulator.akool_session import AkoolSession
from avatarwire.emulator.faults import AkoolFaults, DiscoveryFault, Faults, StartFault
from avatarwire.emulator.live import LiveAvatarEmulator
from avatarwire.emulator.playback import Turn
from avatarwire.emulator.session import LiveSession
from avatarwire.emulator.transcript import Entry

__all__ = [
    "AkoolEmulator",
    "AkoolFaults",
    "AkoolInstance",
    "AkoolSession",
    "DiscoveryFault",
    "Entry",
    "Faults",
    "LiveAvatarEmulator",
    "LiveSession",
    "StartFault",
    "Turn",
]
