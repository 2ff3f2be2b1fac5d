# cython: freethreading_compatible=True, cdivision=True
"""Audio that arrives out of order, twice or not at all, put in order and each loss told once."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memmove

from avatarwire.codec._bits cimport SEQ_MASK, TIMESTAMP_MASK
from avatarwire.codec._fields cimport fit
from avatarwire.codec._fingerprint cimport fingerprint
from avatarwire.codec.frames cimport AudioFrame
from avatarwire.codec.gaps cimport Gap

cdef enum:
    # Enough for the widest window in frames of a millisecond.
    HELD_MAX = 512
    # Released frames that are remembered to know duplicates by: 5 s in frames of 40 ms.
    RECENT = 128
    # What lies further behind than this is no straggler: the peer has started to count anew.
    BEHIND_MS = 2000
    BEHIND_FRAMES = 128
    # What the end of one run and the start of the next are told apart by: a loss is shorter.
    LEAP_FRAMES = 128

# A frame as it was when it was pushed: its owner may assign to it later.
cdef struct Item:
    PyObject* frame
    uint64_t sound
    int seq
    int timestamp
    int key
    int length_us

cdef struct Counts:
    long long pushed
    long long released
    long long duplicates
    long long late
    long long lost
    long long gaps
    long long restarts


cdef inline int frames_ahead(const Item* item, const Item* other) noexcept nogil:
    """Return how far the counter of ``item`` is ahead, -2,048 to 2,047."""
    return (item.seq - other.seq + 0x800 & SEQ_MASK) - 0x800

cdef inline int ms_ahead(const Item* item, const Item* other) noexcept nogil:
    """Return how far the time of ``item`` is ahead, -524,288 to 524,287."""
    return (item.timestamp - other.timestamp + 0x80000 & TIMESTAMP_MASK) - 0x80000

cdef inline int order(const Item* item, const Item* other) noexcept nogil:
    """Return less than, equal to or more than 0: by timestamp first, then by seq (section 5)."""
    return ms_ahead(item, other) or frames_ahead(item, other)


cdef int look(AudioFrame frame, Item* item) except -1:
    cdef long long samples
    cdef int rate
    with cython.critical_section(frame):
        item.frame = <PyObject*> frame
        item.seq = frame.header.seq
        item.timestamp = frame.header.timestamp
        item.key = frame.header.key
        rate = frame.header.sample_rate
        samples = frame.header.samples
        if not frame.header.codec:
            # What PCM is there tells its length, also where a peer leaves the field empty.
            samples = frame.header.length // (2 * (frame.header.channel + 1))
        # A sample lasts 125/2, 125/3 or 125/6 us; at an undefined rate the length is unknown.
        item.length_us = 0
        if rate < 3:
            item.length_us = <int> (samples * 125 // (3 * rate if rate else 2))
        item.sound = fingerprint(
            <unsigned char*> PyBytes_AS_STRING(frame.source) + frame.start, frame.header.length
        )
    return 0


@cython.final
cdef class JitterBuffer:
    """Puts inbound audio frames in order, drops what comes twice, and tells each loss once.

    Frames are ordered by timestamp, then by seq, both compared modulo their width (protocol
    section 5). A frame leaves as soon as its seq follows the last one that left, or once sound
    from a whole window after it has arrived: time is read from the frames, never from a clock, so
    nothing is paced, and the end of a turn needs ``flush()``. The first frame of all leaves at
    once when it has the key bit, and after a window when not: those before it may be on their way.

    - A duplicate has the seq, the timestamp and the sound of a frame that is held or is one of the
      last 128 released.
    - A frame from before what was released is late. It has been told as lost by then.
    - A jump of the timestamp with consecutive seqs is silence, not loss.
    - A peer that counts anew is followed at once: all that is held leaves, and the new run begins.
      It shows by a seq that jumps ahead while the timestamp jumps back, or the other way; by the
      numbers of a known frame with other sound; by a place more than 2 s or 128 frames
      behind; or by a key frame more than 128 frames ahead. Between two runs a loss is told where
      the seq goes on, within 128 frames.
    - A peer whose seq stands still is ordered by timestamp, every frame a window later, and its
      losses cannot be seen. One whose timestamp stands still is ordered by seq; the window is then
      that much sound.

    At most 512 frames are held; one more makes the oldest leave. Calls from several threads are
    safe; in which order their frames come in is theirs to arrange.

    Args:
        window_ms: How much sound to wait for a missing frame, 200 to 500 milliseconds.

    Raises:
        TypeError: ``window_ms`` is no integer.
        ValueError: ``window_ms`` is out of its range.
    """

    cdef Item* items
    cdef Py_ssize_t room
    cdef Py_ssize_t count
    cdef long long held_us
    cdef int window
    cdef Item last
    # Whether anything was released at all, and whether anything was of the current run.
    cdef bint begun
    cdef bint joined
    cdef uint32_t[RECENT] places
    cdef uint64_t[RECENT] sounds
    cdef Counts counts

    def __cinit__(self, *, window_ms=200):
        self.window = <int> fit(window_ms, 200, 500, "window_ms")

    def __dealloc__(self):
        self.clear()
        PyMem_Free(self.items)

    @property
    def window_ms(self):
        """How much sound is waited for, in milliseconds."""
        return self.window

    @property
    @cython.critical_section
    def held(self):
        """Frames that wait for one before them."""
        return self.count

    @property
    @cython.critical_section
    def held_ms(self):
        """Sound of the frames that wait, in milliseconds."""
        return self.held_us // 1000

    @property
    @cython.critical_section
    def pushed(self):
        """Frames taken in: those released, held, duplicate and late together."""
        return self.counts.pushed

    @property
    @cython.critical_section
    def released(self):
        """Frames given out."""
        return self.counts.released

    @property
    @cython.critical_section
    def duplicates(self):
        """Frames dropped because they were there already."""
        return self.counts.duplicates

    @property
    @cython.critical_section
    def late(self):
        """Frames dropped because a later one had been released."""
        return self.counts.late

    @property
    @cython.critical_section
    def lost(self):
        """Frames told as missing, in all gaps together; those that came late are among them."""
        return self.counts.lost

    @property
    @cython.critical_section
    def gaps(self):
        """Gaps given out."""
        return self.counts.gaps

    @property
    @cython.critical_section
    def restarts(self):
        """How often the peer counted anew."""
        return self.counts.restarts

    def push(self, frame):
        """Take one frame in; return what is in order now.

        Args:
            frame: An ``AudioFrame`` of either codec. It is given out as it is, but keeps the place
                that it had when it was pushed, also if it is assigned to meanwhile.

        Returns:
            Frames in order, each at most once, with a ``Gap`` before the frame that follows a
            loss. The list is often empty, and never shared.

        Raises:
            TypeError: ``frame`` is no ``AudioFrame``.
        """
        cdef Item item
        # Making a list can collect garbage, and so run code that uses this buffer: not later.
        cdef list out = []
        if not isinstance(frame, AudioFrame):
            raise TypeError(
                f"frame must be an AudioFrame, not {type(frame).__name__}: "
                "AudioFrame.unpack reads a message"
            )
        look(<AudioFrame> frame, &item)
        with cython.critical_section(self):
            if self.place(&item, out):
                self.release(out, False)
        return out

    @cython.critical_section
    def flush(self):
        """Return all that is held, in order and with its gaps, as at the end of a turn."""
        cdef list out = []
        self.release(out, True)
        return out

    @cython.critical_section
    def reset(self):
        """Be as new: what is held is dropped, the stream forgotten, and every counter is 0.

        ``held`` tells beforehand what is dropped; ``flush()`` gives it out.
        """
        self.clear()
        self.begun = False
        self.joined = False
        self.counts = Counts(0, 0, 0, 0, 0, 0, 0)

    cdef void clear(self) noexcept:
        cdef Py_ssize_t i
        for i in range(self.count):
            Py_DECREF(<object> self.items[i].frame)
        self.count = 0
        self.held_us = 0

    cdef bint place(self, Item* item, list out) except -1:
        """Put a frame among those held; return whether it is one more."""
        cdef Py_ssize_t at = self.count
        while at and order(item, &self.items[at - 1]) < 0:
            at -= 1
        if self.was_released(item, False) or (
            at and not order(item, &self.items[at - 1])
            and self.items[at - 1].sound == item.sound
        ):
            self.counts.pushed += 1
            self.counts.duplicates += 1
            return False
        if self.begins_a_run(item, at):
            self.release(out, True)
            self.joined = False
            self.counts.restarts += 1
            at = 0
        elif self.joined and order(item, &self.last) < 0:
            self.counts.pushed += 1
            self.counts.late += 1
            return False
        self.insert(item, at)
        self.counts.pushed += 1
        return True

    cdef bint begins_a_run(self, const Item* item, Py_ssize_t at) noexcept:
        """Tell whether the peer counts anew with a frame that would go to ``at``."""
        cdef Item* newest = &self.items[self.count - 1] if self.count else &self.last
        cdef Item* bound = &self.last if self.joined else newest
        cdef int frames, milliseconds
        if not self.count and not self.joined:
            return False
        if at and not order(item, &self.items[at - 1]):
            return True
        frames = frames_ahead(item, newest)
        milliseconds = ms_ahead(item, newest)
        if frames < 0 < milliseconds or milliseconds < 0 < frames:
            return True
        if order(item, newest) > 0:
            return item.key and frames > LEAP_FRAMES
        if order(item, bound) > 0:
            return False
        return (
            ms_ahead(item, bound) < -BEHIND_MS
            or frames_ahead(item, bound) < -BEHIND_FRAMES
            or self.was_released(item, True)
        )

    cdef bint was_released(self, const Item* item, bint with_any_sound) noexcept:
        """Tell whether a frame of this place is among the last released."""
        cdef uint32_t place = <uint32_t> item.seq << 20 | <uint32_t> item.timestamp
        cdef int i
        cdef bint found = False
        # Nearly always not, which a loop without an exit tells fastest.
        for i in range(RECENT):
            found |= self.places[i] == place
        if found:
            for i in range(min(RECENT, self.counts.released)):
                if self.places[i] == place and (with_any_sound or self.sounds[i] == item.sound):
                    return True
        return False

    cdef int insert(self, const Item* item, Py_ssize_t at) except -1:
        cdef Py_ssize_t room
        cdef void* grown
        if self.count == self.room:
            room = max(2 * self.room, 16)
            grown = PyMem_Realloc(self.items, room * sizeof(Item))
            if grown == NULL:
                raise MemoryError
            self.items = <Item*> grown
            self.room = room
        memmove(&self.items[at + 1], &self.items[at], (self.count - at) * sizeof(Item))
        self.items[at] = item[0]
        self.count += 1
        self.held_us += item.length_us
        Py_INCREF(<object> item.frame)
        return 0

    cdef int release(self, list out, bint everything) except -1:
        """Move what is due to ``out``, each loss before the frame that follows it."""
        cdef Py_ssize_t gone = 0
        cdef Item* item
        try:
            while gone < self.count:
                item = &self.items[gone]
                if not everything and not self.is_due(item, self.count - gone):
                    break
                self.tell_loss(item, out)
                out.append(<object> item.frame)
                Py_DECREF(<object> item.frame)
                self.remember(item)
                gone += 1
        finally:
            if gone:
                self.count -= gone
                memmove(self.items, &self.items[gone], self.count * sizeof(Item))
        return 0

    cdef bint is_due(self, const Item* oldest, Py_ssize_t count) noexcept:
        cdef const Item* newest = &self.items[self.count - 1]
        if self.begun and frames_ahead(oldest, &self.last) == 1:
            return True
        if oldest.key and not self.joined:
            return True
        return (
            ms_ahead(newest, oldest) >= self.window
            or self.held_us - newest.length_us >= self.window * <long long> 1000
            or count == HELD_MAX
        )

    cdef int tell_loss(self, const Item* item, list out) except -1:
        """Append a gap when frames are missing between the last one released and ``item``."""
        cdef int missing = frames_ahead(item, &self.last) - 1
        cdef int step_ms = ms_ahead(item, &self.last)
        cdef long long length_us = self.last.length_us
        cdef long long lost_us
        cdef Gap gap
        if not self.begun or missing < 1 or (missing >= LEAP_FRAMES and not self.joined):
            return 0
        if not self.joined or step_ms <= 0:
            # The timestamps do not tell.
            lost_us = missing * max(length_us, <long long> item.length_us)
        else:
            if not length_us:
                length_us = step_ms * <long long> 1000 // (missing + 1)
            # Silence may come on top of a loss, so the neighbours set a limit.
            lost_us = min(
                max(step_ms * <long long> 1000 - length_us, 0),
                missing * max(length_us, <long long> item.length_us),
            )
        gap = Gap.__new__(Gap)
        gap.first_seq = (self.last.seq + 1) & SEQ_MASK
        gap.start_ms = <int> ((self.last.timestamp + length_us // 1000) & TIMESTAMP_MASK)
        gap.count = missing
        gap.lost_ms = (lost_us + 500) // 1000
        out.append(gap)
        self.counts.gaps += 1
        self.counts.lost += missing
        return 0

    cdef void remember(self, const Item* item) noexcept:
        cdef int i = <int> (self.counts.released % RECENT)
        self.places[i] = <uint32_t> item.seq << 20 | <uint32_t> item.timestamp
        self.sounds[i] = item.sound
        self.last = item[0]
        self.last.frame = NULL
        self.begun = True
        self.joined = True
        self.held_us -= item.length_us
        self.counts.released += 1
