"""Sound as samples: formats and files. No event loop is needed for any of it."""

from avatarwire.audio.files import read, write_wav
from avatarwire.audio.formats import PcmFormat, pcm_view

__all__ = ["PcmFormat", "pcm_view", "read", "write_wav"]
