"""A Live Avatar platform to run against."""

from avatarwire.emulator.liveavatar.faults import Faults, StartFault
from avatarwire.emulator.liveavatar.platform import LiveAvatarEmulator
from avatarwire.emulator.liveavatar.player import Turn
from avatarwire.emulator.liveavatar.session import LiveSession

__all__ = ["Faults", "LiveAvatarEmulator", "LiveSession", "StartFault", "Turn"]
