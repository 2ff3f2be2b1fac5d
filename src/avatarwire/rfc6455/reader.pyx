# cython: freethreading_compatible=True
"""Messages out of what a server sends; what takes more than that is left to a whole parser.

One frame that is one message is by far the most that arrives. It is taken out here. Control frames,
fragments and everything that breaks a rule go, byte for byte, to the parser of a library, whose
rules and whose words for a breach therefore hold. Both never hold parts of one frame: where a frame
begins decides whose it is, and its last byte goes where its first one went.
"""

cimport cython
from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.string cimport memcpy

from avatarwire.rfc6455._layout cimport (
    CONTROL_MAX,
    FIN,
    MASKED,
    OPCODE_BINARY,
    OPCODE_CONTINUATION,
    OPCODE_PING,
    OPCODE_PONG,
    OPCODE_TEXT,
    SERVER_HEADER_MAX,
    server_header_size,
    server_length,
)

cdef extern from "Python.h":
    PyObject* new_bytes "PyBytes_FromStringAndSize"(char* data, Py_ssize_t size) except NULL
    int _PyBytes_Resize(PyObject** bytes, Py_ssize_t size) except -1
    Py_ssize_t PY_SSIZE_T_MAX

#: How many frames one call takes at the most: the work of a call is bounded, whatever arrives.
BATCH = 64

cdef enum:
    FRAMES_A_CALL = 64
    # What a header alone makes us reserve; more is reserved as more arrives.
    FIRST_RESERVE = 1 << 18

# Whose a frame is. PARTIAL: its header has not arrived yet. BREACH: the parser will refuse it, so
# that nothing behind it means anything.
cdef enum:
    PARTIAL
    OURS
    THEIRS
    BREACH


@cython.final
cdef class MessageReader:
    """Takes whole, unfragmented messages out of received bytes.

    Args:
        max_message_bytes: The longest message, in bytes; a longer one is left to the parser.

    Raises:
        ValueError: ``max_message_bytes`` is negative.
    """

    cdef bytes data
    cdef Py_ssize_t position
    cdef Py_ssize_t most
    # The header of the frame that is being read; its first `held` bytes came with earlier data.
    cdef unsigned char header[SERVER_HEADER_MAX]
    cdef int header_size
    cdef int held
    cdef Py_ssize_t length
    # A payload of ours of which `filled` bytes have arrived; NULL between payloads.
    cdef PyObject* payload
    cdef Py_ssize_t filled
    # What is still to come of a frame of the parser's, and the bytes of the fragments that it
    # holds; -1: it holds none.
    cdef Py_ssize_t owed
    cdef Py_ssize_t fragments
    cdef bint is_given_up

    def __cinit__(self, max_message_bytes):
        if max_message_bytes < 0:
            raise ValueError(f"max_message_bytes must not be negative, not {max_message_bytes}")
        self.most = min(max_message_bytes, PY_SSIZE_T_MAX)
        self.data = b""
        self.fragments = -1

    def __dealloc__(self):
        self.drop_payload()

    @property
    @cython.critical_section
    def unread_bytes(self):
        """How much of what was fed has not been looked at."""
        return PyBytes_GET_SIZE(self.data) - self.position

    @cython.critical_section
    def feed(self, bytes data not None):
        """Take received bytes; they are read by ``next()``."""
        if self.position < PyBytes_GET_SIZE(self.data):
            data = self.data[self.position:] + data
        self.data = data
        self.position = 0

    @cython.critical_section
    def give_up(self):
        """Leave all that follows to the parser, which has been told to look at no more."""
        self.is_given_up = True
        self.drop_payload()

    @cython.critical_section
    def next(self):
        """Return what comes next.

        Returns:
            A list of up to ``BATCH`` messages, text as ``str``; or bytes, of up to ``BATCH``
            frames, for the parser to take before ``next()`` is called again; or None when all
            that was fed has been read.
        """
        cdef list messages = []
        cdef object message
        cdef Py_ssize_t start
        cdef int whose
        if self.owed or self.is_given_up:
            return self.leave_owed()
        while self.position < PyBytes_GET_SIZE(self.data):
            start = self.position
            if self.payload == NULL:
                whose = self.read_header()
                if whose == PARTIAL:
                    break
                if whose != OURS:
                    if messages:
                        self.go_back(start)
                        return messages
                    return self.leave_frames(start, whose)
                if self.length > PyBytes_GET_SIZE(self.data) - self.position:
                    self.reserve(min(self.length, FIRST_RESERVE))
                    self.fill()
                    break
                message = self.decoded(PyBytes_AS_STRING(self.data) + self.position)
                if message is None:
                    if messages:
                        self.go_back(start)
                        return messages
                    return self.leave_bad_text(start)
                self.position += self.length
            else:
                self.fill()
                if self.filled < self.length:
                    break
                message = self.filled_message()
                if message is None:
                    return self.leave_bad_text(self.position)
            self.header_size = 0
            self.held = 0
            messages.append(message)
            if len(messages) == FRAMES_A_CALL:
                break
        self.held = self.header_size
        self.let_go()
        return messages or None

    cdef int read_header(self) noexcept:
        """Read on in a header, and tell whose frame it is as soon as a parser could."""
        cdef int size = 2
        cdef int opcode
        cdef bint is_last
        cdef unsigned long long length
        cdef Py_ssize_t left = self.most - max(self.fragments, 0)
        self.read_header_to(size)
        if self.header_size < size:
            return PARTIAL
        # Reserved bits stay, and make it none of the known.
        opcode = self.header[0] & ~FIN
        is_last = self.header[0] & FIN
        if self.header[1] & MASKED:
            return BREACH
        if opcode == OPCODE_PING or opcode == OPCODE_PONG:
            if not is_last:
                return BREACH
            left = min(left, CONTROL_MAX)
        elif opcode == OPCODE_CONTINUATION:
            if self.fragments < 0:
                return BREACH
        elif (opcode != OPCODE_TEXT and opcode != OPCODE_BINARY) or self.fragments >= 0:
            return BREACH
        size = server_header_size(self.header)
        self.read_header_to(size)
        if self.header_size < size:
            return PARTIAL
        length = server_length(self.header)
        if length > <unsigned long long> left:
            return BREACH
        self.length = <Py_ssize_t> length
        return OURS if is_last and OPCODE_TEXT <= opcode <= OPCODE_BINARY else THEIRS

    cdef inline void read_header_to(self, int size) noexcept:
        cdef Py_ssize_t here = PyBytes_GET_SIZE(self.data) - self.position
        cdef int count = <int> min(<Py_ssize_t> (size - self.header_size), here)
        if count > 0:
            memcpy(
                self.header + self.header_size,
                PyBytes_AS_STRING(self.data) + self.position,
                count,
            )
            self.header_size += count
            self.position += count

    cdef inline void go_back(self, Py_ssize_t start) noexcept:
        """Read the frame at ``start`` again in the next call."""
        self.position = start
        self.header_size = self.held

    cdef object decoded(self, char* payload):
        """Return a message of ours; None when it is text that is not UTF-8."""
        if self.header[0] & ~FIN == OPCODE_BINARY:
            return PyBytes_FromStringAndSize(payload, self.length)
        try:
            return PyUnicode_DecodeUTF8(payload, self.length, NULL)
        except UnicodeDecodeError:
            return None

    # A payload that arrives in parts

    cdef int reserve(self, Py_ssize_t size) except -1:
        if self.payload == NULL:
            self.payload = new_bytes(NULL, size)
            self.filled = 0
        else:
            # When that fails, the payload is gone and the pointer is NULL.
            _PyBytes_Resize(&self.payload, size)
        return 0

    cdef int fill(self) except -1:
        cdef Py_ssize_t count = min(
            PyBytes_GET_SIZE(self.data) - self.position, self.length - self.filled
        )
        cdef Py_ssize_t room = PyBytes_GET_SIZE(<bytes> self.payload)
        if self.filled + count > room:
            self.reserve(min(self.length, max(2 * room, self.filled + count)))
        memcpy(
            PyBytes_AS_STRING(<bytes> self.payload) + self.filled,
            PyBytes_AS_STRING(self.data) + self.position,
            count,
        )
        self.filled += count
        self.position += count
        return 0

    cdef object filled_message(self):
        """Return the message; None when it is text that is not UTF-8, and the payload stays."""
        cdef object message
        if self.header[0] & ~FIN == OPCODE_BINARY:
            message = <object> self.payload
        else:
            message = self.decoded(PyBytes_AS_STRING(<bytes> self.payload))
        if message is not None:
            self.drop_payload()
        return message

    cdef void drop_payload(self) noexcept:
        Py_XDECREF(self.payload)
        self.payload = NULL

    # What is the parser's

    cdef bytes leave_owed(self):
        """Return more of a frame that the parser has begun, or all; None when nothing has come."""
        cdef Py_ssize_t start = self.position
        cdef Py_ssize_t size = PyBytes_GET_SIZE(self.data)
        self.position = size if self.is_given_up else min(size, start + self.owed)
        self.owed -= self.position - start
        return self.taken(start) or None

    cdef bytes leave_bad_text(self, Py_ssize_t start):
        """Return a frame of ours, alone, that the parser shall refuse."""
        cdef bytes frame = self.header[:self.held]
        if self.payload != NULL:
            frame += <bytes> self.payload
            self.drop_payload()
        else:
            self.position += self.length
        self.is_given_up = True
        return frame + self.taken(start)

    cdef bytes leave_frames(self, Py_ssize_t start, int whose):
        """Return the parser's frames that follow one another from ``start``."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(self.data)
        cdef Py_ssize_t end
        cdef bytes early = self.header[:self.held]
        cdef int count = 0
        cdef bint completes
        while whose == THEIRS:
            completes = self.header[0] == (FIN | OPCODE_CONTINUATION)
            if completes:
                self.fragments = -1
            elif self.header[0] <= OPCODE_BINARY:
                self.fragments = max(self.fragments, 0) + self.length
            end = min(size, self.position + self.length)
            self.owed = self.length - (end - self.position)
            self.position = end
            self.held = 0
            self.header_size = 0
            count += 1
            # Whether its text is UTF-8 is found out before anything behind it is parsed.
            if end == size or completes or count == FRAMES_A_CALL:
                break
            whose = self.read_header()
            if whose == OURS or whose == PARTIAL:
                self.go_back(end)
        if whose == BREACH:
            self.is_given_up = True
            self.position = size
        return early + self.taken(start)

    cdef bytes taken(self, Py_ssize_t start):
        """Return the data from ``start`` to the position; data that is used up is let go."""
        cdef bytes part = self.data[start:self.position]
        self.let_go()
        return part

    cdef inline void let_go(self) noexcept:
        if self.position == PyBytes_GET_SIZE(self.data):
            self.data = b""
            self.position = 0
