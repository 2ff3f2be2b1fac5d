# cython: freethreading_compatible=True
"""External audio: accompaniment that plays beside the avatar's voice."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from avatarwire.codec._bits cimport (
    EXTERNAL_HEADER,
    ExternalHeader,
    is_external,
    length32_max,
    pack_external,
    unpack_external,
)
from avatarwire.codec._borrow cimport Loan, borrow, give_back
from avatarwire.codec._fields cimport fit, fit_unsigned
from avatarwire.codec._payload cimport check_length, check_size, cut, keep, same, view
from avatarwire.codec._pcm cimport as_pcm

cdef long long _INT64_MAX = 0x7FFFFFFFFFFFFFFF
cdef long long _INT64_MIN = -_INT64_MAX - 1


cdef int _check_pcm(Py_ssize_t length) except -1:
    if length == 0 or length & 1:
        raise ValueError(
            f"payload has {length} bytes: external audio is whole 16-bit samples, at least one"
        )
    return 0


@cython.final
@cython.freelist(16)
cdef class ExternalAudioFrame:
    """One message of accompaniment, played but not lip-synced (protocol section 7).

    Args:
        sequence: Counts the messages of a session, from 1 to 2**64 - 1.
        timestamp_us: Microseconds, a signed 64-bit integer; 0 lets the platform choose.
        payload: 16-bit little-endian PCM in any contiguous buffer: whole samples, at least one,
            under 4 GiB; copied unless it is bytes.

    Raises:
        TypeError: A field is no integer, or the payload no buffer of bytes or 16-bit integers.
        ValueError: A field is out of its range, or the payload is not whole samples. Assigning
            a field raises the same.
    """

    __match_args__ = ("sequence", "timestamp_us", "payload")

    cdef ExternalHeader header
    cdef bytes source
    cdef Py_ssize_t start

    def __cinit__(self):
        self.source = b""

    def __init__(self, sequence, timestamp_us, payload):
        self.header.sequence = fit_unsigned(sequence, 1, "sequence")
        self.header.timestamp_us = fit(timestamp_us, _INT64_MIN, _INT64_MAX, "timestamp_us")
        self.load(payload)

    @property
    def sequence(self):
        """Counts the messages of a session, from 1."""
        return self.header.sequence

    @sequence.setter
    def sequence(self, value):
        self.header.sequence = fit_unsigned(value, 1, "sequence")

    @property
    def timestamp_us(self):
        """Microseconds; 0 lets the platform choose."""
        return self.header.timestamp_us

    @timestamp_us.setter
    def timestamp_us(self, value):
        self.header.timestamp_us = fit(value, _INT64_MIN, _INT64_MAX, "timestamp_us")

    @property
    def payload(self):
        """The PCM as bytes; a frame unpacked from bytes copies it out on first use."""
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
        """The PCM as a read-only memoryview, never copied."""
        with cython.critical_section(self):
            return view(self.source, self.start, self.header.length)

    cdef int load(self, object payload) except -1:
        cdef bytes source = as_pcm(payload)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(source)
        _check_pcm(length)
        if length > length32_max():
            raise ValueError(
                f"payload has {length} bytes and an external audio frame takes {length32_max()}"
            )
        with cython.critical_section(self):
            self.source = source
            self.start = 0
            self.header.length = length
        return 0

    def pack(self):
        """Return the message: header and payload."""
        cdef bytes message
        cdef unsigned char* p
        with cython.critical_section(self):
            message = PyBytes_FromStringAndSize(NULL, EXTERNAL_HEADER + self.header.length)
            p = <unsigned char*> PyBytes_AS_STRING(message)
            pack_external(p, &self.header)
            memcpy(
                p + EXTERNAL_HEADER,
                PyBytes_AS_STRING(self.source) + self.start,
                self.header.length,
            )
        return message

    @classmethod
    def unpack(cls, data):
        """Read a message. Bytes after the payload are ignored.

        Args:
            data: The message, in any contiguous buffer. Bytes are kept, not copied; from any
                other buffer the payload is copied at once.

        Raises:
            TypeError: ``data`` is no buffer.
            ValueError: ``data`` is shorter than a header, is no external audio of version 1, has
                less payload than its header says, or a sequence or payload that no frame may
                have; or it is not contiguous.
        """
        cdef Loan loan
        cdef ExternalAudioFrame frame
        borrow(data, &loan)
        try:
            check_size(&loan, EXTERNAL_HEADER, "External audio frame")
            if not is_external(loan.data):
                raise ValueError("Not an external audio frame: it does not start with EXAU and 1")
            frame = ExternalAudioFrame.__new__(ExternalAudioFrame)
            unpack_external(loan.data, &frame.header)
            check_length(&loan, EXTERNAL_HEADER, frame.header.length, "External audio frame")
            fit_unsigned(frame.header.sequence, 1, "sequence")
            _check_pcm(frame.header.length)
            frame.source = keep(data, &loan, EXTERNAL_HEADER, frame.header.length, &frame.start)
        finally:
            give_back(&loan)
        return frame

    def __eq__(self, other):
        cdef ExternalAudioFrame that
        if not isinstance(other, ExternalAudioFrame):
            return NotImplemented
        that = <ExternalAudioFrame> other
        with cython.critical_section(self, that):
            return (
                self.header.sequence == that.header.sequence
                and self.header.timestamp_us == that.header.timestamp_us
                and self.header.length == that.header.length
                and same(self.source, self.start, that.source, that.start, self.header.length)
            )

    def __repr__(self):
        return (
            f"ExternalAudioFrame(sequence={self.sequence}, timestamp_us={self.timestamp_us}, "
            f"payload=<{self.header.length} bytes>)"
        )

    def __reduce__(self):
        return ExternalAudioFrame, (self.sequence, self.timestamp_us, self.payload)
