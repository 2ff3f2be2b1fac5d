"""Sound as samples: formats and files. No event loop is needed for any of it."""

from avatarwire.audio.files import read, write_wav
from avatarwire.audio.formats import PcmFormat

__all__ = ["PcmFormat", "read", "write_wav"]
