"""Bytes to frames and back: the native codec. It loads no network code."""

from avatarwire.codec.builders import AudioFrameBuilder, ImageFrameBuilder
from avatarwire.codec.external import ExternalAudioFrame
from avatarwire.codec.framer import PcmFramer
from avatarwire.codec.frames import AudioFrame, FrameType, frame_type
from avatarwire.codec.gaps import Gap
from avatarwire.codec.images import ImageFrame
from avatarwire.codec.jitter import JitterBuffer
from avatarwire.codec.levels import level
from avatarwire.codec.pcm import pcm_bytes, pcm_view
from avatarwire.codec.websocket import client_message

__all__ = [
    "AudioFrame",
    "AudioFrameBuilder",
    "ExternalAudioFrame",
    "FrameType",
    "Gap",
    "ImageFrame",
    "ImageFrameBuilder",
    "JitterBuffer",
    "PcmFramer",
    "client_message",
    "frame_type",
    "level",
    "pcm_bytes",
    "pcm_view",
]
