"""RFC 6455 where bytes are: the header of a frame, the mask, and a reader; native, without I/O."""

from avatarwire.rfc6455.reader import MessageReader

__all__ = ["MessageReader"]
