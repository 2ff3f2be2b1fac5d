"""An avatar for LiveKit Agents: it speaks with the agent's voice, and hears the user for it.

``attach`` wires an agent session to a session of any platform; the outputs and the input that it
sets are here too, for programs that set them by themselves.
"""

from avatarwire._frameworks import require_framework

require_framework("avatarwire.livekit", "livekit", "livekit-agents", "1.8.0", "2")

from livekit.agents.metrics.base import AvatarMetrics

from avatarwire.livekit.audio_input import AvatarAudioInput
from avatarwire.livekit.audio_output import AvatarAudioOutput
from avatarwire.livekit.text_output import AvatarTextOutput
from avatarwire.livekit.wiring import attach

__all__ = ["AvatarAudioInput", "AvatarAudioOutput", "AvatarMetrics", "AvatarTextOutput", "attach"]
