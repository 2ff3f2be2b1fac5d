# cython: freethreading_compatible=True
"""Fluent builders: a frame described step by step, and its message at the end.

Every step checks what it takes as the frame does, and returns the builder. A builder can go on
after ``build()``: what was set stays set.
"""

cimport cython

from avatarwire.codec._bits cimport SAMPLES_MAX, SEQ_MASK, TIMESTAMP_MASK
from avatarwire.codec._fields cimport fit, wrap
from avatarwire.codec.frames cimport AudioFrame
from avatarwire.codec.images cimport ImageFrame


@cython.final
@cython.freelist(16)
cdef class AudioFrameBuilder:
    """Builds audio messages (protocol section 5); all fields start at 0, the payload empty."""

    cdef AudioFrame frame

    def __cinit__(self):
        self.frame = AudioFrame.__new__(AudioFrame)

    def mono(self):
        """One channel."""
        self.frame.header.channel = 0
        return self

    def stereo(self):
        """Two channels, their samples interleaved."""
        self.frame.header.channel = 1
        return self

    def keyframe(self):
        """The first frame of a stream, or where an Opus decoder may start again."""
        self.frame.header.key = 1
        return self

    def seq(self, seq):
        """Set the frame counter: any integer, taken modulo 4,096."""
        self.frame.header.seq = wrap(seq, SEQ_MASK, "seq")
        return self

    def timestamp(self, ts):
        """Set the time in milliseconds: any integer, taken modulo 1,048,576."""
        self.frame.header.timestamp = wrap(ts, TIMESTAMP_MASK, "timestamp")
        return self

    def sample_rate_16k(self):
        """16 kHz."""
        self.frame.header.sample_rate = 0
        return self

    def sample_rate_24k(self):
        """24 kHz."""
        self.frame.header.sample_rate = 1
        return self

    def sample_rate_48k(self):
        """48 kHz."""
        self.frame.header.sample_rate = 2
        return self

    def samples(self, n):
        """Set the samples per channel.

        Raises:
            TypeError: ``n`` is no integer.
            ValueError: ``n`` is not from 0 to 4,095.
        """
        self.frame.header.samples = <int> fit(n, 0, SAMPLES_MAX, "samples")
        return self

    def pcm(self):
        """16-bit little-endian PCM."""
        self.frame.header.codec = 0
        return self

    def opus(self):
        """One Opus packet."""
        self.frame.header.codec = 1
        return self

    def payload(self, data):
        """Set the sound, from any contiguous buffer.

        Raises:
            TypeError: ``data`` is no buffer.
            ValueError: ``data`` has more than 65,535 bytes or is not contiguous.
        """
        self.frame.load(data)
        return self

    def build(self):
        """Return the message."""
        return self.frame.encode()


@cython.final
@cython.freelist(16)
cdef class ImageFrameBuilder:
    """Builds image messages (protocol section 6); a JPG of quality 85 unless told otherwise."""

    cdef ImageFrame frame

    def __cinit__(self):
        self.frame = ImageFrame()

    def jpg(self):
        """JPEG."""
        self.frame.header.format = 0
        return self

    def jpeg(self):
        """JPEG."""
        return self.jpg()

    def png(self):
        """PNG."""
        self.frame.header.format = 1
        return self

    def webp(self):
        """WebP."""
        self.frame.header.format = 2
        return self

    def gif(self):
        """GIF."""
        self.frame.header.format = 3
        return self

    def avif(self):
        """AVIF."""
        self.frame.header.format = 4
        return self

    def quality(self, q):
        """Set the encoder's quality.

        Raises:
            TypeError: ``q`` is no integer.
            ValueError: ``q`` is not from 0 to 255.
        """
        self.frame.header.quality = <int> fit(q, 0, 255, "quality")
        return self

    def image_id(self, id_):
        """Set the number that tells images apart.

        Raises:
            TypeError: ``id_`` is no integer.
            ValueError: ``id_`` is not from 0 to 65,535.
        """
        self.frame.header.image_id = <int> fit(id_, 0, 65535, "image_id")
        return self

    def size(self, width, height):
        """Set width and height in pixels; neither is set when one of them is refused.

        Raises:
            TypeError: One is no integer.
            ValueError: One is not from 0 to 65,535.
        """
        cdef int columns = <int> fit(width, 0, 65535, "width")
        cdef int rows = <int> fit(height, 0, 65535, "height")
        self.frame.header.width = columns
        self.frame.header.height = rows
        return self

    def payload(self, data):
        """Set the encoded image, from any contiguous buffer.

        Raises:
            TypeError: ``data`` is no buffer.
            ValueError: ``data`` has 4 GiB or more or is not contiguous.
        """
        self.frame.load(data)
        return self

    def build(self):
        """Return the message."""
        return self.frame.encode()
