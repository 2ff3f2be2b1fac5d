"""The platforms that the command speaks to and runs: one module and one line each."""

from avatarwire.cli.platform import Platform
from avatarwire.cli.platforms import akool, liveavatar

__all__ = ["PLATFORMS"]

#: By the name that ``--platform`` and ``serve`` take; the first is the one of a command that names
#: none.
PLATFORMS: dict[str, Platform] = {
    "liveavatar": liveavatar.PLATFORM,
    "akool": akool.PLATFORM,
}
