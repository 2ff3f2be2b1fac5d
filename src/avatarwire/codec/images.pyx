# cython: freethreading_compatible=True
"""Image frames. Like audio frames they are plain values, and unhashable."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from avatarwire.codec._bits cimport (
    IMAGE_HEADER,
    IMAGE_TYPE,
    length32_max,
    pack_image,
    unpack_image,
)
from avatarwire.codec._borrow cimport Loan, as_bytes, borrow, give_back
from avatarwire.codec._fields cimport fit
from avatarwire.codec._payload cimport check_length, check_size, cut, keep, same, view


@cython.final
@cython.freelist(16)
cdef class ImageFrame:
    """One image message: a 12-byte header and the encoded image (protocol section 6).

    Args:
        format: 0 JPG, 1 PNG, 2 WebP, 3 GIF, 4 AVIF; 5 to 15 are undefined.
        quality: 0 to 255.
        image_id: Tells images apart, 0 to 65,535.
        width: Pixels, 0 to 65,535.
        height: Pixels, 0 to 65,535.
        payload: The encoded image, in any contiguous buffer, under 4 GiB; copied unless it is
            bytes.

    Raises:
        TypeError: A field is no integer, or the payload no buffer.
        ValueError: A field is out of its range, or the payload is too long. Assigning a field
            raises the same.
    """

    __match_args__ = ("format", "quality", "image_id", "width", "height", "payload")

    def __cinit__(self):
        self.source = b""

    def __init__(self, format=0, quality=85, image_id=0, width=0, height=0, payload=b""):
        self.header.format = <int> fit(format, 0, 15, "format")
        self.header.quality = <int> fit(quality, 0, 255, "quality")
        self.header.image_id = <int> fit(image_id, 0, 65535, "image_id")
        self.header.width = <int> fit(width, 0, 65535, "width")
        self.header.height = <int> fit(height, 0, 65535, "height")
        self.load(payload)

    @property
    def format(self):
        """0 JPG, 1 PNG, 2 WebP, 3 GIF, 4 AVIF; 5 to 15 are undefined."""
        return self.header.format

    @format.setter
    def format(self, value):
        self.header.format = <int> fit(value, 0, 15, "format")

    @property
    def quality(self):
        """0 to 255."""
        return self.header.quality

    @quality.setter
    def quality(self, value):
        self.header.quality = <int> fit(value, 0, 255, "quality")

    @property
    def image_id(self):
        """Tells images apart, 0 to 65,535."""
        return self.header.image_id

    @image_id.setter
    def image_id(self, value):
        self.header.image_id = <int> fit(value, 0, 65535, "image_id")

    @property
    def width(self):
        """Pixels, 0 to 65,535."""
        return self.header.width

    @width.setter
    def width(self, value):
        self.header.width = <int> fit(value, 0, 65535, "width")

    @property
    def height(self):
        """Pixels, 0 to 65,535."""
        return self.header.height

    @height.setter
    def height(self, value):
        self.header.height = <int> fit(value, 0, 65535, "height")

    @property
    def payload(self):
        """The image as bytes; a frame unpacked from bytes copies it out on first use."""
        with cython.critical_section(self):
            if self.start:
                self.source = cut(self.source, self.start, self.header.length)
                self.start = 0
            return self.source

    @payload.setter
    def payload(self, value):
        self.load(value)

    @property
    def payload_view(self):
        """The image as a read-only memoryview, never copied."""
        with cython.critical_section(self):
            return view(self.source, self.start, self.header.length)

    cdef int load(self, object payload) except -1:
        cdef bytes source = as_bytes(payload)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(source)
        if length > length32_max():
            raise ValueError(
                f"payload has {length} bytes and an image frame takes {length32_max()}"
            )
        with cython.critical_section(self):
            self.source = source
            self.start = 0
            self.header.length = length
        return 0

    cdef bytes encode(self):
        cdef bytes message
        cdef unsigned char* p
        with cython.critical_section(self):
            message = PyBytes_FromStringAndSize(NULL, IMAGE_HEADER + self.header.length)
            p = <unsigned char*> PyBytes_AS_STRING(message)
            pack_image(p, &self.header)
            memcpy(
                p + IMAGE_HEADER, PyBytes_AS_STRING(self.source) + self.start, self.header.length
            )
        return message

    def pack(self):
        """Return the message: header and payload. The version is 0."""
        return self.encode()

    @classmethod
    def unpack(cls, data):
        """Read a message.

        Undefined formats and versions are accepted, bytes after the payload are ignored.

        Args:
            data: The message, in any contiguous buffer. Bytes are kept, not copied; from any
                other buffer the payload is copied at once.

        Raises:
            TypeError: ``data`` is no buffer.
            ValueError: ``data`` is shorter than a header, no image frame, or has less payload
                than its header says; or it is not contiguous.
        """
        cdef Loan loan
        cdef ImageFrame frame
        borrow(data, &loan)
        try:
            check_size(&loan, IMAGE_HEADER, "Image frame")
            if loan.data[0] >> 6 != IMAGE_TYPE:
                raise ValueError(f"Not an image frame: the type bits are {loan.data[0] >> 6:02b}")
            frame = ImageFrame.__new__(ImageFrame)
            unpack_image(loan.data, &frame.header)
            check_length(&loan, IMAGE_HEADER, frame.header.length, "Image frame")
            frame.source = keep(data, &loan, IMAGE_HEADER, frame.header.length, &frame.start)
        finally:
            give_back(&loan)
        return frame

    def __eq__(self, other):
        cdef ImageFrame that
        if not isinstance(other, ImageFrame):
            return NotImplemented
        that = <ImageFrame> other
        with cython.critical_section(self, that):
            return (
                self.header.format == that.header.format
                and self.header.quality == that.header.quality
                and self.header.image_id == that.header.image_id
                and self.header.width == that.header.width
                and self.header.height == that.header.height
                and self.header.length == that.header.length
                and same(self.source, self.start, that.source, that.start, self.header.length)
            )

    def __repr__(self):
        return (
            f"ImageFrame(format={self.format}, quality={self.quality}, "
            f"image_id={self.image_id}, width={self.width}, height={self.height}, "
            f"payload=<{self.header.length} bytes>)"
        )

    def __reduce__(self):
        return ImageFrame, (
            self.format, self.quality, self.image_id, self.width, self.height, self.payload,
        )
