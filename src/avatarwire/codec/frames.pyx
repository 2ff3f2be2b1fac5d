# cython: freethreading_compatible=True
"""Audio frames, and how to tell the binary messages of a session apart.

Frames are plain values: they compare, print, copy and pickle by their fields, and are unhashable
because the fields can be assigned.
"""

from enum import IntEnum

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE
from libc.string cimport memcpy

from avatarwire.codec._bits cimport (
    AUDIO_HEADER,
    AUDIO_PAYLOAD_MAX,
    AUDIO_TYPE,
    EXTERNAL_HEADER,
    IMAGE_TYPE,
    SAMPLES_MAX,
    SEQ_MASK,
    TIMESTAMP_MASK,
    ExternalHeader,
    is_external,
    pack_audio,
    unpack_audio,
    unpack_external,
)
from avatarwire.codec._borrow cimport Loan, borrow, give_back
from avatarwire.codec._fields cimport fit, wrap
from avatarwire.codec._masks cimport draw
from avatarwire.codec._payload cimport check_length, check_size, cut, keep, same, view
from avatarwire.codec._pcm cimport as_pcm
from avatarwire.rfc6455._layout cimport (
    KEY_SIZE,
    OPCODE_BINARY,
    client_header_size,
    mask_copy,
    put_client_header,
)


class FrameType(IntEnum):
    """What a binary message carries (protocol sections 5 to 7).

    ``AUDIO`` and ``IMAGE`` are the type bits of their headers. External audio has no type bits;
    it is recognised by its signature.
    """

    AUDIO = 1
    IMAGE = 2
    EXTERNAL = 4


cdef enum:
    # Beside the type bits, of which there are two.
    EXTERNAL_TYPE = 4

cdef object _AUDIO = FrameType.AUDIO
cdef object _IMAGE = FrameType.IMAGE
cdef object _EXTERNAL = FrameType.EXTERNAL


def frame_type(data):
    """Say what a binary message is, without unpacking it.

    External audio is told by its signature and its exact length, and tested first: its first
    bytes also read as an audio header. Otherwise the type bits of the first byte decide, so a
    message that is cut short still has a type; ``unpack`` says what is wrong with it.

    Args:
        data: The message, in any contiguous buffer.

    Returns:
        The type, or None for an empty message or undefined type bits.

    Raises:
        TypeError: ``data`` is no buffer.
        ValueError: ``data`` is not contiguous.
    """
    cdef Loan loan
    cdef int kind
    borrow(data, &loan)
    try:
        kind = kind_of(loan.data, loan.size)
    finally:
        give_back(&loan)
    if kind == AUDIO_TYPE:
        return _AUDIO
    if kind == EXTERNAL_TYPE:
        return _EXTERNAL
    return _IMAGE if kind == IMAGE_TYPE else None


def audio_frames(list messages not None, Py_ssize_t start, Py_ssize_t most):
    """Read the audio frames that follow one another in a list of messages.

    Args:
        messages: The messages, text or bytes.
        start: The index of the first to read.
        most: How many to read at the most.

    Returns:
        Frames, as ``AudioFrame.unpack`` reads them, up to the first message that is no whole audio
        frame.

    Raises:
        ValueError: ``start`` or ``most`` is negative.
    """
    cdef list frames = []
    cdef object message
    cdef const unsigned char* data
    cdef Py_ssize_t size, index
    cdef AudioFrame frame
    if start < 0 or most < 0:
        raise ValueError(f"start and most must not be negative, not {start} and {most}")
    for index in range(start, start + min(most, PyList_GET_SIZE(messages) - start)):
        message = messages[index]
        if not isinstance(message, bytes):
            break
        data = <const unsigned char*> PyBytes_AS_STRING(message)
        size = PyBytes_GET_SIZE(message)
        if size < AUDIO_HEADER or kind_of(data, size) != AUDIO_TYPE:
            break
        frame = AudioFrame.__new__(AudioFrame)
        unpack_audio(data, &frame.header)
        if size - AUDIO_HEADER < frame.header.length:
            break
        frame.source = <bytes> message
        frame.start = AUDIO_HEADER
        frames.append(frame)
    return frames


cdef int kind_of(const unsigned char* data, Py_ssize_t size) noexcept:
    cdef ExternalHeader external
    if size >= EXTERNAL_HEADER and is_external(data):
        unpack_external(data, &external)
        if size == EXTERNAL_HEADER + external.length:
            return EXTERNAL_TYPE
    return data[0] >> 6 if size else 0


@cython.final
@cython.freelist(64)
cdef class AudioFrame:
    """One audio message: a 9-byte header and up to 65,535 bytes of payload (protocol section 5).

    Args:
        channel: 0 for mono, 1 for stereo.
        key: 1 on the first frame of a stream and where an Opus decoder may start again.
        seq: Counts frames; any integer, taken modulo 4,096.
        timestamp: Milliseconds; any integer, taken modulo 1,048,576.
        sample_rate: 0 for 16 kHz, 1 for 24 kHz, 2 for 48 kHz; 3 is undefined.
        samples: Samples per channel, 0 to 4,095.
        codec: 0 for 16-bit little-endian PCM, 1 for Opus; 2 and 3 are undefined.
        payload: The sound, in any contiguous buffer; copied unless it is bytes.

    Raises:
        TypeError: A field is no integer, or the payload no buffer of bytes or 16-bit integers.
        ValueError: A field other than ``seq`` and ``timestamp`` is out of its range, or the
            payload is too long. Assigning a field raises the same.
    """

    __match_args__ = (
        "channel", "key", "seq", "timestamp", "sample_rate", "samples", "codec", "payload",
    )

    def __cinit__(self):
        self.source = b""

    def __init__(
        self,
        channel=0,
        key=0,
        seq=0,
        timestamp=0,
        sample_rate=0,
        samples=0,
        codec=0,
        payload=b"",
    ):
        self.header.channel = <int> fit(channel, 0, 1, "channel")
        self.header.key = <int> fit(key, 0, 1, "key")
        self.header.seq = wrap(seq, SEQ_MASK, "seq")
        self.header.timestamp = wrap(timestamp, TIMESTAMP_MASK, "timestamp")
        self.header.sample_rate = <int> fit(sample_rate, 0, 3, "sample_rate")
        self.header.samples = <int> fit(samples, 0, SAMPLES_MAX, "samples")
        self.header.codec = <int> fit(codec, 0, 3, "codec")
        self.load(payload)

    @property
    def channel(self):
        """0 for mono, 1 for stereo."""
        return self.header.channel

    @channel.setter
    def channel(self, value):
        self.header.channel = <int> fit(value, 0, 1, "channel")

    @property
    def key(self):
        """1 on the first frame of a stream and where an Opus decoder may start again."""
        return self.header.key

    @key.setter
    def key(self, value):
        self.header.key = <int> fit(value, 0, 1, "key")

    @property
    def seq(self):
        """Frame counter, 0 to 4,095; any integer is taken modulo 4,096."""
        return self.header.seq

    @seq.setter
    def seq(self, value):
        self.header.seq = wrap(value, SEQ_MASK, "seq")

    @property
    def timestamp(self):
        """Milliseconds, 0 to 1,048,575; any integer is taken modulo 1,048,576."""
        return self.header.timestamp

    @timestamp.setter
    def timestamp(self, value):
        self.header.timestamp = wrap(value, TIMESTAMP_MASK, "timestamp")

    @property
    def sample_rate(self):
        """0 for 16 kHz, 1 for 24 kHz, 2 for 48 kHz; 3 is undefined."""
        return self.header.sample_rate

    @sample_rate.setter
    def sample_rate(self, value):
        self.header.sample_rate = <int> fit(value, 0, 3, "sample_rate")

    @property
    def samples(self):
        """Samples per channel, 0 to 4,095."""
        return self.header.samples

    @samples.setter
    def samples(self, value):
        self.header.samples = <int> fit(value, 0, SAMPLES_MAX, "samples")

    @property
    def codec(self):
        """0 for 16-bit little-endian PCM, 1 for Opus; 2 and 3 are undefined."""
        return self.header.codec

    @codec.setter
    def codec(self, value):
        self.header.codec = <int> fit(value, 0, 3, "codec")

    @property
    def payload(self):
        """The sound as bytes; a frame unpacked from bytes copies it out on first use."""
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
        """The sound as a read-only memoryview, never copied."""
        with cython.critical_section(self):
            return view(self.source, self.start, self.header.length)

    cdef int load(self, object payload) except -1:
        cdef bytes source = as_pcm(payload)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(source)
        if length > AUDIO_PAYLOAD_MAX:
            raise ValueError(
                f"payload has {length} bytes and an audio frame takes {AUDIO_PAYLOAD_MAX}: "
                "cut PCM into frames with PcmFramer"
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
            message = PyBytes_FromStringAndSize(NULL, AUDIO_HEADER + self.header.length)
            p = <unsigned char*> PyBytes_AS_STRING(message)
            pack_audio(p, &self.header)
            memcpy(
                p + AUDIO_HEADER, PyBytes_AS_STRING(self.source) + self.start, self.header.length
            )
        return message

    def pack(self):
        """Return the message: header and payload. Reserved bits are 0."""
        return self.encode()

    def websocket(self):
        """Return the message as a WebSocket client sends it: framed and masked, for one write."""
        cdef bytes wire
        cdef unsigned char key[KEY_SIZE]
        cdef unsigned char head[AUDIO_HEADER]
        cdef unsigned char* p
        cdef Py_ssize_t size
        draw(key, KEY_SIZE)
        with cython.critical_section(self):
            size = AUDIO_HEADER + self.header.length
            wire = PyBytes_FromStringAndSize(NULL, client_header_size(size) + size)
            p = <unsigned char*> PyBytes_AS_STRING(wire)
            p = put_client_header(p, OPCODE_BINARY, size, key)
            pack_audio(head, &self.header)
            mask_copy(p, head, AUDIO_HEADER, key, 0)
            mask_copy(
                p + AUDIO_HEADER,
                <unsigned char*> PyBytes_AS_STRING(self.source) + self.start,
                self.header.length,
                key,
                AUDIO_HEADER,
            )
        return wire

    @classmethod
    def unpack(cls, data):
        """Read a message.

        Undefined values and reserved bits are accepted, bytes after the payload are ignored.

        Args:
            data: The message, in any contiguous buffer. Bytes are kept, not copied; from any
                other buffer the payload is copied at once.

        Raises:
            TypeError: ``data`` is no buffer.
            ValueError: ``data`` is shorter than a header, no audio frame, or has less payload
                than its header says; or it is not contiguous.
        """
        cdef Loan loan
        cdef AudioFrame frame
        borrow(data, &loan)
        try:
            check_size(&loan, AUDIO_HEADER, "Audio frame")
            if loan.data[0] >> 6 != AUDIO_TYPE:
                raise ValueError(f"Not an audio frame: the type bits are {loan.data[0] >> 6:02b}")
            frame = AudioFrame.__new__(AudioFrame)
            unpack_audio(loan.data, &frame.header)
            check_length(&loan, AUDIO_HEADER, frame.header.length, "Audio frame")
            frame.source = keep(data, &loan, AUDIO_HEADER, frame.header.length, &frame.start)
        finally:
            give_back(&loan)
        return frame

    def __eq__(self, other):
        cdef AudioFrame that
        if not isinstance(other, AudioFrame):
            return NotImplemented
        that = <AudioFrame> other
        with cython.critical_section(self, that):
            return (
                self.header.channel == that.header.channel
                and self.header.key == that.header.key
                and self.header.seq == that.header.seq
                and self.header.timestamp == that.header.timestamp
                and self.header.sample_rate == that.header.sample_rate
                and self.header.samples == that.header.samples
                and self.header.codec == that.header.codec
                and self.header.length == that.header.length
                and same(self.source, self.start, that.source, that.start, self.header.length)
            )

    def __repr__(self):
        # The payload is somebody's voice and long: only its size is shown.
        return (
            f"AudioFrame(channel={self.channel}, key={self.key}, seq={self.seq}, "
            f"timestamp={self.timestamp}, sample_rate={self.sample_rate}, "
            f"samples={self.samples}, codec={self.codec}, payload=<{self.header.length} bytes>)"
        )

    def __reduce__(self):
        return AudioFrame, (
            self.channel,
            self.key,
            self.seq,
            self.timestamp,
            self.sample_rate,
            self.samples,
            self.codec,
            self.payload,
        )
