"""The Live Avatar Channel: agent, listener, configuration and the events between them."""

from typing import TYPE_CHECKING

from avatarwire._lazy import lazy_names

if TYPE_CHECKING:
    from avatarwire.liveavatar.agent import AvatarAgent
    from avatarwire.liveavatar.config import AvatarAgentConfig, SessionStartResult
    from avatarwire.liveavatar.events import ResourceTransitionData, ResponseStateEvent
    from avatarwire.liveavatar.external import ExternalAudioStream
    from avatarwire.liveavatar.listener import AgentListener
    from avatarwire.liveavatar.messages import EventType, MessageBuilder, SessionState
    from avatarwire.liveavatar.text_streams import PromptStream, ResponseStream
    from avatarwire.session.stats import AgentStats

__all__ = [
    "AgentListener",
    "AgentStats",
    "AvatarAgent",
    "AvatarAgentConfig",
    "EventType",
    "ExternalAudioStream",
    "MessageBuilder",
    "PromptStream",
    "ResourceTransitionData",
    "ResponseStateEvent",
    "ResponseStream",
    "SessionStartResult",
    "SessionState",
]

_HOMES = {
    "avatarwire.liveavatar.config": "AvatarAgentConfig SessionStartResult",
    "avatarwire.liveavatar.external": "ExternalAudioStream",
    "avatarwire.liveavatar.events": "ResourceTransitionData ResponseStateEvent",
    "avatarwire.liveavatar.listener": "AgentListener",
    "avatarwire.liveavatar.messages": "EventType MessageBuilder SessionState",
    "avatarwire.liveavatar.agent": "AvatarAgent",
    "avatarwire.session.stats": "AgentStats",
    "avatarwire.liveavatar.text_streams": "PromptStream ResponseStream",
}

if not TYPE_CHECKING:  # a type checker shall know a misspelt name
    __getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
