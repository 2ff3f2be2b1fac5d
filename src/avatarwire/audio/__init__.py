"""Sound as samples: formats, files, levels, resampling, Opus. None of it needs an event loop.

What needs the ``audio`` extra loads it when used, and says so when it is missing.
"""

from avatarwire.audio.files import read, write_wav
from avatarwire.audio.formats import PcmFormat, pcm_view
from avatarwire.audio.opus import OpusDecoder
from avatarwire.audio.resample import Resampler
from avatarwire.codec import level

__all__ = ["OpusDecoder", "PcmFormat", "Resampler", "level", "pcm_view", "read", "write_wav"]
