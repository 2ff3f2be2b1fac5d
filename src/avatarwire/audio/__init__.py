"""Sound as samples: formats, files, levels, resampling, Opus. None of it needs an event loop.

What needs the ``audio`` extra loads it when used, and says so when it is missing.
"""

from typing import TYPE_CHECKING

from avatarwire._lazy import lazy_names

if TYPE_CHECKING:
    from avatarwire.audio.contents import Beginning, kind_of_content
    from avatarwire.audio.files import read, write_wav
    from avatarwire.audio.formats import PcmFormat, whole_number
    from avatarwire.audio.opus import OpusDecoder
    from avatarwire.audio.resample import Resampler, converter_between
    from avatarwire.audio.sources import is_one_piece, pieces_of
    from avatarwire.audio.telephony import decode_alaw, decode_ulaw, encode_ulaw
    from avatarwire.codec import level, pcm_bytes, pcm_view

__all__ = [
    "Beginning",
    "OpusDecoder",
    "PcmFormat",
    "Resampler",
    "converter_between",
    "decode_alaw",
    "decode_ulaw",
    "encode_ulaw",
    "is_one_piece",
    "kind_of_content",
    "level",
    "pcm_bytes",
    "pcm_view",
    "pieces_of",
    "read",
    "whole_number",
    "write_wav",
]

_HOMES = {
    "avatarwire.audio.files": "read write_wav",
    "avatarwire.audio.contents": "Beginning kind_of_content",
    "avatarwire.audio.formats": "PcmFormat whole_number",
    "avatarwire.audio.opus": "OpusDecoder",
    "avatarwire.audio.resample": "Resampler converter_between",
    "avatarwire.audio.sources": "is_one_piece pieces_of",
    "avatarwire.audio.telephony": "decode_alaw decode_ulaw encode_ulaw",
    "avatarwire.codec": "level pcm_bytes pcm_view",
}

if not TYPE_CHECKING:  # a type checker shall know a misspelt name
    __getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
