"""An avatar for Pipecat: a transport whose output is the avatar's voice, and its input the user."""

from avatarwire._frameworks import require_framework

require_framework("avatarwire.pipecat", "pipecat", "pipecat-ai", "1.14.0", "2")

from avatarwire.pipecat.params import AvatarParams
from avatarwire.pipecat.transport import AvatarTransport

__all__ = ["AvatarParams", "AvatarTransport"]
