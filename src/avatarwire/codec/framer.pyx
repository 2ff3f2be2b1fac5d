# cython: freethreading_compatible=True, cdivision=True
"""PCM cut into audio frames, across calls and whatever the sizes of the chunks."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.ref cimport Py_INCREF
from libc.string cimport memcpy

from avatarwire.codec._bits cimport (
    AUDIO_HEADER,
    SAMPLES_MAX,
    SEQ_MASK,
    TIMESTAMP_MASK,
    AudioHeader,
    pack_audio,
)
from avatarwire.codec._borrow cimport Loan, borrow_writable, give_back
from avatarwire.rfc6455._copy cimport copy
from avatarwire.codec._fields cimport fit, wrap
from avatarwire.codec._masks cimport draw
from avatarwire.codec._pcm cimport borrow_pcm
from avatarwire.rfc6455._layout cimport (
    KEY_SIZE,
    OPCODE_BINARY,
    client_header_size,
    mask_copy,
    put_client_header,
)

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX

cdef enum:
    # A call of up to 64 frames, more than two seconds, keeps its masking keys on the stack.
    STACK_KEYS = 64


# Where the stream is: the next header, and how far its time lies past `header.timestamp`, in
# milliseconds divided by the sample rate. Whole steps are added, so no rounding ever adds up.
cdef struct Cursor:
    AudioHeader header
    int fraction


cdef inline void advance(Cursor* cursor, int step_ms, int step_fraction, int rate) noexcept nogil:
    cursor.header.key = 0
    cursor.header.seq = (cursor.header.seq + 1) & SEQ_MASK
    cursor.fraction += step_fraction
    if cursor.fraction >= rate:
        cursor.fraction -= rate
        step_ms += 1
    cursor.header.timestamp = (cursor.header.timestamp + step_ms) & TIMESTAMP_MASK


cdef int _rate(object sample_rate) except -1:
    cdef long long rate = fit(sample_rate, -PY_SSIZE_T_MAX, PY_SSIZE_T_MAX, "sample_rate")
    if rate in (16000, 24000, 48000):
        return <int> rate
    raise ValueError(
        f"sample_rate must be 16000, 24000 or 48000, not {rate}: "
        "sound at another rate has to be resampled first"
    )


@cython.final
cdef class PcmFramer:
    """Cuts 16-bit little-endian PCM into audio frames (protocol section 5).

    It keeps the frame counter, the time and what is left of the sound between calls, so chunks
    may have any size, down to a single byte. A call that fails changes nothing. The first frame
    after construction or ``reset()`` carries the key bit. The timestamp of a frame is the first
    one plus floor(samples sent * 1000 / sample_rate), modulo 1,048,576. Calls from several
    threads are safe; in which order their sound goes out is theirs to arrange.

    Args:
        sample_rate: 16000, 24000 or 48000, in Hz.
        channels: 1, or 2 with interleaved samples.
        frame_ms: Length of a frame in milliseconds: 1 to 255 at 16 kHz, to 170 at 24 kHz, to 85
            at 48 kHz, since a frame counts up to 4,095 samples.
        seq: Counter of the first frame; any integer, taken modulo 4,096.
        timestamp: Time of the first frame in milliseconds; any integer, taken modulo 1,048,576.

    Raises:
        TypeError: An argument is no integer.
        ValueError: ``sample_rate``, ``channels`` or ``frame_ms`` is out of its range.
    """

    cdef Cursor cursor
    cdef unsigned char* rest
    cdef Py_ssize_t held
    cdef Py_ssize_t size
    cdef int rate
    cdef int group
    cdef int milliseconds

    def __cinit__(self, *, sample_rate=16000, channels=1, frame_ms=40, seq=0, timestamp=0):
        self.rate = _rate(sample_rate)
        self.cursor.header.sample_rate = (self.rate > 16000) + (self.rate > 24000)
        self.cursor.header.channel = <int> fit(channels, 1, 2, "channels") - 1
        self.group = 2 * (self.cursor.header.channel + 1)
        self.milliseconds = <int> fit(frame_ms, 1, SAMPLES_MAX * 1000 // self.rate, "frame_ms")
        self.cursor.header.samples = self.rate // 1000 * self.milliseconds
        self.cursor.header.seq = wrap(seq, SEQ_MASK, "seq")
        self.cursor.header.timestamp = wrap(timestamp, TIMESTAMP_MASK, "timestamp")
        self.cursor.header.key = 1
        self.size = self.cursor.header.samples * self.group
        self.cursor.header.length = self.size
        self.rest = <unsigned char*> PyMem_Malloc(self.size)
        if self.rest == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.rest)

    @property
    def sample_rate(self):
        """Samples per channel and second, in Hz."""
        return self.rate

    @property
    def channels(self):
        """1 or 2."""
        return self.cursor.header.channel + 1

    @property
    def frame_ms(self):
        """Length of a whole frame in milliseconds."""
        return self.milliseconds

    @property
    def frame_bytes(self):
        """Payload of a whole frame in bytes."""
        return self.size

    @property
    @cython.critical_section
    def seq(self):
        """Counter of the next frame, 0 to 4,095."""
        return self.cursor.header.seq

    @property
    @cython.critical_section
    def timestamp(self):
        """Time of the next frame in milliseconds, 0 to 1,048,575."""
        return self.cursor.header.timestamp

    @property
    @cython.critical_section
    def pending_bytes(self):
        """PCM taken but not yet framed, in bytes; always less than ``frame_bytes``."""
        return self.held

    @cython.critical_section
    def frames(self, pcm):
        """Take sound in; return the frames that it completes, one message each.

        Args:
            pcm: Any number of bytes of PCM, in any contiguous buffer; read in place.

        Raises:
            TypeError: ``pcm`` is no buffer, or one of other items than bytes and 16-bit integers.
            ValueError: ``pcm`` is not contiguous.
        """
        cdef Loan loan
        cdef Cursor cursor
        cdef list messages = None
        cdef bytes message
        cdef unsigned char* data
        cdef Py_ssize_t count = -1
        cdef Py_ssize_t i, held
        borrow_pcm(pcm, &loan)
        try:
            # Making a list can collect garbage, and so run other code that uses this framer.
            while count != self.complete(loan.size):
                count = self.complete(loan.size)
                messages = PyList_New(count)
            cursor = self.cursor
            data = loan.data
            held = self.held
            for i in range(count):
                message = PyBytes_FromStringAndSize(NULL, AUDIO_HEADER + self.size)
                data = self.put(<unsigned char*> PyBytes_AS_STRING(message), data, held, &cursor)
                held = 0
                Py_INCREF(message)
                PyList_SET_ITEM(messages, i, message)
            self.commit(&cursor, &loan, count)
        finally:
            give_back(&loan)
        return messages

    @cython.critical_section
    def pack_into(self, pcm, out, offset=0):
        """Take sound in; write the frames that it completes into ``out``, one after another.

        Args:
            pcm: Any number of bytes of PCM, in any contiguous buffer; read in place.
            out: A writable contiguous buffer that shares no memory with ``pcm``. It needs
                ``(pending_bytes + len(pcm)) // frame_bytes * (9 + frame_bytes)`` bytes.
            offset: Where to start in ``out``, in bytes.

        Returns:
            The number of bytes written.

        Raises:
            TypeError: An argument is of the wrong type, or ``out`` is not writable.
            ValueError: ``out`` is too small (the error says how many bytes are needed), overlaps
                ``pcm``, or ``offset`` lies outside it; or a buffer is not contiguous.
        """
        cdef Loan loan
        cdef Loan target
        cdef Cursor cursor
        cdef unsigned char* data
        cdef unsigned char* p
        cdef Py_ssize_t start = <Py_ssize_t> fit(offset, 0, PY_SSIZE_T_MAX, "offset")
        cdef Py_ssize_t count, needed, held
        borrow_pcm(pcm, &loan)
        try:
            borrow_writable(out, &target)
            try:
                count = self.complete(loan.size)
                needed = count * (AUDIO_HEADER + self.size)
                if start > target.size or needed > target.size - start:
                    raise ValueError(
                        f"{needed} bytes are needed at offset {start} of out, "
                        f"which has {target.size} bytes"
                    )
                p = target.data + start
                if needed and p < loan.data + loan.size and loan.data < p + needed:
                    raise ValueError("out overlaps pcm")
                cursor = self.cursor
                data = loan.data
                held = self.held
                for _ in range(count):
                    data = self.put(p, data, held, &cursor)
                    held = 0
                    p += AUDIO_HEADER + self.size
                self.commit(&cursor, &loan, count)
            finally:
                give_back(&target)
        finally:
            give_back(&loan)
        return needed

    @cython.critical_section
    def websocket(self, pcm):
        """Take sound in; return the frames that it completes as WebSocket messages.

        Args:
            pcm: Any number of bytes of PCM, in any contiguous buffer; read in place.

        Returns:
            Masked binary messages (RFC 6455, section 5.2), one a frame and each with a fresh
            key, joined for a single write; empty when no frame is complete.

        Raises:
            TypeError: ``pcm`` is no buffer, or one of other items than bytes and 16-bit integers.
            ValueError: ``pcm`` is not contiguous.
        """
        cdef Loan loan
        cdef Cursor cursor
        cdef bytes wire
        cdef unsigned char stack[STACK_KEYS * KEY_SIZE]
        cdef unsigned char* keys = stack
        cdef unsigned char* data
        cdef unsigned char* p
        cdef Py_ssize_t whole = AUDIO_HEADER + self.size
        cdef Py_ssize_t most, count, i, held
        borrow_pcm(pcm, &loan)
        try:
            # Other threads can run while keys are drawn, so that comes first, for as many
            # frames as there can be with anything that is pending.
            most = (loan.size + self.size - 1) // self.size
            if most > STACK_KEYS:
                keys = <unsigned char*> PyMem_Malloc(most * KEY_SIZE)
                if keys == NULL:
                    raise MemoryError
            draw(keys, most * KEY_SIZE)
            count = self.complete(loan.size)
            wire = PyBytes_FromStringAndSize(NULL, count * (client_header_size(whole) + whole))
            cursor = self.cursor
            data = loan.data
            held = self.held
            p = <unsigned char*> PyBytes_AS_STRING(wire)
            for i in range(count):
                data = self.put_masked(p, data, held, &cursor, keys + i * KEY_SIZE)
                held = 0
                p += client_header_size(whole) + whole
            self.commit(&cursor, &loan, count)
        finally:
            if keys != stack:
                PyMem_Free(keys)
            give_back(&loan)
        return wire

    @cython.critical_section
    def flush(self):
        """Return what is pending as one short frame, or nothing when no sample is complete.

        An incomplete sample at the end is dropped; ``pending_bytes`` tells beforehand. The time
        goes on by the samples of the frame.
        """
        cdef list messages = []
        cdef bytes message
        cdef Cursor cursor
        cdef Py_ssize_t length
        length = self.held - self.held % self.group
        if length:
            message = PyBytes_FromStringAndSize(NULL, AUDIO_HEADER + length)
            cursor = self.shorten(length)
            pack_audio(<unsigned char*> PyBytes_AS_STRING(message), &cursor.header)
            memcpy(PyBytes_AS_STRING(message) + AUDIO_HEADER, self.rest, length)
            messages.append(message)
            self.go_on(&cursor)
        self.held = 0
        return messages

    @cython.critical_section
    def flush_websocket(self):
        """Return what ``flush()`` would, as one masked WebSocket message; it may be empty."""
        cdef bytes wire
        cdef Cursor cursor
        cdef unsigned char key[KEY_SIZE]
        cdef unsigned char header[AUDIO_HEADER]
        cdef unsigned char* p
        cdef Py_ssize_t length, whole
        draw(key, KEY_SIZE)
        length = self.held - self.held % self.group
        if length:
            whole = AUDIO_HEADER + length
            wire = PyBytes_FromStringAndSize(NULL, client_header_size(whole) + whole)
            cursor = self.shorten(length)
            pack_audio(header, &cursor.header)
            p = <unsigned char*> PyBytes_AS_STRING(wire)
            p = put_client_header(p, OPCODE_BINARY, whole, key)
            mask_copy(p, header, AUDIO_HEADER, key, 0)
            mask_copy(p + AUDIO_HEADER, self.rest, length, key, AUDIO_HEADER)
            self.go_on(&cursor)
        else:
            wire = b""
        self.held = 0
        return wire

    @cython.critical_section
    def reset(self, *, seq=None, timestamp=None):
        """Drop what is pending; the next frame carries the key bit.

        Args:
            seq: Counter of the next frame, taken modulo 4,096; None: go on counting.
            timestamp: Time of the next frame in milliseconds, taken modulo 1,048,576; None: go
                on from the samples sent so far.

        Raises:
            TypeError: An argument is neither an integer nor None; nothing changes.
        """
        cdef int counter = -1
        cdef int time = -1
        if seq is not None:
            counter = wrap(seq, SEQ_MASK, "seq")
        if timestamp is not None:
            time = wrap(timestamp, TIMESTAMP_MASK, "timestamp")
        if counter >= 0:
            self.cursor.header.seq = counter
        if time >= 0:
            self.cursor.header.timestamp = time
            self.cursor.fraction = 0
        self.cursor.header.key = 1
        self.held = 0

    cdef inline Py_ssize_t complete(self, Py_ssize_t size) noexcept:
        """Return how many frames ``size`` more bytes complete."""
        return (self.held + size) // self.size

    cdef inline unsigned char* put(
        self, unsigned char* p, unsigned char* data, Py_ssize_t held, Cursor* cursor
    ) noexcept:
        """Write one whole frame, its first ``held`` bytes of sound from what is pending."""
        pack_audio(p, &cursor.header)
        p += AUDIO_HEADER
        if held:
            memcpy(p, self.rest, held)
            p += held
        copy(p, data, self.size - held)
        advance(cursor, self.milliseconds, 0, self.rate)
        return data + self.size - held

    cdef inline unsigned char* put_masked(
        self,
        unsigned char* p,
        unsigned char* data,
        Py_ssize_t held,
        Cursor* cursor,
        const unsigned char* key,
    ) noexcept:
        """Do what ``put`` does, inside a masked WebSocket message."""
        cdef unsigned char header[AUDIO_HEADER]
        pack_audio(header, &cursor.header)
        p = put_client_header(p, OPCODE_BINARY, AUDIO_HEADER + self.size, key)
        mask_copy(p, header, AUDIO_HEADER, key, 0)
        p += AUDIO_HEADER
        if held:
            mask_copy(p, self.rest, held, key, AUDIO_HEADER)
            p += held
        mask_copy(p, data, self.size - held, key, AUDIO_HEADER + held)
        advance(cursor, self.milliseconds, 0, self.rate)
        return data + self.size - held

    cdef inline void commit(self, Cursor* cursor, Loan* loan, Py_ssize_t count) noexcept:
        """Make ``cursor`` the state and keep the sound that the frames did not use."""
        cdef Py_ssize_t used = 0
        if count:
            used = count * self.size - self.held
            self.held = 0
        self.cursor = cursor[0]
        if loan.size > used:
            memcpy(self.rest + self.held, loan.data + used, loan.size - used)
            self.held += loan.size - used

    cdef inline Cursor shorten(self, Py_ssize_t length) noexcept:
        """Return the cursor for a frame of ``length`` bytes."""
        cdef Cursor cursor = self.cursor
        cursor.header.length = length
        cursor.header.samples = <int> (length // self.group)
        return cursor

    cdef inline void go_on(self, Cursor* short) noexcept:
        """Move on behind a short frame."""
        cdef int thousandths = short.header.samples * 1000
        advance(&self.cursor, thousandths // self.rate, thousandths % self.rate, self.rate)
