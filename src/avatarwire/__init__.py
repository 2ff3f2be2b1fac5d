"""Drive a live avatar from Python: speech, text and images over one WebSocket.

The names of the Live Avatar Channel and of the frame codec are here; nothing is imported until it
is used, so ``import avatarwire.codec`` loads neither asyncio nor an HTTP client.
"""

from typing import TYPE_CHECKING

from avatarwire._lazy import lazy_names
from avatarwire._version import __version__

if TYPE_CHECKING:
    from avatarwire.codec import (
        AudioFrame,
        AudioFrameBuilder,
        ExternalAudioFrame,
        FrameType,
        Gap,
        ImageFrame,
        ImageFrameBuilder,
        JitterBuffer,
        PcmFramer,
        client_message,
        frame_type,
        level,
    )
    from avatarwire.errors import (
        AlreadyStartedError,
        AudioFormatError,
        AvatarwireError,
        BacklogFullError,
        ConnectFailedError,
        HandshakeTimeoutError,
        MissingExtraError,
        NotConnectedError,
        RestError,
        SessionLost,
        SessionLostError,
        SettingError,
        SettingTypeError,
        UnsupportedVersionError,
    )
    from avatarwire.liveavatar.agent import AvatarAgent
    from avatarwire.liveavatar.config import AvatarAgentConfig, SessionStartResult
    from avatarwire.liveavatar.errors import (
        ErrorCode,
        PromptStreamStateError,
        ResponseStreamStateError,
        SessionStartError,
        UnusableAnswerError,
    )
    from avatarwire.liveavatar.events import ResourceTransitionData, ResponseStateEvent
    from avatarwire.liveavatar.listener import AgentListener
    from avatarwire.liveavatar.messages import EventType, MessageBuilder, SessionState
    from avatarwire.liveavatar.text_streams import PromptStream, ResponseStream
    from avatarwire.recording.recorder import Recorder
    from avatarwire.session.session import Session
    from avatarwire.session.stats import AgentStats
    from avatarwire.transport.backoff import ExponentialBackoffStrategy

__all__ = [
    "AgentListener",
    "AgentStats",
    "AlreadyStartedError",
    "AudioFormatError",
    "AudioFrame",
    "AudioFrameBuilder",
    "AvatarAgent",
    "AvatarAgentConfig",
    "AvatarwireError",
    "BacklogFullError",
    "ConnectFailedError",
    "ErrorCode",
    "EventType",
    "ExponentialBackoffStrategy",
    "ExternalAudioFrame",
    "FrameType",
    "Gap",
    "HandshakeTimeoutError",
    "ImageFrame",
    "ImageFrameBuilder",
    "JitterBuffer",
    "MessageBuilder",
    "MissingExtraError",
    "NotConnectedError",
    "PcmFramer",
    "PromptStream",
    "PromptStreamStateError",
    "Recorder",
    "ResourceTransitionData",
    "ResponseStateEvent",
    "ResponseStream",
    "ResponseStreamStateError",
    "RestError",
    "Session",
    "SessionLost",
    "SessionLostError",
    "SessionStartError",
    "SessionStartResult",
    "SessionState",
    "SettingError",
    "SettingTypeError",
    "UnsupportedVersionError",
    "UnusableAnswerError",
    "__version__",
    "client_message",
    "frame_type",
    "level",
]

_HOMES = {
    "avatarwire.codec": (
        "AudioFrame AudioFrameBuilder ExternalAudioFrame FrameType Gap ImageFrame ImageFrameBuilder"
        " JitterBuffer PcmFramer client_message frame_type level"
    ),
    "avatarwire.errors": (
        "AlreadyStartedError AudioFormatError AvatarwireError BacklogFullError ConnectFailedError"
        " HandshakeTimeoutError MissingExtraError NotConnectedError RestError SessionLost"
        " SessionLostError SettingError SettingTypeError UnsupportedVersionError"
    ),
    "avatarwire.liveavatar.config": "AvatarAgentConfig SessionStartResult",
    "avatarwire.liveavatar.errors": (
        "ErrorCode PromptStreamStateError ResponseStreamStateError SessionStartError"
        " UnusableAnswerError"
    ),
    "avatarwire.liveavatar.events": "ResourceTransitionData ResponseStateEvent",
    "avatarwire.liveavatar.listener": "AgentListener",
    "avatarwire.liveavatar.messages": "EventType MessageBuilder SessionState",
    "avatarwire.liveavatar.agent": "AvatarAgent",
    "avatarwire.recording.recorder": "Recorder",
    "avatarwire.session.session": "Session",
    "avatarwire.session.stats": "AgentStats",
    "avatarwire.liveavatar.text_streams": "PromptStream ResponseStream",
    "avatarwire.transport.backoff": "ExponentialBackoffStrategy",
}

if not TYPE_CHECKING:  # a type checker shall know a misspelt name
    __getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
