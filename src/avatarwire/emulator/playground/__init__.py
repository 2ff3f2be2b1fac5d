"""A page that shows a platform's sessions, and lets whoever looks at it be their user."""

from avatarwire.emulator.playground.agents import Agents
from avatarwire.emulator.playground.controls import Controls, Deed, link_deeds
from avatarwire.emulator.playground.playground import Playground

__all__ = ["Agents", "Controls", "Deed", "Playground", "link_deeds"]
