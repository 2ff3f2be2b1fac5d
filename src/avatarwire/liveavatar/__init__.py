"""The Live Avatar Channel: agent, listener, configuration and the events between them."""

from typing import TYPE_CHECKING

from avatarwire._lazy import lazy_names

if TYPE_CHECKING:
    from avatarwire.liveavatar.config import AvatarAgentConfig, SessionStartResult
    from avatarwire.liveavatar.listener import AgentListener
    from avatarwire.liveavatar.messages import EventType, MessageBuilder, SessionState
    from avatarwire.liveavatar.session import AvatarAgent
    from avatarwire.liveavatar.stats import AgentStats

__all__ = [
    "AgentListener",
    "AgentStats",
    "AvatarAgent",
    "AvatarAgentConfig",
    "EventType",
    "MessageBuilder",
    "SessionStartResult",
    "SessionState",
]

_HOMES = {
    "avatarwire.liveavatar.config": "AvatarAgentConfig SessionStartResult",
    "avatarwire.liveavatar.listener": "AgentListener",
    "avatarwire.liveavatar.messages": "EventType MessageBuilder SessionState",
    "avatarwire.liveavatar.session": "AvatarAgent",
    "avatarwire.liveavatar.stats": "AgentStats",
}

__getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
