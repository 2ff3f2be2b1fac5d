"""Sound as samples: formats, files and levels. No event loop is needed for any of it."""

from avatarwire.audio.files import read, write_wav
from avatarwire.audio.formats import PcmFormat, pcm_view
from avatarwire.codec import level

__all__ = ["PcmFormat", "level", "pcm_view", "read", "write_wav"]
