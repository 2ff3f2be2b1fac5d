"""An Akool platform to run against."""

from avatarwire.emulator.akool.faults import AkoolFaults, DiscoveryFault
from avatarwire.emulator.akool.platform import AkoolEmulator, AkoolInstance
from avatarwire.emulator.akool.session import AkoolSession

__all__ = ["AkoolEmulator", "AkoolFaults", "AkoolInstance", "AkoolSession", "DiscoveryFault"]
