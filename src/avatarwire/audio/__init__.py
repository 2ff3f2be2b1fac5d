"""Sound as samples: formats, files, levels, resampling, Opus. None of it needs an event loop.

What needs the ``audio`` extra loads it when used, and says so when it is missing.
"""

from typing import TYPE_CHECKING

from avatarwire._lazy import lazy_names

if TYPE_CHECKING:
    from avatarwire.audio.files import read, write_wav
    from avatarwire.audio.formats import FRAME_RATES, PcmFormat, pcm_view
    from avatarwire.audio.opus import OpusDecoder
    from avatarwire.audio.resample import Resampler, converter_between
    from avatarwire.codec import level

__all__ = [
    "FRAME_RATES",
    "OpusDecoder",
    "PcmFormat",
    "Resampler",
    "converter_between",
    "level",
    "pcm_view",
    "read",
    "write_wav",
]

_HOMES = {
    "avatarwire.audio.files": "read write_wav",
    "avatarwire.audio.formats": "FRAME_RATES PcmFormat pcm_view",
    "avatarwire.audio.opus": "OpusDecoder",
    "avatarwire.audio.resample": "Resampler converter_between",
    "avatarwire.codec": "level",
}

if not TYPE_CHECKING:  # a type checker shall know a misspelt name
    __getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
